package call

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"securecall/nat/memnet"
)

var (
	elsewhere = netip.MustParseAddrPort("198.51.100.7:40000")
	evil      = netip.MustParseAddrPort("203.0.113.66:6666")
)

const oneWay = 20 * time.Millisecond

// hitch is what it takes to follow where the old address was heard just now: a
// packet there, a challenge and its response, and a packet back, with frames of
// 20 ms at both ends.
const hitch = 4*oneWay + 2*20*time.Millisecond

// inCall is a world with a call that has run for two seconds.
func inCall(t *testing.T) *world {
	w := newWorld(t, 1)
	w.conditions(memnet.Conditions{Delay: oneWay})
	w.run()
	w.speak()
	return w
}

func (w *world) speak() {
	await[Answered](w.t, &w.alice)
	await[Answered](w.t, &w.bob)
	time.Sleep(2 * time.Second)
}

// where is where s takes its peer to be, and whether that is proven.
func (s *side) where() (at netip.AddrPort, proven bool) {
	s.idle(func(calls []*running) {
		for _, r := range calls {
			if r == s.e.call(0) {
				at, proven = r.core.here().addr, r.core.here().proven.Load()
			}
		}
	})
	return at, proven
}

// path is the last one that s was told.
func (s *side) lastPath() PathChanged {
	paths := all[PathChanged](s)
	return paths[len(paths)-1]
}

// goesOn: both hear each other without a gap longer than limit since begin, and
// to the end.
func (w *world) goesOn(begin time.Time, limit time.Duration) {
	w.t.Helper()
	for name, s := range map[string]*side{"Alice": &w.alice, "Bob": &w.bob} {
		gap := s.ear.gap(begin)
		w.t.Logf("%s: a gap of %v", name, gap)
		if gap > limit {
			w.t.Errorf("%s heard nothing for %v", name, gap)
		}
	}
}

// A router forgets its mapping in mid-speech: the next packet comes from another
// port, which is challenged first, since the old one was heard just now.
func TestRebinding(t *testing.T) {
	for _, filter := range filterings {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.conditions(memnet.Conditions{Delay: oneWay})
			w.listen()
			router := w.net.NAT(aliceOutside.Addr(), filter)
			w.alice.path = router.Path(netip.MustParseAddrPort("10.0.0.2:5004"))
			w.alice.call(t, w.bob.addr)
			w.speak()
			begin := time.Now()
			for range 5 {
				router.Rebind()
				time.Sleep(3 * time.Second)
			}
			w.goesOn(begin, hitch)
			want := netip.AddrPortFrom(aliceOutside.Addr(), aliceOutside.Port()+5)
			if got := w.bob.lastPath(); got.Remote != want || got.Kind != "direct" || len(all[PathChanged](&w.bob)) != 6 {
				t.Errorf("Bob was told %v, Alice is at %v", all[PathChanged](&w.bob), want)
			}
			w.alice.e.Do(0, Hangup)
			if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonNormal || b.Reason != ReasonNormal {
				t.Errorf("ended with %v and %v", a.Reason, b.Reason)
			}
		})
	}
}

// Two networks within a second: who has moved is told of the second one too.
func TestTwoNetworksInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		third := netip.MustParseAddrPort("203.0.113.99:5004")
		w.net.Move(w.alice.path, elsewhere)
		time.Sleep(500 * time.Millisecond)
		w.net.Move(w.alice.path, third)
		time.Sleep(3 * time.Second)
		if a, b := w.alice.lastPath(), w.bob.lastPath(); a.Local != third || b.Remote != third {
			t.Errorf("told %v and %v", a, b)
		}
		w.stop()
	})
}

// One side goes to another network, at once or after some time without any: the
// other follows as soon as the first packet comes from there, whoever dialled.
func TestAnotherNetwork(t *testing.T) {
	for _, out := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond, 20 * time.Second} {
		for _, bob := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := inCall(t)
				mover, other := &w.alice, &w.bob
				if bob {
					mover, other = &w.bob, &w.alice
				}
				begin := time.Now()
				w.net.Move(mover.path, netip.MustParseAddrPort("10.9.9.9:1")) // a network that leads nowhere
				w.net.SetConditions(netip.MustParseAddrPort("10.9.9.9:1"), netip.AddrPort{}, memnet.Conditions{Loss: 1})
				time.Sleep(out)
				w.net.Move(mover.path, elsewhere)
				time.Sleep(5 * time.Second)
				w.goesOn(begin, out+hitch)
				if at, proven := other.where(); at != elsewhere || !proven {
					t.Errorf("it is taken to be at %v, proven %v", at, proven)
				}
				if got := other.lastPath(); got.Remote != elsewhere {
					t.Errorf("the other side was told %v", got)
				}
				if got := mover.lastPath(); got.Local != elsewhere {
					t.Errorf("who moved was told %v", got)
				}
				other.e.Do(0, Hangup)
				if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonNormal || b.Reason != ReasonNormal {
					t.Errorf("ended with %v and %v", a.Reason, b.Reason)
				}
			})
		}
	}
}

