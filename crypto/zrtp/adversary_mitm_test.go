package zrtp

import (
	"bytes"
	"io"
	"testing"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// A man in the middle with an exchange of his own on either side.

// between is a call of Alice and Bob with Mallory in between, who speaks to
// either in the name of the other.
func between(t *testing.T, alice, bob Config, seed uint64, edit ...func(toAlice, toBob *Config)) (left, right *world) {
	t.Helper()
	toAlice, toBob := config("mallory to alice", seed), config("mallory to bob", seed)
	toAlice.ZID, toAlice.SSRC, toAlice.Initiate = bob.ZID, bob.SSRC, bob.Initiate
	toBob.ZID, toBob.SSRC, toBob.Initiate = alice.ZID, alice.SSRC, alice.Initiate
	toAlice.Retained, toBob.Retained = (&cache{}).lookUp, (&cache{}).lookUp
	for _, e := range edit {
		e(&toAlice, &toBob)
	}
	left = newWorld(t, alice, toAlice).start().run(time.Second)
	right = newWorld(t, toBob, bob).start().run(time.Second)
	left.checkSecure()
	right.checkSecure()
	return left, right
}

// Both are told when somebody comes between two who have spoken before, whether
// or not they compare the SAS; and those differ, as in the first call.
//
// "It is possible for both parties to detect this condition if both parties have
// surviving cached secrets that have fallen out of sync" (Section 4.3.2)
func TestManInTheMiddleOfFriends(t *testing.T) {
	begun := newFriends(t, wire.EC25, false)
	for seed := range uint64(200) {
		f := *begun
		f.calls = 10 * seed
		f.dials[1] = seed%2 == 1
		c := f.configs()
		left, right := between(t, c[0], c[1], seed)
		a, b := left.ends[0].keys, right.ends[1].keys
		if a.SASValue == b.SASValue {
			t.Fatalf("seed %d: both read %08x", seed, a.SASValue)
		}
		if a.Continuity != Mismatch || b.Continuity != Mismatch {
			t.Fatalf("seed %d: continuity %v and %v", seed, a.Continuity, b.Continuity)
		}
		// Bob has compared a SAS with Alice once: that does not count here.
		if a.Verified || b.Verified {
			t.Fatalf("seed %d: verified %v and %v", seed, a.Verified, b.Verified)
		}
	}
}

// "If they don't match, s2 MUST be set to null ... An auxsecret mismatch is
// defined to mean that auxsecret exists locally, but we computed a null value"
// (Sections 4.3 and 4.3.2): two who have agreed on a secret see him in their first
// call.
func TestManInTheMiddleWithoutTheAuxiliarySecret(t *testing.T) {
	for seed := range uint64(200) {
		alice, bob := dialAndListen(seed)
		for _, c := range []*Config{&alice, &bob} {
			c.Algorithms.KeyAgreements = []wire.Name{wire.EC25}
			c.Auxiliary = []byte("the family's key, 24 long")
		}
		left, right := between(t, alice, bob, seed)
		a, b := left.ends[0].keys, right.ends[1].keys
		if a.SASValue == b.SASValue {
			t.Fatalf("seed %d: both read %08x", seed, a.SASValue)
		}
		if a.Auxiliary != Mismatch || b.Auxiliary != Mismatch {
			t.Fatalf("seed %d: auxsecret %v and %v", seed, a.Auxiliary, b.Auxiliary)
		}
	}
}

// searcher is Mallory as initiator towards Bob, who has Bob's DHPart1 and now
// looks for a share of his own that gives the SAS he needs: six bits of it here,
// so that he finds one. With the hybrid his KEM key stands in Commit, and
// the X25519 value is what he may vary.
func searcher(t *testing.T, agrees wire.Name, sas byte) (w *world, found dh.Key) {
	t.Helper()
	mallory, bob := dialAndListen(41)
	mallory.Algorithms.KeyAgreements = []wire.Name{agrees}
	bob.Algorithms.KeyAgreements = mallory.Algorithms.KeyAgreements
	var drawn bytes.Buffer
	mallory.Rand = io.TeeReader(mallory.Rand, &drawn)
	w = newWorld(t, mallory, bob)
	answer := w.capture(dhPart1)
	m := w.ends[0].Session
	q, err := wire.ParsePacket(answer)
	if err != nil {
		t.Fatal(err)
	}
	part1 := parsed(t, answer).(*wire.DHPart)
	agreement, _ := dh.Lookup(agrees)
	share := func(n uint64) dh.Key {
		var same []byte
		if agrees == wire.XM76 {
			same = drawn.Bytes()[32+2+4*8:][:64] // H0, the sequence number, four IDs, and then ML-KEM's seed
		}
		key, err := agreement.Initiate(io.MultiReader(bytes.NewReader(same), random("share", n)))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for n := range uint64(10_000) {
		key := share(n)
		part2 := seal(&wire.DHPart{Part: 2, H1: m.chain.h1, PV: key.Public()}, m.chain.h0)
		result, err := key.Shared(part1.PV)
		if err != nil {
			t.Fatal(err)
		}
		context := m.suite.context(mallory.ZID, bob.ZID, m.peer.raw, m.exchange.commit, q.Message, part2)
		if m.suite.derive(m.suite.s0(result, context, nil, nil), context).sasHash[0]>>2 == sas {
			return w, share(n)
		}
	}
	t.Fatal("he finds none")
	return nil, nil
}

// "Without this hash commitment feature, a MiTM attacker would acquire both the
// pvi and pvr public values from the two parties before having to choose his own
// two DH public values ... A hash commitment precludes this attack by forcing the
// MiTM to choose his own two DH public values before learning the public values
// of either of the two parties." (Section 4.4.1.1)
//
// With X25519 and with the hybrid: a share chosen after DHPart1 is not what he
// committed to, and he cannot commit anew.
func TestShareChosenAfterTheOther(t *testing.T) {
	const sas = 0x2a
	for _, agrees := range []wire.Name{wire.X255, wire.XM76} {
		// Without the commitment he would have what he wants.
		w, found := searcher(t, agrees, sas)
		m, bob := w.ends[0], w.ends[1]
		recommit(m.Session, found.Public(), false)
		m.key, bob.hvi = found, m.suite.hvi(m.dhPart2, m.peer.raw)
		w.run(time.Second).checkSecure()
		if got := bob.keys.SASHash[0] >> 2; got != sas {
			t.Fatalf("%v: the search is wrong: %#x", agrees, got)
		}

		// With it, no.
		w, found = searcher(t, agrees, sas)
		recommit(w.ends[0].Session, found.Public(), false)
		w.run(time.Second).checkFailed(1, wire.ErrorHVI)

		// Nor with a Commit to it that comes after DHPart1.
		w, found = searcher(t, agrees, sas)
		m, bob = w.ends[0], w.ends[1]
		recommit(m.Session, found.Public(), true)
		if err := w.inject(1, wire.AppendPacket(nil, 99, m.config.SSRC, m.exchange.commit)); err != DropChanged {
			t.Errorf("%v: another Commit after DHPart1: %v", agrees, err)
		}
		w.inject(1, wire.AppendPacket(nil, 100, m.config.SSRC, m.dhPart2))
		if f := bob.failure; f == nil || f.Code != wire.ErrorHVI || bob.keys != nil {
			t.Errorf("%v: %+v", agrees, f)
		}
	}
}

// On the other side Mallory is the responder, and the first to show his share:
// when DHPart2 has told him what the SAS will be, another DHPart1, be it another
// X25519 value or another ciphertext, comes too late.
func TestShareChosenAfterTheInitiators(t *testing.T) {
	for _, agrees := range []wire.Name{wire.X255, wire.XM76} {
		alice, mallory := dialAndListen(42)
		alice.Algorithms.KeyAgreements = []wire.Name{agrees}
		mallory.Algorithms.KeyAgreements = alice.Algorithms.KeyAgreements
		w := newWorld(t, alice, mallory)
		w.capture(dhPart2)
		before := bytes.Clone(w.ends[0].dhPart1)
		agreement, _ := dh.Lookup(agrees)
		theirs := parsedMessage(t, w.ends[0].exchange.commit).(*wire.Commit)
		m := w.ends[1].Session
		for n := range uint64(20) {
			key, err := agreement.Respond(random("share", n), theirs.KEM)
			if err != nil {
				t.Fatal(err)
			}
			part1 := seal(&wire.DHPart{Part: 1, H1: m.chain.h1, PV: key.Public()}, m.chain.h0)
			if err := w.inject(0, wire.AppendPacket(nil, uint16(n), mallory.SSRC, part1)); err != DropUnexpected {
				t.Fatalf("%v: DHPart1 after DHPart2: %v", agrees, err)
			}
		}
		if !bytes.Equal(w.ends[0].dhPart1, before) {
			t.Fatal("another DHPart1 counts")
		}
		w.checkCompletes() // with the first one, whatever SAS that gives
	}
}

// "If someone steals your ZRTP shared secret cache, they only get one chance to
// mount a MiTM attack, in the very next session. If they miss that chance, the
// retained shared secret is refreshed with a new value" (Section 15.1)
//
// With rs2 they have a chance more: what was rs1 when it was stolen is the other
// side's rs2 after one genuine call, and nothing after two.
func TestStolenCache(t *testing.T) {
	for genuine, want := range []Match{Matched, Matched, Mismatch, Mismatch} {
		for _, calls := range []bool{true, false} { // he calls Bob in Alice's name, or answers in it
			f := newFriends(t, wire.EC25, false)
			stolen := f.caches[0]
			for range genuine {
				f.call(t, nil, plain).checkTold()
			}
			thief := *f
			thief.caches[0] = stolen
			thief.dials = [2]bool{calls, !calls}
			bob := thief.call(t, nil, plain).ends[1].keys
			if bob.Continuity != want || bob.Verified != (want == Matched) {
				t.Errorf("after %d genuine calls Bob is told %v, verified %v", genuine, bob.Continuity, bob.Verified)
			}
			if want == Mismatch {
				if !bytes.Equal(thief.caches[1].rs1, f.caches[1].rs1) {
					t.Error("the mismatch changed Bob's cache")
				}
				continue
			}
			// Once more, and it is the real Alice who is another: the theft shows.
			thief.call(t, nil, plain)
			f.caches[1] = thief.caches[1]
			if got := f.call(t, nil, plain).continuity(); got != [2]Match{Mismatch, Mismatch} {
				t.Errorf("after %d genuine calls and two of the thief's Alice and Bob are told %v", genuine, got)
			}
		}
	}
}

// In the middle of the next call the thief is not seen by the cache, at either
// end; the SAS still tells.
func TestStolenCacheInTheMiddle(t *testing.T) {
	begun := newFriends(t, wire.EC25, false)
	for seed := range uint64(50) {
		f := *begun
		f.calls = 10 * seed
		c := f.configs()
		left, right := between(t, c[0], c[1], seed, func(toAlice, toBob *Config) {
			stolen := f.caches[0]
			toAlice.Retained, toBob.Retained = stolen.lookUp, stolen.lookUp
		})
		a, b := left.ends[0].keys, right.ends[1].keys
		if a.Continuity != Matched || b.Continuity != Matched {
			t.Fatalf("seed %d: continuity %v and %v", seed, a.Continuity, b.Continuity)
		}
		if a.SASValue == b.SASValue {
			t.Fatalf("seed %d: both read %08x", seed, a.SASValue)
		}
	}
}

// "Both parties calculate a set of non-invertible hashes ... of shared secrets
// that may be present in each of their caches" (Section 4.3.1). They are in the
// clear, so that one who began a call with Alice and broke it off knows rs1IDi,
// which is the same until her next call with Bob. By it Bob takes him for Alice;
// but s1 is in s0 (Section 4.4.1.4), and without rs1 he has neither keys nor a
// Confirm.
func TestOverheardIDs(t *testing.T) {
	f := newFriends(t, wire.EC25, false)
	c := f.configs()
	alice, bob := c[0], c[1]
	toAlice, toBob := config("mallory to alice", 1), config("mallory to bob", 1)
	toAlice.ZID, toBob.ZID, toBob.Initiate = bob.ZID, alice.ZID, true
	overheard := parsed(t, newWorld(t, alice, toAlice).capture(dhPart2)).(*wire.DHPart)

	w := newWorld(t, toBob, bob)
	w.capture(commit)
	m := w.ends[0].Session
	part := &wire.DHPart{Part: 2, H1: m.chain.h1, RS1ID: overheard.RS1ID, RS2ID: overheard.RS2ID, PV: m.key.Public()}
	m.dhPart2 = seal(part, m.chain.h0)
	m.hvi = m.suite.hvi(m.dhPart2, m.peer.raw)
	promise := m.suite.commit(m)
	promise.HVI = m.hvi
	m.exchange.commit = seal(promise, m.chain.h1)
	m.t2.message = m.exchange.commit
	w.capture(confirm1)
	if w.ends[1].secrets.rs != Matched {
		t.Fatal("the IDs are not Alice's")
	}
	w.ends[0].role = Initiator
	guess, err := w.ends[0].makeConfirm(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.inject(1, wire.AppendPacket(nil, 1, toBob.SSRC, guess)); err != DropMAC {
		t.Errorf("Confirm2 without rs1: %v", err)
	}
	w.run(time.Minute)
	for i, e := range w.ends {
		if e.keys != nil || e.secured > 0 || e.failure == nil {
			t.Errorf("end %d: keys %v, %+v", i, e.keys != nil, e.failure)
		}
	}
}

// One who uses the copy again and again, between any two calls of Alice and Bob
// (he need not be on their path: to begin a call and break it off once it is
// secure will do), is not seen by the cache, since each of them is at most one
// call behind. Two calls without one of his between them lock him out. The
// caches cannot do more, which is why a verification must be taken away where a
// copy may have been made.
func TestStolenCacheUsedAgainAndAgain(t *testing.T) {
	f := newFriends(t, wire.EC25, false)
	thief := f.caches[0]
	between := func(want Match) {
		t.Helper()
		his := *f
		his.caches[0] = thief
		his.calls += 1000
		if got := his.call(t, nil, plain).ends[1].keys.Continuity; got != want {
			t.Errorf("a call of the thief: %v, want %v", got, want)
		}
		thief, f.caches[1] = his.caches[0], his.caches[1]
	}
	for range 5 {
		between(Matched)
		f.call(t, nil, plain).checkTold()
	}
	f.call(t, nil, plain).checkTold()
	between(Mismatch)
	f.call(t, nil, plain).checkTold()
}
