package call

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

var bobSix = netip.MustParseAddrPort("[2001:db8::2]:5004")

// racing is a world in which Bob has two addresses, and Alice calls both.
func racing(t *testing.T, both bool) *world {
	w := newWorld(t, 1)
	w.peers = []netip.AddrPort{bobSix, w.bob.addr}
	w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
	w.listen()
	if both {
		w.net.Also(w.bob.path, bobSix)
	}
	await[Listening](t, &w.bob)
	return w
}

// all are the events of type E.
func all[E Event](s *side) (list []E) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range s.events {
		if ev, ok := ev.(E); ok {
			list = append(list, ev)
		}
	}
	return list
}

// RFC 8305, Section 5: the first address has 200 ms for itself; when nothing has
// come back from it, the next is tried too. Who answers first has the call.
func TestBothFamilies(t *testing.T) {
	for name, test := range map[string]struct {
		both bool          // the first address works
		six  time.Duration // one way
		want int           // which has the call
		told int           // how many were tried
	}{
		"both work":            {true, 20 * time.Millisecond, 0, 1},
		"the first is dead":    {false, 0, 1, 2},
		"the first is slow":    {true, 400 * time.Millisecond, 1, 2},
		"the first is slower":  {true, 185 * time.Millisecond, 0, 2}, // it answers before the second could
		"the first takes ages": {true, 3 * time.Second, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := racing(t, test.both)
				w.net.SetConditions(netip.AddrPort{}, bobSix, memnet.Conditions{Delay: test.six})
				sent := map[netip.AddrPort]int{}
				var settled time.Time
				w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
					if from == w.alice.addr {
						sent[to]++
						if !settled.IsZero() && to != w.peers[test.want] {
							t.Errorf("to %v, when the call was at %v", to, w.peers[test.want])
						}
						if !isHello(b) && settled.IsZero() {
							settled = time.Now()
						}
					}
					return b
				})
				begin := time.Now()
				w.dial()
				await[Answered](t, &w.alice)
				took := time.Since(begin)
				synctest.Wait()
				w.net.SetTap(nil)
				told := all[Dialing](&w.alice)
				if len(told) != test.told || told[0].Addr != bobSix || told[0].Peer != "bob" {
					t.Errorf("told %v", told)
				}
				if got := await[PathChanged](t, &w.alice).Remote; got != w.peers[test.want] {
					t.Errorf("the call is at %v", got)
				}
				if test.want == 1 && took > 500*time.Millisecond {
					t.Errorf("the second address took %v", took)
				}
				w.stop()
			})
		})
	}
}

// A refusal of one address is told, and does not end the other.
func TestOneFamilyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := racing(t, false)
		w.net.SetRefuse(true)
		w.dial()
		await[Answered](t, &w.alice)
		if got := all[Refused](&w.alice); len(got) != 1 || got[0].Addr != bobSix {
			t.Errorf("told %v", got)
		}
		w.stop()
		// And where both do, each is told once.
		w = newWorld(t, 1)
		w.peers = []netip.AddrPort{bobSix, w.bob.addr}
		w.net.SetRefuse(true)
		w.alice.conf.Timeout = 5 * time.Second
		w.dial()
		if r := w.alice.result(t); r.Reason != ReasonUnreachable || len(all[Refused](&w.alice)) != 2 {
			t.Errorf("%v: %v", r.Reason, w.alice.names())
		}
	})
}

// Somebody writes Hellos in the name of an address at which nobody is, and does
// nothing else: the peer at the other one is reached all the same.
func TestFalseHelloAtAnotherAddress(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := racing(t, false)
			if ahead {
				slices.Reverse(w.peers)
			}
			w.dial()
			time.Sleep(10 * time.Millisecond)
			h := &wire.Hello{Version: [4]byte{'1', '.', '1', '0'}, H3: [32]byte{7}, ZID: wire.ZID{7}}
			stop := make(chan struct{})
			go func() { // and he does not tire of it
				for {
					w.net.Inject(bobSix, w.alice.addr, wire.AppendPacket(nil, 7, 7, h.Append(nil)))
					select {
					case <-stop:
						return
					case <-time.After(50 * time.Millisecond):
					}
				}
			}()
			begin := time.Now()
			await[Answered](t, &w.alice)
			if took := time.Since(begin); took > 6*time.Second {
				t.Errorf("after %v", took)
			}
			close(stop)
			w.stop()
		})
	}
}

// What comes from an address that was not dialled is nobody's, even before
// somebody has answered.
func TestStrangerToADialler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := racing(t, false)
		w.bob.cancel()
		w.bob.result(t)
		w.alice.conf.Timeout = 3 * time.Second
		w.dial()
		for range 10 {
			w.net.Inject(address(1), w.alice.addr, hello(t, 1))
			time.Sleep(100 * time.Millisecond)
		}
		if r := w.alice.result(t); r.Reason != ReasonUnreachable {
			t.Errorf("ended with %v: %v", r.Reason, r.Err)
		}
		w.stop()
	})
}