// Both go to another network at once: neither knows where the other is, and the
// call ends as lost; but if one comes back in time, it goes on.
func TestBothMove(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := inCall(t)
			w.net.Move(w.alice.path, elsewhere)
			w.net.Move(w.bob.path, netip.MustParseAddrPort("198.51.100.8:5004"))
			if !back {
				if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonLost || b.Reason != ReasonLost {
					t.Errorf("ended with %v and %v", a.Reason, b.Reason)
				}
				return
			}
			time.Sleep(20 * time.Second)
			w.net.Move(w.bob.path, w.bob.addr)
			begin := time.Now()
			time.Sleep(5 * time.Second)
			w.goesOn(begin, hitch)
			w.stop()
		})
	}
}

// A racer is on the way, and has a copy of each of Alice's packets at Bob's before
// the packet itself, from an address of his own.
type racer struct {
	w     *world
	mu    sync.Mutex
	cut   bool // what they send to each other is lost
	idle  bool // he copies nothing
	relay bool // he passes on what is sent to him
	from  int  // bytes that he sent to Bob
	got   int  // bytes that Bob sent to him
}

func (w *world) race(r *racer) *racer {
	r.w = w
	w.net.SetConditions(evil, netip.AddrPort{}, memnet.Conditions{Delay: oneWay / 4})
	w.net.SetTap(r.tap)
	return r
}

func (r *racer) tap(from, to netip.AddrPort, b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.w
	switch {
	case from == w.alice.addr && to == w.bob.addr && !r.idle:
		r.from += len(b)
		w.net.Inject(evil, w.bob.addr, b)
		if r.cut {
			return nil
		}
	case from == w.bob.addr && to == w.alice.addr && r.cut:
		return nil
	case to == evil && from == w.bob.addr:
		r.got += len(b)
		if r.relay {
			w.net.Inject(evil, w.alice.addr, b)
		}
	case to == evil && r.relay:
		w.net.Inject(evil, w.bob.addr, b)
	}
	return b
}

func (r *racer) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
}

// Who copies each packet and is there first does not gain the call, though he may
// pass on the challenge and its response: the true packets are still heard.
func TestRacer(t *testing.T) {
	for _, relay := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := inCall(t)
			begin := time.Now()
			r := w.race(&racer{relay: relay})
			for range 100 {
				time.Sleep(97 * time.Millisecond)
				if at, _ := w.bob.where(); at != w.alice.addr {
					t.Fatalf("after %v the call is at %v", time.Since(begin), at)
				}
			}
			w.goesOn(begin, 2*20*time.Millisecond)
			r.mu.Lock()
			if r.got > r.from/5 {
				t.Errorf("he got %d bytes for %d", r.got, r.from)
			}
			r.mu.Unlock()
			w.stop()
		})
	}
}

// The path fails for half a second and he goes on. So the call goes to him, with
// no more than three times what he sent, and is back as soon as it works again or
// his address has not answered.
func TestRacerWhileThePathFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		r := w.race(&racer{})
		for range 5 {
			r.set(true)
			time.Sleep(500 * time.Millisecond)
			if at, proven := w.bob.where(); at == evil && proven {
				t.Error("his address is taken for the peer's")
			}
			r.set(false)
			time.Sleep(100 * time.Millisecond)
			if at, _ := w.bob.where(); at != w.alice.addr {
				t.Errorf("0.1 s after the path works again the call is at %v", at)
			}
			time.Sleep(3 * time.Second)
			if at, _ := w.bob.where(); at != w.alice.addr {
				t.Errorf("it is at %v", at)
			}
		}
		r.mu.Lock()
		if r.got > 3*r.from || r.got == 0 {
			t.Errorf("he got %d bytes for %d", r.got, r.from)
		}
		r.mu.Unlock()
		if got := all[PathChanged](&w.bob); len(got) != 1 {
			t.Errorf("Bob was told %v", got)
		}
		w.stop()
	})
}

