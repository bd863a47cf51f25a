package zrtp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// A cache is what an end of the tests keeps, for one peer. It follows RFC
// 6189, Section 4.6.1: rs2 is what rs1 was.
type cache struct{ rs1, rs2 []byte }

func (c *cache) lookUp(wire.ZID) Retained {
	return Retained{RS1: bytes.Clone(c.rs1), RS2: bytes.Clone(c.rs2), Verified: true}
}

func (c *cache) update(r Retain) {
	if !r.KeepRS2 {
		c.rs2 = c.rs1
	}
	c.rs1 = bytes.Clone(r.RS1)
}

// callAgain is one more call between two ends that keep secrets. Without a
// mismatch each end that is secure updates its cache.
func callAgain(t *testing.T, seed uint64, a, b *cache, edit ...func(a, b *Config)) *world {
	t.Helper()
	x, y := config("a", 1), config("b", 1) // the same ZIDs in every call
	x.Initiate = true
	x.Rand, y.Rand = random("a's call", seed), random("b's call", seed)
	x.Retained, y.Retained = a.lookUp, b.lookUp
	for _, f := range edit {
		f(&x, &y)
	}
	w := newWorld(t, x, y).start()
	if !w.runUntil(time.Minute, w.bothSecure) {
		t.Fatalf("call %d: not secure", seed)
	}
	w.checkSecure()
	for i, c := range []*cache{a, b} {
		k := w.ends[i].keys
		if len(k.Retain.RS1) != 32 || k.Retain.Expiry != Forever {
			t.Fatalf("call %d: end %d retains %d bytes for %d s", seed, i, len(k.Retain.RS1), k.Retain.Expiry)
		}
		if k.Continuity != Mismatch {
			c.update(k.Retain)
		}
	}
	return w
}

func (w *world) continuity() [2]Match {
	return [2]Match{w.ends[0].keys.Continuity, w.ends[1].keys.Continuity}
}

// "If the initiator's rs1 matches the responder's rs1 or rs2, then s1 MUST be
// set to the initiator's rs1. If and only if that match fails, then if the
// initiator's rs2 matches the responder's rs1 or rs2, then s1 MUST be set to
// the initiator's rs2. If that match also fails, then s1 MUST be set to null."
// (Section 4.3)
//
// "A shared secret cache mismatch is defined to mean that we expected a cache
// match because rs1 exists in our local cache, but we computed a null value
// for s1" (Section 4.3.2)
func TestMatchingSecrets(t *testing.T) {
	one, two, three, four := []byte{1, 1}, []byte{2, 2}, []byte{3, 3}, []byte{4, 4}
	for _, c := range []struct {
		initiator, responder cache
		s1                   []byte
		i, r                 Match
	}{
		{cache{}, cache{}, nil, None, None},
		{cache{one, nil}, cache{one, nil}, one, Matched, Matched},
		{cache{one, two}, cache{one, two}, one, Matched, Matched},
		{cache{one, two}, cache{three, one}, one, Matched, Matched}, // the initiator is one call behind
		{cache{three, one}, cache{one, two}, one, Matched, Matched}, // the responder is
		{cache{one, two}, cache{two, one}, one, Matched, Matched},   // the initiator's rs1 decides
		{cache{three, one}, cache{four, one}, one, Matched, Matched},
		{cache{one, two}, cache{three, four}, nil, Mismatch, Mismatch}, // two calls behind
		{cache{one, nil}, cache{}, nil, Mismatch, None},                // the responder lost its cache
		{cache{}, cache{one, two}, nil, None, Mismatch},                // the initiator did
	} {
		u := suite{hash: wire.S256}
		ids := func(c cache, r Role) *wire.DHPart {
			m := &wire.DHPart{RS1ID: wire.ID{9}, RS2ID: wire.ID{8}} // "a random value"
			if c.rs1 != nil {
				m.RS1ID = u.id(c.rs1, []byte(r.name()))
			}
			if c.rs2 != nil {
				m.RS2ID = u.id(c.rs2, []byte(r.name()))
			}
			return m
		}
		i, r := secrets{rs1: c.initiator.rs1, rs2: c.initiator.rs2}, secrets{rs1: c.responder.rs1, rs2: c.responder.rs2}
		i.match(u, Initiator, ids(c.responder, Responder), [32]byte{})
		r.match(u, Responder, ids(c.initiator, Initiator), [32]byte{})
		if !bytes.Equal(i.s1, c.s1) || !bytes.Equal(r.s1, c.s1) || i.rs != c.i || r.rs != c.r {
			t.Errorf("%v and %v: s1 is %x and %x (%v, %v), not %x (%v, %v)",
				c.initiator, c.responder, i.s1, r.s1, i.rs, r.rs, c.s1, c.i, c.r)
		}
	}
}

