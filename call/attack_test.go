package call

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

// Somebody else writes Hellos with the caller's IP address and any ports, 13 a
// second: the call comes about all the same.
func TestEvictionByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 100 * time.Millisecond})
		w.run()
		n := uint32(0)
		for range 100 { // 30 s
			for range 4 {
				n++
				w.net.Inject(netip.AddrPortFrom(w.alice.addr.Addr(), uint16(10000+n)), w.bob.addr, hello(t, n))
			}
			time.Sleep(300 * time.Millisecond)
		}
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("the genuine call is prevented: %v %+v", w.alice.names(), w.alice.result(t))
		}
		w.stop()
	})
}

// One host that has all addresses of an IPv6 /64 sends 200 Hellos a second.
func TestEvictionByNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 100 * time.Millisecond})
		w.run()
		for n := range uint32(6000) { // 30 s
			a := netip.MustParseAddr("2001:db8::").As16()
			a[14], a[15] = byte(n>>8), byte(n)
			w.net.Inject(netip.AddrPortFrom(netip.AddrFrom16(a), 5004), w.bob.addr, hello(t, n))
			time.Sleep(5 * time.Millisecond)
		}
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("the genuine call is prevented: %v %+v", w.alice.names(), w.alice.result(t))
		}
		w.stop()
	})
}

// One datagram of somebody who knows no SSRC does not end the waiting for the
// other side, who begins to listen a little later.
func TestOneDatagramEndsNothing(t *testing.T) {
	old := &wire.Hello{Version: [4]byte{'1', '.', '0', '0'}}
	pin := &wire.Hello{Version: [4]byte{'1', '.', '1', '0'}, ZID: wire.ZID{9}}
	for name, b := range map[string][]byte{
		"old Hello":   wire.AppendPacket(nil, 1, 2, old.Append(nil)),
		"false Hello": wire.AppendPacket(nil, 1, 2, pin.Append(nil)),
		"Error":       wire.AppendPacket(nil, 1, 2, (&wire.Error{Code: wire.ErrorCipher}).Append(nil)),
		"one byte":    {42},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.dial()
				time.Sleep(time.Second)
				w.net.Inject(w.bob.addr, w.alice.addr, b)
				time.Sleep(6 * time.Second)
				w.listen() // Bob comes, 7 of 30 s gone
				time.Sleep(20 * time.Second)
				if _, ok := find[Answered](&w.alice); !ok {
					t.Errorf("call prevented: %v %v", w.alice.names(), w.alice.result(t))
				}
				w.stop()
			})
		})
	}
}

// A stranger who rings and never hangs up does not keep the one place for ever.
func TestNobodyRingsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll, w.bob.conf.Once = false, false
		w.alice.conf.Timeout = 24 * time.Hour // the attacker
		w.run()
		await[Incoming](t, &w.bob)
		time.Sleep(2 * time.Hour)
		if e, ok := find[Ended](&w.bob); !ok {
			t.Errorf("it still rings after two hours: %v %v", w.bob.names(), e)
		}
		w.stop()
	})
}

// The initiator's Hello is not in total_hash (RFC 6189, Section 4.4.1.4). Somebody in the middle has the
// listener say its Hello by one of a newer version (which pins nothing), holds
// the caller's Commit, whose H2 is the MAC key of the caller's Hello, and then
// delivers a Hello with another client and a good MAC, and the Commit. Nothing
// depends on it: the call is as any other.
func TestCallersHelloChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once = false
		var held *wire.Hello
		done := false
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			p, err := wire.ParsePacket(b)
			if from != w.alice.addr || err != nil {
				return b
			}
			m, _ := wire.Parse(append([]byte(nil), p.Message...))
			switch m := m.(type) {
			case *wire.Hello:
				if held == nil {
					held = m
					newer := *m
					newer.Version = [4]byte{'1', '.', '2', '0'}
					w.net.Inject(from, to, wire.AppendPacket(nil, 1, p.SSRC, newer.Append(nil)))
				}
				return nil
			case *wire.Commit:
				if !done {
					done = true
					f := *held
					copy(f.Client[:], "another client  ")
					raw := f.Append(nil)
					mac := wire.ComputeMAC(m.H2[:], raw)
					copy(raw[len(raw)-8:], mac[:])
					w.net.Inject(from, to, wire.AppendPacket(nil, 2, p.SSRC, raw))
				}
			}
			return b
		})
		w.run()
		time.Sleep(time.Minute)
		if got := await[Secured](t, &w.bob).PeerClient; got == clientPrefix {
			t.Error("the Hello was not changed, and nothing is tested")
		}
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("Bob: %v, %d samples sent by his microphone; Alice: %v, %v", w.bob.names(), len(w.bob.mic.said), w.alice.names(), w.alice.result(t))
		}
		w.stop()
	})
}

// The word that it was answered is lost for ten seconds, but sound is not.
func TestAnsweredIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		begin := time.Now()
		w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
			if classify(b) == kindRTCP && from == w.bob.addr && time.Since(begin) < 10*time.Second {
				return nil
			}
			return b
		})
		w.run()
		time.Sleep(time.Minute)
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("Bob: %v, %d samples said; Alice: %v %v", w.bob.names(), len(w.bob.mic.said), w.alice.names(), w.alice.result(t))
		}
		w.stop()
	})
}

// A caller that has proved its address does not lose its place to any number of
// Hellos.
func TestProvenIsNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		n := uint32(0)
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			if p, err := wire.ParsePacket(b); err == nil && from == w.bob.addr {
				if m, _ := wire.Parse(p.Message); m != nil && m.Type() == wire.TypeConfirm1 && n < 4 {
					for range 4 {
						n++
						w.net.Inject(netip.AddrPortFrom(w.alice.addr.Addr(), uint16(10000+n)), w.bob.addr, hello(t, n))
					}
				}
			}
			return b
		})
		w.run()
		time.Sleep(29 * time.Second)
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("four datagrams after Confirm1: Alice: %v %v", w.alice.names(), w.alice.result(t))
		}
		w.stop()
	})
}