// While it rings there is no sound to tell a live path by.
func TestRacerWhileItRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: oneWay})
		w.bob.conf.AcceptAll = false
		w.run()
		await[Incoming](t, &w.bob)
		w.race(&racer{})
		time.Sleep(20 * time.Second)
		if at, _ := w.bob.where(); at != w.alice.addr {
			t.Errorf("the call is at %v", at)
		}
		w.bob.e.Do(0, Answer)
		begin := time.Now()
		w.speak()
		w.goesOn(begin.Add(time.Second), 2*20*time.Millisecond)
		if at, _ := w.bob.where(); at != w.alice.addr {
			t.Errorf("the call is at %v", at)
		}
		w.stop()
	})
}

// The direct path fails, and he passes on what both send: he is the way then, and
// reads nothing. When he stops, and both still send to him, the call finds back.
func TestRelayThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		r := w.race(&racer{relay: true, cut: true})
		begin := time.Now()
		time.Sleep(5 * time.Second)
		a, provenA := w.alice.where()
		b, provenB := w.bob.where()
		if a != evil || b != evil || !provenA || !provenB {
			t.Fatalf("he has not got the call: it is at %v and %v", a, b)
		}
		w.goesOn(begin, time.Second)
		begin = time.Now()
		r.mu.Lock()
		r.relay, r.cut, r.idle = false, false, true
		r.mu.Unlock()
		time.Sleep(5 * time.Second)
		w.goesOn(begin, probeEvery+time.Second)
		if at, _ := w.bob.where(); at != w.alice.addr {
			t.Errorf("the call is at %v", at)
		}
		w.stop()
	})
}

// Packets from before, and such as were held back and never came, from another
// address: none of it is newer than what has come, and nothing follows from it.
func TestReplayedFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		var mu sync.Mutex
		var old [][]byte
		toEvil := 0
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if to == evil {
				toEvil++
			}
			if from == w.alice.addr && classify(b) >= kindRTP {
				old = append(old, bytes.Clone(b))
				if classify(b) == kindRTP && len(old)%3 == 0 {
					return nil // of SRTCP there is so little that it would be new for seconds
				}
			}
			return b
		})
		begin := time.Now()
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			for i := range min(20, len(old)-5) {
				w.net.Inject(evil, w.bob.addr, old[i*(len(old)-5)/20])
			}
			mu.Unlock()
		}
		w.bob.idle(func(calls []*running) {
			if n := len(calls[0].core.roam.attempts); n > 0 {
				t.Errorf("%d challenges", n)
			}
		})
		if at, _ := w.bob.where(); at != w.alice.addr || toEvil > 0 {
			t.Errorf("the call is at %v; %d packets to who repeats", at, toEvil)
		}
		w.goesOn(begin, 5*20*time.Millisecond)
		w.stop()
	})
}

// Forged packets with the right SSRC from very many addresses cost a bounded
// number of trials, and Alice, who moves meanwhile, is found all the same.
func TestFloodOfForgedPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		var ssrc uint32
		w.bob.idle(func(calls []*running) { ssrc = calls[0].core.peerSSRC })
		random := rand.NewChaCha8([32]byte{1})
		begin := time.Now()
		const rate, length = 20, 5000 // a millisecond; ms
		for n := range length {
			if n == 1000 {
				w.net.Move(w.alice.path, elsewhere)
			}
			for i := range rate {
				b := make([]byte, 180)
				random.Read(b)
				b[0], b[1] = 0x80, 0
				binary.BigEndian.PutUint32(b[8:], ssrc)
				if i%4 == 0 {
					b[1] = 200
					binary.BigEndian.PutUint32(b[4:], ssrc)
				}
				w.net.Inject(address(n*rate+i), w.bob.addr, b)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if at, proven := w.bob.where(); at != elsewhere || !proven {
			t.Errorf("the call is at %v", at)
		}
		w.goesOn(begin, 2*time.Second)
		w.alice.e.Do(0, Hangup)
		w.alice.result(t)
		r := w.bob.result(t)
		tried := r.Stats.Dropped["auth"] + r.Stats.Dropped["replay"] + r.Stats.Dropped["malformed"]
		if most := uint64(strayBurst + strayRate*(length+2000)/1000); tried > most || tried < strayRate {
			t.Errorf("%d trials, at most %d should be", tried, most)
		}
	})
}