// Calls in a row: new, then the same person; who calls whom does not matter.
func TestContinuity(t *testing.T) {
	var a, b cache
	if got := callAgain(t, 1, &a, &b).continuity(); got != [2]Match{None, None} {
		t.Fatalf("first call: %v", got)
	}
	if !bytes.Equal(a.rs1, b.rs1) || len(a.rs1) != 32 || a.rs2 != nil {
		t.Fatal("the two caches differ")
	}
	first := a.rs1
	w := callAgain(t, 2, &a, &b)
	if got := w.continuity(); got != [2]Match{Matched, Matched} {
		t.Fatalf("second call: %v", got)
	}
	// "each party sends the SAS Verified flag from the previous session in the
	// Confirm message of the current session" (Section 7.1)
	for i, e := range w.ends {
		if !e.keys.Verified || !e.keys.PeerV {
			t.Errorf("end %d: V %v, the peer's %v", i, e.keys.Verified, e.keys.PeerV)
		}
	}
	// "each party first discards their old rs2 and copies their old rs1 to rs2"
	// (Section 4.6.1)
	if !bytes.Equal(a.rs2, first) || bytes.Equal(a.rs1, first) || !bytes.Equal(a.rs1, b.rs1) {
		t.Error("rs1 and rs2 are not what they should be after the second call")
	}
	turned := callAgain(t, 3, &a, &b, func(a, b *Config) { a.Initiate, b.Initiate = false, true })
	if got := turned.continuity(); got != [2]Match{Matched, Matched} {
		t.Fatalf("the other way: %v", got)
	}
}

// One end's cache is a call behind, lost, or restored from an older backup.
func TestCachesOutOfStep(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(a *cache, first, second cache)
		want [2]Match
	}{
		"one call behind":  {func(a *cache, _, second cache) { *a = second }, [2]Match{Matched, Matched}},
		"two calls behind": {func(a *cache, first, _ cache) { *a = first }, [2]Match{Mismatch, Mismatch}},
		"lost":             {func(a *cache, _, _ cache) { *a = cache{} }, [2]Match{None, Mismatch}},
	} {
		for _, harmed := range []int{0, 1} {
			var a, b cache
			callAgain(t, 1, &a, &b)
			first := a
			callAgain(t, 2, &a, &b)
			second := a
			callAgain(t, 3, &a, &b)
			want := c.want
			if harmed == 0 {
				c.harm(&a, first, second)
			} else {
				c.harm(&b, first, second)
				want[0], want[1] = want[1], want[0]
			}
			w := callAgain(t, 4, &a, &b)
			if got := w.continuity(); got != want {
				t.Errorf("%s, end %d: %v, want %v", what, harmed, got, want)
			}
			for i, e := range w.ends {
				if e.keys.Verified != (want[i] == Matched) {
					t.Errorf("%s, end %d: end %d sends V = %v with continuity %v", what, harmed, i, e.keys.Verified, want[i])
				}
			}
			if want[0] == Matched && callAgain(t, 5, &a, &b).continuity() != want {
				t.Errorf("%s, end %d: no match again after that", what, harmed)
			}
		}
	}
}

