package dh

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"securecall/crypto/zrtp/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lookup(t testing.TB, n wire.Name) Agreement {
	t.Helper()
	a, ok := Lookup(n)
	if !ok {
		t.Fatalf("no %s", n)
	}
	return a
}

// pair is a fresh key of an initiator and one of a responder to it.
func pair(t testing.TB, a Agreement) (initiator, responder Key) {
	t.Helper()
	initiator, err := a.Initiate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	responder, err = a.Respond(rand.Reader, initiator.Committed())
	if err != nil {
		t.Fatal(err)
	}
	return initiator, responder
}

// shared is the result of both, once they agree.
func shared(t testing.TB, initiator, responder Key) []byte {
	t.Helper()
	i, err := initiator.Shared(responder.Public())
	if err != nil {
		t.Fatal(err)
	}
	r, err := responder.Shared(initiator.Public())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(i, r) {
		t.Fatalf("results %x and %x", i, r)
	}
	return i
}

func refuses(t *testing.T, a Agreement, k Key, name string, pv []byte) {
	t.Helper()
	if got, err := k.Shared(pv); got != nil || !errors.Is(err, ErrPublicValue) {
		t.Errorf("%s: %s gives %x, %v", a.Name(), name, got, err)
	}
}

// Names and sizes: RFC 6189, Section 5.1.5, of what is in it.
func TestSizes(t *testing.T) {
	sizes := []struct {
		name                           wire.Name
		commit, first, second, results int
	}{
		{wire.XM76, 1184, 1120, 32, 64},
		{wire.X255, 0, 32, 32, 32},
		{wire.X448, 0, 56, 56, 56},
		{wire.EC25, 0, 64, 64, 32},
		{wire.EC38, 0, 96, 96, 48},
		{wire.EC52, 0, 132, 132, 66},
		{wire.DH3k, 0, 384, 384, 384},
		{wire.DH2k, 0, 256, 256, 256},
	}
	if len(sizes) != len(agreements) {
		t.Fatalf("%d agreements", len(agreements))
	}
	for _, c := range sizes {
		a := lookup(t, c.name)
		if a.CommitSize() != c.commit || a.PublicSize(1) != c.first || a.PublicSize(2) != c.second || a.ResultSize() != c.results {
			t.Errorf("%s: sizes %d, %d, %d, %d", c.name, a.CommitSize(), a.PublicSize(1), a.PublicSize(2), a.ResultSize())
		}
		if a.FiniteField() != (c.name == wire.DH3k || c.name == wire.DH2k) {
			t.Errorf("%s: finite field: %t", c.name, a.FiniteField())
		}
		i, r := pair(t, a)
		if len(i.Committed()) != c.commit || len(i.Public()) != c.second || len(r.Committed()) != 0 || len(r.Public()) != c.first {
			t.Errorf("%s: %d bytes in Commit, %d and %d of pv", c.name, len(i.Committed()), len(r.Public()), len(i.Public()))
		}
		result := shared(t, i, r)
		if len(result) != c.results {
			t.Errorf("%s: result of %d bytes", c.name, len(result))
		}
		if i, r := pair(t, a); bytes.Equal(shared(t, i, r), result) {
			t.Errorf("%s: the same result twice", c.name)
		}
		for _, k := range []Key{i, r} {
			peer := r.Public()
			if k == r {
				peer = i.Public()
			}
			refuses(t, a, k, "empty", nil)
			refuses(t, a, k, "too short", peer[1:])
			refuses(t, a, k, "too long", append([]byte{0}, peer...))
			refuses(t, a, k, "zero", make([]byte, len(peer)))
		}
		for _, size := range []int{1, 32, 1183, 1185} {
			if k, err := a.Respond(rand.Reader, make([]byte, size)); k != nil || !errors.Is(err, ErrPublicValue) {
				t.Errorf("%s: answers a Commit that shows %d bytes: %v", c.name, size, err)
			}
		}
	}
}