// Somebody writes a third party's address into copies of packets while the path
// fails: that one gets at most three times what was written in its name.
func TestThirdPartyIsNotFlooded(t *testing.T) {
	for _, copies := range []int{1, 2, 10, 500} {
		synctest.Test(t, func(t *testing.T) {
			w := inCall(t)
			var mu sync.Mutex
			written, got := 0, 0
			w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case to == evil:
					got += len(b)
				case from == w.alice.addr:
					if copies > 0 {
						copies--
						written += len(b)
						w.net.Inject(evil, w.bob.addr, b)
					}
					return nil
				}
				return b
			})
			time.Sleep(10 * time.Second)
			mu.Lock()
			if got > 3*written || got == 0 {
				t.Errorf("%d bytes for %d", got, written)
			}
			mu.Unlock()
			if at, proven := w.bob.where(); at == evil && proven {
				t.Error("taken for the peer")
			}
			w.net.SetTap(nil)
			w.stop()
		})
	}
}

// A listener with other callers, and a flood of Hellos, finds the call that has
// moved by its SSRC.
func TestMoveAmongStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inCall(t)
		other := newWorld(t, 2)
		other.net, other.bob.addr = w.net, w.bob.addr
		other.alice.addr = netip.MustParseAddrPort("192.0.2.9:5004")
		begin := time.Now()
		for n := range 3000 {
			switch n {
			case 500:
				other.dial()
			case 1000:
				w.net.Move(w.alice.path, elsewhere)
			}
			w.net.Inject(address(n), w.bob.addr, hello(t, uint32(n)))
			time.Sleep(time.Millisecond)
		}
		if r := other.alice.result(t); r.Reason != ReasonBusy {
			t.Errorf("the other caller: %v", r.Reason)
		}
		w.goesOn(begin, 200*time.Millisecond)
		if at, _ := w.bob.where(); at != elsewhere {
			t.Errorf("the call is at %v", at)
		}
		w.stop()
	})
}

// A peer that has not said that it follows: its address stays what it is. So do
// those of all endpoints that are no securecall.
func TestStaysWithOthers(t *testing.T) {
	for _, able := range []bool{false, true} {
		now := time.Now()
		c, peer := secureCore(t, now)
		messages := []message{{1, wordAnswered, nil}}
		if able {
			messages = append(messages, message{2, wordFollows, nil})
		}
		app := &rtcp.ApplicationDefined{SSRC: 2, Name: appName, Data: appData{messages: messages}.append(nil)}
		say := func(from netip.AddrPort) {
			t.Helper()
			plain, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 2}, app})
			if err != nil {
				t.Fatal(err)
			}
			b, err := peer.srtp.AppendRTCP(nil, plain)
			if err != nil {
				t.Fatal(err)
			}
			c.Receive(now, kindRTCP, from, b)
		}
		c.remote = address(1)
		c.media.at.Store(provenPlace(c.remote))
		say(c.remote)
		now = now.Add(time.Second)
		say(elsewhere)
		if moved := c.remote == elsewhere; moved != able {
			t.Errorf("follows %v: at %v", able, c.remote)
		}
	}
}

// Of several addresses, each with fresh packets, no more than a few are under
// challenge at once.
func TestAttemptsAreBounded(t *testing.T) {
	now := time.Now()
	c, _ := secureCore(t, now)
	c.roam.able = true
	c.remote = address(0)
	c.media.at.Store(provenPlace(c.remote))
	for n := range 1000 {
		if n%50 == 0 { // a silence, and the next address has the call for a while
			now = now.Add(oldQuiet)
		}
		c.elsewhere(now, address(n), 100)
		c.here().came(now.Sub(c.media.begun), 100)
		here := slices.ContainsFunc(c.roam.attempts, func(a *attempt) bool { return a.place == c.here() })
		if !here && !c.here().proven.Load() {
			t.Fatal("nobody asks any more whether the peer is where it is taken to be")
		}
		now = now.Add(time.Millisecond)
		if len(c.roam.attempts) > maxAttempts {
			t.Fatalf("%d attempts", len(c.roam.attempts))
		}
	}
	for range 50 {
		now = now.Add(100 * time.Millisecond)
		c.Tick(now)
	}
	if len(c.roam.attempts) > 0 || c.remote != address(0) || !c.at[timerPath].IsZero() {
		t.Errorf("%d attempts are left; at %v", len(c.roam.attempts), c.remote)
	}
}