// "If no secret of a given type is available, a random value is generated and
// used for that secret to ensure a mismatch in the hash comparisons" (Section
// 4.3): the IDs of a stranger and of a friend look alike, and none
// but rs2's was ever sent before.
func TestIDsTellNothing(t *testing.T) {
	var a, b cache
	seen := map[wire.ID]bool{}
	for n := range uint64(3) {
		callAgain(t, n+1, &a, &b, func(a, b *Config) {
			if n > 0 {
				a.Auxiliary, b.Auxiliary = []byte("family key"), []byte("family key")
			}
		})
		x, y := config("a", 1), config("b", 1)
		x.Initiate = true
		x.Rand, y.Rand = random("a", 100+n), random("b", 100+n)
		x.Retained, y.Retained = a.lookUp, b.lookUp
		w := newWorld(t, x, y)
		for _, kind := range []wire.Type{dhPart1, dhPart2} {
			m := parsed(t, w.capture(kind)).(*wire.DHPart)
			for _, id := range []wire.ID{m.RS1ID, m.AuxID, m.PBXID} { // rs2's is what rs1's was
				if seen[id] || id == (wire.ID{}) {
					t.Errorf("call %d, %v: ID %x", n, kind, id)
				}
				seen[id] = true
			}
		}
	}
}

// "The shared secret s2 MUST be set to the value of auxsecret if and only if
// both parties have matching values for auxsecret ... If they don't match, s2
// MUST be set to null." (Section 4.3) "An auxsecret mismatch is defined to mean
// that auxsecret exists locally, but we computed a null value for s2 ... If
// auxsecret matches, it should not excuse a mismatch of rs1" (Section 4.3.2)
func TestAuxiliarySecret(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want [2]Match
	}{
		{"", "", [2]Match{None, None}},
		{"one", "one", [2]Match{Matched, Matched}},
		{"one", "two", [2]Match{Mismatch, Mismatch}},
		{"one", "", [2]Match{Mismatch, None}},
		{"", "two", [2]Match{None, Mismatch}},
	} {
		var a, b cache
		for call := range uint64(2) {
			w := callAgain(t, call, &a, &b, func(x, y *Config) {
				x.Auxiliary, y.Auxiliary = octetsOf(c.a), octetsOf(c.b)
			})
			if got := [2]Match{w.ends[0].keys.Auxiliary, w.ends[1].keys.Auxiliary}; got != c.want {
				t.Errorf("%q and %q: %v, want %v", c.a, c.b, got, c.want)
			}
		}
		b = cache{}
		w := callAgain(t, 3, &a, &b, func(x, y *Config) { x.Auxiliary, y.Auxiliary = octetsOf(c.a), octetsOf(c.b) })
		if got := w.continuity(); got != [2]Match{Mismatch, None} {
			t.Errorf("%q and %q excuse a mismatch of rs1: %v", c.a, c.b, got)
		}
	}
}

func octetsOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// "If a ZRTP endpoint does not support the caching of shared secrets, it MUST
// set the cache expiration interval to zero, and MUST set the SAS Verified (V)
// flag ... to false." (Section 4.9.1) "The actual cache interval used by both
// endpoints is the minimum of the values" (Section 4.9)
func TestCacheless(t *testing.T) {
	for _, cacheless := range [][2]bool{{true, false}, {false, true}, {true, true}} {
		a, b := dialAndListen(3)
		for i, c := range []*Config{&a, &b} {
			if !cacheless[i] {
				c.Retained = (&cache{}).lookUp
			}
		}
		w := newWorld(t, a, b).start().run(time.Second)
		w.checkSecure()
		for i, e := range w.ends {
			if e.keys.Retain.Expiry != 0 || cacheless[1-i] && e.keys.PeerV || cacheless[i] && e.keys.Verified {
				t.Errorf("%v, end %d: expiry %d, V %v, the peer's %v", cacheless, i, e.keys.Retain.Expiry, e.keys.Verified, e.keys.PeerV)
			}
		}
	}
}

// "Otherwise" than with the same caches, nobody has the same keys: the secret
// really goes into s0 (Section 4.4.1.4), so that a man in the middle of the
// second call, who has not the first one's, is seen by both.
func TestManInTheMiddleOfTheSecondCall(t *testing.T) {
	var a, b cache
	callAgain(t, 1, &a, &b)
	for i, c := range []*cache{&a, &b} { // he plays each to the other
		var none cache
		w := callAgain(t, 2, c, &none)
		if got := w.continuity(); got != [2]Match{Mismatch, None} {
			t.Errorf("end %d: %v", i, got)
		}
	}
	if a.rs1 == nil || !bytes.Equal(a.rs1, b.rs1) {
		t.Error("the mismatch changed a cache")
	}
}

