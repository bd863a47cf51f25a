package zrtp

import (
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// forgedHello is a Hello that nobody sent before, with any hash image and any
// ZID.
func forgedHello(n uint32, ssrc uint32) []byte {
	r := random("stranger", uint64(n))
	var h0 [32]byte
	r.Read(h0[:])
	c := newChain(h0)
	h := &wire.Hello{Version: version, H3: c.h3, KeyAgreements: defaultKeyAgreements}
	r.Read(h.ZID[:])
	return wire.AppendPacket(nil, uint16(n), ssrc, seal(h, c.h2))
}

// "Such an attacker might inject false ZRTP packets to force a ZRTP endpoint to
// engage in an endless series of pointless and expensive DH calculations."
// (Section 9)
//
// Both dial, and while their Commits are under way thousands of Hellos come,
// from anywhere and in the name of either: the exchange completes, nothing is
// answered, and nothing is kept.
func TestHelloFloodDuringContention(t *testing.T) {
	const flood = 500 // at each packet of the exchange, to each end
	for seed := range uint64(4) {
		a, b := pair(seed, true, true)
		a.AllowKey = func(time.Time, bool) bool { return true }
		w := newWorld(t, a, b)
		n := uint32(0)
		w.net = func(*parcel) []time.Duration {
			for i, e := range w.ends {
				if !e.peer.known {
					continue
				}
				queued, state := len(e.queue), e.state
				for range flood {
					n++
					ssrc, want := r2(random("ssrc", uint64(n))), error(DropForeign)
					if n%2 == 0 {
						ssrc, want = e.peer.ssrc, DropHello
					}
					if err := e.Receive(w.now, forgedHello(n, ssrc)); err != want {
						t.Fatalf("a forged Hello to end %d in state %d: %v, want %v", i, e.state, err, want)
					}
				}
				if len(e.queue) != queued || e.state != state || len(e.events) > 2 {
					t.Fatalf("end %d: %d answers, %d events, state %d became %d", i, len(e.queue)-queued, len(e.events), state, e.state)
				}
			}
			return []time.Duration{0}
		}
		w.start()
		w.checkCompletes()
		if n < 4000 {
			t.Errorf("seed %d: only %d Hellos", seed, n)
		}
		if w.sent > 12 {
			t.Errorf("seed %d: %d packets: %v", seed, w.sent, w.trace)
		}
	}
}

// The flood comes before the peer: one of its Hellos wins, and from then on it
// is no better off. An owner that does not take the answers is not made to keep
// more than a few.
func TestHelloFloodBeforeThePeer(t *testing.T) {
	for _, dials := range []bool{false, true} {
		c := config("a", 1)
		c.Initiate = dials
		w := alone(t, c)
		e := w.ends[0]
		for n := range uint32(5000) {
			e.Receive(w.now, forgedHello(n, n))
		}
		if n := len(e.queue); n > 3 {
			t.Errorf("dials %v: %d answers to 5000 Hellos", dials, n)
		}
		if n := len(e.events); n != 1 {
			t.Errorf("dials %v: %d events", dials, n)
		}
		for n := range 5000 { // the winner's, which are answered
			e.Receive(w.now.Add(time.Duration(n)*time.Millisecond), forgedHello(0, 0))
		}
		if n := len(e.queue); n != maxQueue {
			t.Errorf("dials %v: %d packets are kept", dials, n)
		}
		w.drain(0)
		if e.failure != nil || e.keys != nil {
			t.Errorf("dials %v: %+v", dials, e.failure)
		}
	}
}
