package zrtp

import (
	"bytes"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Preshared mode (RFC 6189, Section 4.4.2).

func presharing(a, b *Config) { a.Preshared, b.Preshared = true, true }

// rs1 alone makes the keys, and a new rs1; "The old rs1 value is not saved in
// Preshared mode" (Section 4.6.1).
func TestPreshared(t *testing.T) {
	var a, b cache
	if got := callAgain(t, 1, &a, &b, presharing).ends[0].keys.KeyAgreement; got == wire.Prsh {
		t.Error("Preshared without a secret") // "MUST NOT be used" (Section 4.4.2.2)
	}
	old := a.rs1
	for n := range uint64(2) {
		w := callAgain(t, 2+n, &a, &b, presharing)
		k := w.ends[0].keys
		if k.KeyAgreement != wire.Prsh || w.count(dhPart1) != 0 {
			t.Fatalf("agreed by %v: %v", k.KeyAgreement, w.trace)
		}
		if got := w.continuity(); got != [2]Match{Matched, Matched} || !k.Verified || !k.PeerV {
			t.Errorf("continuity %v, V %v and %v", got, k.Verified, k.PeerV)
		}
		if a.rs2 != nil || bytes.Equal(a.rs1, old) || !bytes.Equal(a.rs1, b.rs1) {
			t.Error("rs1 and rs2 are not what they should be")
		}
		old = a.rs1
	}
	if got := callAgain(t, 9, &a, &b).continuity(); got != [2]Match{Matched, Matched} {
		t.Errorf("a DH call afterwards: %v", got)
	}
}

// s0 = KDF(preshared_key, "ZRTP PSK", KDF_Context, ...), preshared_key =
// hash(len(rs1) || rs1 || len(auxsecret) || auxsecret || len(pbxsecret) ||
// pbxsecret), total_hash = hash(Hello of responder || Commit), keyID =
// MAC(preshared_key, "Prsh") (Sections 4.4.2.2 and 4.4.2.4)
func TestPresharedSecondComputation(t *testing.T) {
	var a, b cache
	aux := []byte("the family's key, 24 long")
	with := func(x, y *Config) { x.Auxiliary, y.Auxiliary = aux, aux }
	callAgain(t, 1, &a, &b, with)
	x, y := config("a", 1), config("b", 1)
	x.Initiate, x.Preshared, y.Preshared = true, true, true
	x.Retained, y.Retained = a.lookUp, b.lookUp
	with(&x, &y)
	w, seen := watched(t, x, y)
	w.checkSecure()
	i := &initiator{newHash: suite{hash: wire.S256}.newHash}
	psk := i.sum([]byte{0, 0, 0, 32}, a.rs1, []byte{0, 0, 0, byte(len(aux))}, aux, []byte{0, 0, 0, 0})
	if id := parsedMessage(t, seen[commit]).(*wire.Commit).KeyID; !bytes.Equal(id[:], i.mac(psk, []byte("Prsh"))[:8]) {
		t.Errorf("keyID %x", id)
	}
	i.s0, i.context = psk, bytes.Join([][]byte{x.ZID[:], y.ZID[:], i.sum(seen[hello], seen[commit])}, nil)
	i.s0 = i.kdf("ZRTP PSK", 256)
	k := w.ends[0].keys
	if !bytes.Equal(k.LocalKey, i.kdf("Initiator SRTP master key", 256)) || !bytes.Equal(k.SASHash[:], i.kdf("SAS", 256)) ||
		!bytes.Equal(k.Retain.RS1, i.kdf("retained secret", 256)) {
		t.Error("other keys than computed here")
	}
	if k.Auxiliary != Matched || w.ends[1].keys.Auxiliary != Matched {
		t.Errorf("auxsecret: %v and %v", k.Auxiliary, w.ends[1].keys.Auxiliary)
	}
}

// "the responder recomputes a new preshared_key and keyID from a different
// subset of shared keys from the cache, dropping auxsecret ... If the responder
// ... fails to match the keyID ... it SHOULD respond with its own DH Commit
// message." (Section 4.4.2.3)
func TestPresharedFallsBackToDH(t *testing.T) {
	for what, c := range map[string]struct {
		edit func(a, b *Config)
		harm func(b *cache)
		want wire.Name
		aux  [2]Match
	}{
		"the responder has an auxsecret more": {func(_, b *Config) { b.Auxiliary = []byte("aux") }, nil, wire.Prsh, [2]Match{None, Mismatch}},
		"the initiator has an auxsecret more": {func(a, _ *Config) { a.Auxiliary = []byte("aux") }, nil, wire.X255, [2]Match{Mismatch, None}},
		"the responder lost its cache":        {nil, func(b *cache) { *b = cache{} }, wire.X255, [2]Match{}},
		"the responder does not want it":      {func(_, b *Config) { b.Preshared = false }, nil, wire.X255, [2]Match{}},
		"it is one call behind":               {nil, func(b *cache) { b.rs1, b.rs2 = []byte{9}, b.rs1 }, wire.X255, [2]Match{}},
	} {
		var a, b cache
		callAgain(t, 1, &a, &b)
		if c.harm != nil {
			c.harm(&b)
		}
		x, y := config("a", 1), config("b", 1)
		x.Initiate, x.Preshared, y.Preshared = true, true, true
		x.Rand, y.Rand = random("x", 7), random("y", 7)
		x.Retained, y.Retained = a.lookUp, b.lookUp
		x.Algorithms.KeyAgreements, y.Algorithms.KeyAgreements = []wire.Name{wire.X255}, []wire.Name{wire.X255}
		if c.edit != nil {
			c.edit(&x, &y)
		}
		w := newWorld(t, x, y).start().run(10 * time.Second)
		w.checkSecure()
		if got := w.ends[0].keys.KeyAgreement; got != c.want {
			t.Errorf("%s: agreed by %v", what, got)
		}
		if got := [2]Match{w.ends[0].keys.Auxiliary, w.ends[1].keys.Auxiliary}; got != c.aux {
			t.Errorf("%s: auxsecret %v", what, got)
		}
	}
}

// "If one Commit is for a DH mode while the other is for Preshared mode, then
// the Preshared Commit MUST be discarded and the DH Commit proceeds." "If the
// two Commits are either both DH modes or both non-DH modes, then the Commit
// message with the lowest ... nonce value (for non-DH Commits), MUST be
// discarded" (Section 4.2)
func TestPresharedContention(t *testing.T) {
	for seed := range uint64(10) {
		for _, bHas := range []bool{false, true} {
			var a, b cache
			callAgain(t, 1, &a, &b)
			if !bHas {
				b = cache{} // and so it begins with DH
			}
			x, y := config("a", 1), config("b", 1)
			x.Rand, y.Rand = random("x", seed), random("y", seed)
			x.Initiate, y.Initiate, x.Preshared, y.Preshared = true, true, true, true
			x.Retained, y.Retained = a.lookUp, b.lookUp
			w := newWorld(t, x, y).start().run(10 * time.Second)
			w.checkSecure()
			want := wire.Prsh
			if !bHas {
				want = wire.XM76
			}
			if got := w.ends[0].keys.KeyAgreement; got != want {
				t.Errorf("seed %d, both %v: agreed by %v", seed, bHas, got)
			}
			if !bHas && w.ends[1].keys.Role != Initiator {
				t.Errorf("the DH Commit did not proceed: %v", w.trace)
			}
		}
	}
}

// "the Commit message from the party who set the (M) flag MUST be discarded ...
// regardless of the nonce values" (Section 4.2)
func TestPresharedContentionWithAPBX(t *testing.T) {
	for seed := range uint64(6) {
		var a, b cache
		callAgain(t, 1, &a, &b)
		x, y := config("a", 1), config("b", 1)
		x.Rand, y.Rand = random("x", seed), random("y", seed)
		x.Initiate, y.Initiate, x.Preshared, y.Preshared = true, true, true, true
		x.Retained, y.Retained = a.lookUp, b.lookUp
		w := newWorld(t, x, y)
		h := w.ends[1].helloMessage()
		h.M = true
		w.ends[1].Session.hello = seal(h, w.ends[1].chain.h2)
		var committed [2]bool
		w.net = func(p *parcel) []time.Duration {
			if p.kind == commit {
				committed[p.from] = true
				if p.from == 1 && seed%2 == 0 {
					return nil // then ours alone decides
				}
			}
			return []time.Duration{0}
		}
		w.start().run(time.Second)
		if w.ends[0].role == Responder {
			t.Error("the PBX is the initiator")
		}
		if w.ends[0].Drops()[string(DropContention)] == 0 && seed%2 == 1 && committed[1] {
			t.Error("the PBX's Commit was not discarded")
		}
	}
}

func TestPresharedWithLosses(t *testing.T) {
	for n := range 8 {
		for m := range n + 1 {
			var a, b cache
			callAgain(t, 1, &a, &b)
			x, y := config("a", 1), config("b", 1)
			x.Rand, y.Rand = random("x", 7), random("y", 7)
			x.Initiate, x.Preshared, y.Preshared = true, true, true
			x.Retained, y.Retained = a.lookUp, b.lookUp
			w := newWorld(t, x, y)
			w.net = func(p *parcel) []time.Duration {
				switch p.n {
				case n:
					return nil
				case m:
					return []time.Duration{0, 70 * time.Millisecond}
				}
				return []time.Duration{0}
			}
			w.start()
			if !w.runUntil(30*time.Second, w.bothSecure) {
				t.Fatalf("packet %d lost, %d twice: not secure\n%v", n, m, w.trace)
			}
			w.run(3 * time.Second).checkSecure()
		}
	}
}

// Secrets whose SAS was never compared are not used alone (Section 4.4.2.1).
func TestPresharedWantsVerification(t *testing.T) {
	var a, b cache
	callAgain(t, 1, &a, &b)
	w := callAgain(t, 2, &a, &b, presharing, func(x, _ *Config) {
		x.Retained = func(z wire.ZID) Retained {
			r := a.lookUp(z)
			r.Verified = false
			return r
		}
	})
	if got := w.ends[0].keys.KeyAgreement; got == wire.Prsh {
		t.Errorf("agreed by %v", got)
	}
}
