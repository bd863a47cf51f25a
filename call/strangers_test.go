package call

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

var (
	onlyDH3k = zrtp.Algorithms{KeyAgreements: []wire.Name{wire.DH3k}}
	onlyX255 = zrtp.Algorithms{KeyAgreements: []wire.Name{wire.X255}}
)

// address is the n-th of very many.
func address(n int) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(b), 5004)
}

// idle shows an endpoint's calls while all its goroutines wait.
func (s *side) idle(look func(calls []*running)) {
	synctest.Wait()
	look(s.e.calls)
	s.e.tell(note{kind: noteRefused}) // control goes on after us, for the race detector too
}

// hello is a genuine first Hello of a stranger.
func hello(t *testing.T, n uint32) []byte {
	t.Helper()
	c := Config{Echo: true}
	c, err := c.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	core, err := newCaller(&c, wire.ZID{byte(n), byte(n >> 8), byte(n >> 16), 1}, nil, []netip.AddrPort{{}}, "")
	if err != nil {
		t.Fatal(err)
	}
	core.start(time.Now())
	b, _, ok := core.NextPacket()
	if !ok {
		t.Fatal("no Hello")
	}
	return bytes.Clone(b)
}

// Issue 2, part 7: "until hvi has proved that the peer saw our Hello, an
// address gets at most 3 times the bytes that it sent", and half-open
// exchanges "are at most 64, 4 an address".
func TestStrangersGetLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.listen()
		await[Listening](t, &w.bob)
		sent, got := make(map[netip.AddrPort]int), make(map[netip.AddrPort]int)
		w.net.SetTap(func(_, to netip.AddrPort, b []byte) []byte {
			got[to] += len(b) // only the listener sends through the tap
			return b
		})
		for n := range 500 {
			b := hello(t, uint32(n))
			for _, from := range []netip.AddrPort{address(n), netip.AddrPortFrom(address(7).Addr(), uint16(1000+n))} {
				sent[from] += len(b)
				w.net.Inject(from, w.bob.addr, b)
			}
			time.Sleep(time.Millisecond)
		}
		open, same := 0, 0
		w.bob.idle(func(calls []*running) {
			for _, r := range calls {
				if r.core.phase == agreeing {
					open++
					if r.core.remote.Addr() == address(7).Addr() {
						same++
					}
				}
			}
		})
		if open > maxHalfOpen || open < maxHalfOpen/2 {
			t.Errorf("%d half-open exchanges", open)
		}
		if same > maxHalfOpenByAddr {
			t.Errorf("%d of one address", same)
		}
		time.Sleep(time.Minute)
		w.bob.idle(func(calls []*running) {
			if len(calls) != 0 {
				t.Errorf("%d exchanges are left after a minute", len(calls))
			}
		})
		if len(got) < 400 {
			t.Errorf("only %d strangers were answered", len(got))
		}
		for a, n := range got {
			if n > 3*sent[a] {
				t.Errorf("%v sent %d bytes and got %d", a, sent[a], n)
			}
		}
		if len(w.bob.names()) != 1 {
			t.Errorf("strangers made news: %v", w.bob.names())
		}
		w.stop()
	})
}

// A flood does not harm the call that runs.
func TestFloodInMidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.run()
		await[Answered](t, &w.alice)
		b := hello(t, 1)
		for n := range 5000 {
			w.net.Inject(address(n), w.bob.addr, b)
			if n%10 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		w.alice.e.Do(0, Hangup)
		if got := w.bob.result(t); got.Reason != ReasonNormal || got.Stats.Loss > 0 {
			t.Errorf("ended with %+v", got)
		}
		w.alice.result(t)
	})
}

// What is no Hello costs a listener nothing.
func TestOnlyAHelloOpensTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.listen()
		await[Listening](t, &w.bob)
		good := hello(t, 1)
		broken := bytes.Clone(good)
		broken[len(broken)-1] ^= 1 // CRC
		answered := 0
		w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
			if from == w.bob.addr {
				answered++
			}
			return b
		})
		for i, b := range [][]byte{
			broken,
			good[:len(good)-4],
			wire.AppendPacket(nil, 1, 2, (&wire.HelloACK{}).Append(nil)),
			wire.AppendPacket(nil, 1, 2, (&wire.Error{Code: wire.ErrorMalformed}).Append(nil)),
			wire.AppendPacket(nil, 1, 2, (&wire.Ping{}).Append(nil)),
			append([]byte{0x80, 0}, make([]byte, 100)...),
			append([]byte{0x80, 200}, make([]byte, 100)...),
			[]byte("OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n\r\n"),
			{0},
			{},
		} {
			w.net.Inject(address(i), w.bob.addr, b)
		}
		time.Sleep(time.Second)
		w.bob.idle(func(calls []*running) {
			if len(calls) != 0 || answered != 0 {
				t.Errorf("%d calls, %d answers", len(calls), answered)
			}
		})
		w.net.Inject(address(0), w.bob.addr, good)
		time.Sleep(time.Second)
		w.bob.idle(func(calls []*running) {
			if len(calls) != 1 || answered == 0 {
				t.Error("a genuine Hello is not answered")
			}
		})
		w.stop()
	})
}
