package call

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// How many SAS of a listener somebody at one address knows at once, with
// each of those exchanges still to be finished.
func TestFewOpenSAS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.bob.conf.Once = false })
		var mu sync.Mutex
		got := map[netip.AddrPort][][]byte{}
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if from == w.bob.addr {
				got[to] = append(got[to], bytes.Clone(b))
			}
			return b
		})
		w.listen()
		type leg struct {
			addr netip.AddrPort
			s    *zrtp.Session
			held []byte // DHPart2: its SAS is known, and not yet sent
		}
		var legs []*leg
		for i := range 10 {
			s, err := zrtp.New(zrtp.Config{Initiate: true, ZID: wire.ZID{9, byte(i)}, SSRC: uint32(100 + i), Rand: rand.Reader})
			if err != nil {
				t.Fatal(err)
			}
			legs = append(legs, &leg{addr: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.66"), uint16(1000+i)), s: s})
			s.Start(time.Now())
		}
		step := func() {
			for _, l := range legs {
				now := time.Now()
				mu.Lock()
				in := got[l.addr]
				got[l.addr] = nil
				mu.Unlock()
				for _, b := range in {
					_ = l.s.Receive(now, b)
				}
				if d := l.s.Deadline(); l.held == nil && !d.IsZero() && !now.Before(d) {
					l.s.Advance(now)
				}
				for b, ok := l.s.NextPacket(); ok; b, ok = l.s.NextPacket() {
					p, _ := wire.ParsePacket(b)
					m, _ := wire.Parse(bytes.Clone(p.Message))
					if m.Type() == wire.TypeDHPart2 {
						l.held = bytes.Clone(b)
						continue
					}
					w.net.Inject(l.addr, w.bob.addr, bytes.Clone(b))
				}
			}
		}
		for range 95 { // 9.5 s
			step()
			time.Sleep(100 * time.Millisecond)
		}
		held := 0
		for _, l := range legs {
			if l.held != nil {
				held++
			}
		}
		// One of them is the one that fits: finished, it rings.
		w.net.Inject(legs[7].addr, w.bob.addr, legs[7].held)
		legs[7].held = nil
		for range 20 {
			step()
			if legs[7].held != nil {
				w.net.Inject(legs[7].addr, w.bob.addr, legs[7].held)
				legs[7].held = nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		_, ok := find[Secured](&w.bob)
		if held > maxOpenByNetwork || ok {
			t.Errorf("%d SAS to choose from in one call; one of them taken after 9 s: %v", held, ok)
		}
		w.stop()
	})
}
