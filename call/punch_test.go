package call

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

var (
	aliceOutside = netip.MustParseAddrPort("203.0.113.1:5004")
	bobOutside   = netip.MustParseAddrPort("198.51.100.1:5004")
)

// punching is a world in which each is behind a NAT and dials the other's.
func punching(t *testing.T, a, b memnet.Dependence) *world {
	w := newWorld(t, 1)
	w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
	w.alice.addr, w.bob.addr = netip.MustParseAddrPort("10.0.0.2:5004"), netip.MustParseAddrPort("10.0.0.3:5004")
	w.alice.path = w.net.NAT(aliceOutside.Addr(), a).Path(w.alice.addr)
	w.bob.path = w.net.NAT(bobOutside.Addr(), b).Path(w.bob.addr)
	return w
}

// call has s dial.
func (s *side) call(t *testing.T, peer netip.AddrPort) {
	t.Helper()
	e, err := NewDialer(s.conf, s.path, []netip.AddrPort{peer}, peer.String())
	if err != nil {
		t.Fatal(err)
	}
	s.start(e)
}

var filterings = []memnet.Dependence{memnet.EndpointIndependent, memnet.AddressDependent, memnet.AddressAndPortDependent}

// Two people behind NATs with each kind of filtering dial each other, at once or
// one some seconds after the other: they are in one call, without a question, and
// hear each other.
func TestDialEachOther(t *testing.T) {
	for _, a := range filterings {
		for _, b := range filterings {
			for _, later := range []time.Duration{0, 7 * time.Millisecond, 5 * time.Second} {
				synctest.Test(t, func(t *testing.T) {
					w := punching(t, a, b)
					for _, s := range []*side{&w.alice, &w.bob} {
						s.mic.frames = 100
						s.conf.HangupAtEOF = true
					}
					w.alice.call(t, bobOutside)
					time.Sleep(later)
					w.bob.call(t, aliceOutside)
					begin := time.Now()
					for _, s := range []*side{&w.alice, &w.bob} {
						if !await[Answered](t, s).Mutual {
							t.Error("somebody is said to have answered")
						}
					}
					if took := time.Since(begin); took > 500*time.Millisecond {
						t.Errorf("%v after the second has dialled", took)
					}
					for s, remote := range map[*side]netip.AddrPort{&w.alice: bobOutside, &w.bob: aliceOutside} {
						r := s.result(t)
						paths := all[PathChanged](s)
						if r.Reason != ReasonNormal || paths[len(paths)-1] != (PathChanged{"punched", s.addr, remote}) {
							t.Errorf("ended with %v: %v; %v", r.Reason, r.Err, paths)
						}
					}
					law := w.alice.conf.Law
					w.bob.ear.understood(t, through(law, w.alice.mic.said[:80*160]))
					w.alice.ear.understood(t, through(law, w.bob.mic.said[:80*160]))
					if ra, rb := await[Secured](t, &w.alice).Role, await[Secured](t, &w.bob).Role; ra == rb {
						t.Errorf("both are %s", ra)
					}
				})
			}
		}
	}
}

// Loss takes Hellos, Commits and words at both sides: they meet all the same.
func TestDialEachOtherWithLoss(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			w := punching(t, memnet.AddressAndPortDependent, memnet.AddressAndPortDependent)
			w.net = memnet.New(seed)
			w.alice.path = w.net.NAT(aliceOutside.Addr(), memnet.AddressAndPortDependent).Path(w.alice.addr)
			w.bob.path = w.net.NAT(bobOutside.Addr(), memnet.AddressAndPortDependent).Path(w.bob.addr)
			w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond, Loss: 0.2, Jitter: 10 * time.Millisecond})
			w.alice.call(t, bobOutside)
			w.bob.call(t, aliceOutside)
			await[Answered](t, &w.alice)
			await[Answered](t, &w.bob)
			w.stop()
		})
	}
}

// No microphone opens before the other side has said, with the keys, that it has
// dialled: here what would say so is lost.
func TestNothingIsSaidBeforeBothHaveDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := punching(t, memnet.AddressDependent, memnet.AddressDependent)
		var mu sync.Mutex
		media := 0
		w.net.SetTap(func(_, _ netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			switch classify(b) {
			case kindRTP:
				media++
			case kindRTCP:
				return nil
			}
			return b
		})
		w.alice.conf.Timeout, w.bob.conf.Timeout = 10*time.Second, 10*time.Second
		w.alice.call(t, bobOutside)
		w.bob.call(t, aliceOutside)
		for _, s := range []*side{&w.alice, &w.bob} {
			await[Secured](t, s)
			if r := s.result(t); r.Reason != ReasonNoAnswer || len(all[Answered](s)) > 0 || len(s.mic.said) > 0 {
				t.Errorf("ended with %v, %d samples said: %v", r.Reason, len(s.mic.said), s.names())
			}
		}
		if media > 0 {
			t.Errorf("%d packets of sound", media)
		}
	})
}

// A securecall from before this word says nothing when it has keys: the caller
// waits for an answer, as ever.
func TestCallerThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.Timeout = 10 * time.Second
		m := newMallory(t, w, wire.ZID{1}, wire.ZID{2}, 1)
		m.toAlice = newHand(t, w.net, w.bob.addr, w.alice.addr, zrtp.Config{
			Initiate: true, ZID: wire.ZID{2}, SSRC: 7, Client: clientPrefix, Rand: seeded(1),
		})
		var his sync.WaitGroup
		his.Go(m.run)
		w.dial()
		await[Secured](t, &w.alice)
		if r := w.alice.result(t); r.Reason != ReasonNoAnswer || len(w.alice.mic.said) > 0 {
			t.Errorf("ended with %v: %v", r.Reason, w.alice.names())
		}
		close(m.over)
		his.Wait()
	})
}

// To a callee `dialled` says nothing: it rings until somebody answers.
func TestCalleeIsAskedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll = false
		w.run()
		await[Ringing](t, &w.alice)
		time.Sleep(5 * time.Second)
		if len(all[Answered](&w.alice))+len(all[Answered](&w.bob)) > 0 || len(w.bob.mic.said) > 0 {
			t.Error("answered by nobody")
		}
		w.bob.e.Do(0, Answer)
		if await[Answered](t, &w.alice).Mutual || await[Answered](t, &w.bob).Mutual {
			t.Error("only one of them has dialled")
		}
		w.stop()
	})
}