// A session relies on how much is read, and in which order: recorded exchanges
// are played again from their random bytes. A source that fails is told.
func TestRandomSource(t *testing.T) {
	for _, c := range []struct {
		name              wire.Name
		initiate, respond int
	}{
		{wire.XM76, 96, 32},
		{wire.X255, 32, 32},
		{wire.X448, 56, 56},
		{wire.EC25, 32, 32},
		{wire.EC38, 48, 48},
		{wire.EC52, 66, 66},
		{wire.DH3k, 64, 64},
		{wire.DH2k, 64, 64},
	} {
		a := lookup(t, c.name)
		seed := bytes.Repeat([]byte{7}, 128)
		source := bytes.NewReader(seed)
		x, err := a.Initiate(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(seed) - source.Len(); got != c.initiate {
			t.Errorf("%s: an initiator reads %d bytes", c.name, got)
		}
		y, err := a.Initiate(bytes.NewReader(seed))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.Public(), y.Public()) || !bytes.Equal(x.Committed(), y.Committed()) {
			t.Errorf("%s: one source, two keys", c.name)
		}
		source.Reset(seed)
		if _, err := a.Respond(source, x.Committed()); err != nil {
			t.Fatal(err)
		}
		if got := len(seed) - source.Len(); got != c.respond {
			t.Errorf("%s: a responder reads %d bytes", c.name, got)
		}
		for n := range c.initiate {
			want := io.ErrUnexpectedEOF
			if n == 0 || n == 64 && c.name == wire.XM76 {
				want = io.EOF
			}
			if k, err := a.Initiate(bytes.NewReader(seed[:n])); k != nil || !errors.Is(err, want) {
				t.Errorf("%s: a source of %d bytes gives %v", c.name, n, err)
			}
		}
		if k, err := a.Respond(bytes.NewReader(seed[:c.respond-1]), x.Committed()); k != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: a short source gives a responder %v", c.name, err)
		}
	}
}

// A wiped key agrees with nobody: with the exponent 0 the result would be 1,
// known to all.
func TestWipe(t *testing.T) {
	for _, a := range agreements {
		i, r := pair(t, a)
		for k, peer := range map[Key]Key{i: r, r: i} {
			pv := bytes.Clone(peer.Public())
			k.Wipe()
			if got, err := k.Shared(pv); got != nil || !errors.Is(err, errWiped) {
				t.Errorf("%s: once wiped gives %x, %v", a.Name(), got, err)
			}
			if left := secret(k); left != nil && !bytes.Equal(left, make([]byte, len(left))) {
				t.Errorf("%s: the secret is still there", a.Name())
			}
			k.Wipe() // twice does no harm
		}
	}
}

// secret is what a key holds that must be gone once it is wiped.
func secret(k Key) []byte {
	switch k := k.(type) {
	case *finiteFieldKey:
		return k.exponent[:]
	case *x448Key:
		return k.scalar[:]
	case *curveKey:
		if k.private != nil {
			return k.private.Bytes()
		}
	case *hybridInitiator:
		if k.decapsulation != nil {
			return k.decapsulation.Bytes()
		}
		return secret(k.classical)
	case *hybridResponder:
		return append(secret(k.classical), k.shared...)
	}
	return nil
}

// Of hostile bytes, every role of every agreement makes a result of the right
// size or ErrPublicValue.
func FuzzShared(f *testing.F) {
	type role struct {
		Agreement
		Key
		part int // of the peer
	}
	var roles []role
	for _, a := range agreements {
		i, r := pair(f, a)
		f.Add(i.Public())
		f.Add(r.Public())
		f.Add(make([]byte, a.PublicSize(1)))
		roles = append(roles, role{a, i, 1}, role{a, r, 2})
	}
	f.Fuzz(func(t *testing.T, pv []byte) {
		for _, r := range roles {
			b, err := r.Shared(pv)
			switch {
			case err == nil && (len(b) != r.ResultSize() || len(pv) != r.PublicSize(r.part)):
				t.Errorf("%s: %d bytes from %d", r.Name(), len(b), len(pv))
			case err != nil && (b != nil || !errors.Is(err, ErrPublicValue)):
				t.Errorf("%s: %x, %v", r.Name(), b, err)
			}
		}
	})
}

// Nor does what a hostile Commit shows make more than that.
func FuzzRespond(f *testing.F) {
	i, err := lookup(f, wire.XM76).Initiate(new(counting))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(i.Committed())
	f.Add(i.Committed()[1:])
	f.Add(bytes.Repeat([]byte{0xff}, len(i.Committed())))
	f.Fuzz(func(t *testing.T, committed []byte) {
		for _, a := range agreements {
			if len(committed) == 0 && a.CommitSize() == 0 {
				continue // as it should be, and slow
			}
			k, err := a.Respond(new(counting), committed)
			switch {
			case err == nil && (len(committed) != a.CommitSize() || len(k.Public()) != a.PublicSize(1)):
				t.Errorf("%s: answers a Commit that shows %d bytes with %d", a.Name(), len(committed), len(k.Public()))
			case err != nil && (k != nil || !errors.Is(err, ErrPublicValue)):
				t.Errorf("%s: %v", a.Name(), err)
			}
		}
	})
}

// What a key agreement costs both ends together.
func BenchmarkAgreement(b *testing.B) {
	for _, a := range agreements {
		b.Run(a.Name().String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i, r := pair(b, a)
				shared(b, i, r)
			}
		})
	}
}