// A cache is changed only where both sides have confirmed: whatever two
// packets are lost, doubled or swapped, the next call matches again.
func TestContinuityOverLosses(t *testing.T) {
	for seed := range uint64(60) {
		var a, b cache
		r := rand.New(random("net", seed))
		for call := range uint64(5) {
			x, y := config("a", 1), config("b", 1)
			x.Initiate, y.Initiate = call%2 == 0, call%2 == 1
			x.Rand, y.Rand = random("a", 10*seed+call), random("b", 10*seed+call)
			x.Retained, y.Retained = a.lookUp, b.lookUp
			w := newWorld(t, x, y)
			w.net = func(*parcel) []time.Duration {
				if r.Float64() < 0.15 {
					return nil
				}
				return []time.Duration{0}
			}
			w.start()
			if !w.runUntil(time.Minute, w.bothSecure) {
				t.Fatalf("seed %d, call %d: not secure\n%v", seed, call, w.trace)
			}
			w.checkSecure()
			want := [2]Match{Matched, Matched}
			if call == 0 {
				want = [2]Match{}
			}
			if got := w.continuity(); got != want {
				t.Fatalf("seed %d, call %d: %v", seed, call, got)
			}
			// The program of one of them is killed before it wrote the cache.
			killed := r.IntN(6)
			for i, c := range []*cache{&a, &b} {
				if i != killed || call == 0 {
					c.update(w.ends[i].keys.Retain)
				}
			}
			if killed < 2 && call > 0 { // and the next call must go well, or they lose each other
				callAgain(t, 1000+10*seed+call, &a, &b)
			}
		}
	}
}

// The secrets of the cache are wiped when they have gone into s0, or the
// session ends (Section 4.4.1.4: "DHResult, s1, s2, and s3 MUST all be erased").
func TestRetainedSecretsAreWiped(t *testing.T) {
	var handed [][]byte
	lookUp := func(wire.ZID) Retained {
		r := Retained{RS1: []byte{1, 2, 3}, RS2: []byte{4, 5, 6}}
		handed = append(handed, r.RS1, r.RS2)
		return r
	}
	a, b := dialAndListen(1)
	a.Retained, b.Retained = lookUp, lookUp
	newWorld(t, a, b).start().run(time.Second).checkSecure()
	w := newWorld(t, a, b)
	w.capture(commit)
	w.ends[0].Close()
	if len(handed) != 2*2+2 || slices.ContainsFunc(handed, func(b []byte) bool { return !zero(b) }) {
		t.Errorf("left: %v", handed)
	}
}

// A departure (docs/notes/interrupted-calls.md): however many calls in a row
// lose Conf2ACK and all that follows it, the next one is no alarm.
func TestTwoInterruptions(t *testing.T) {
	var a, b cache
	callAgain(t, 1, &a, &b)
	for call := range uint64(4) {
		x, y := config("a", 1), config("b", 1)
		x.Initiate, y.Initiate = call < 2, call >= 2
		x.Rand, y.Rand = random("a", 50+call), random("b", 50+call)
		x.Retained, y.Retained = a.lookUp, b.lookUp
		w := newWorld(t, x, y)
		w.net = func(p *parcel) []time.Duration {
			if p.kind == conf2ACK {
				return nil
			}
			return []time.Duration{0}
		}
		w.start().run(time.Minute)
		for i, c := range []*cache{&a, &b} {
			e := w.ends[i]
			if e.keys == nil || e.keys.Continuity != Matched {
				t.Fatalf("interrupted call %d, end %d: %+v", call, i, e.keys)
			}
			if e.secured > 0 {
				c.update(e.keys.Retain)
			}
		}
	}
	if got := callAgain(t, 99, &a, &b).continuity(); got != [2]Match{Matched, Matched} {
		t.Errorf("the call after them: %v", got)
	}
}
