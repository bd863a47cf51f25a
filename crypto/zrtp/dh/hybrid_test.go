package dh

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	circl "github.com/cloudflare/circl/dh/x25519"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"

	"securecall/crypto/zrtp/wire"
)

// counting is a source of the bytes 0, 1, 2, …
type counting byte

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(*c)
		*c++
	}
	return len(p), nil
}

func draw(t *testing.T, source io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(source, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// other is an initiator of XM76 computed a second time, by circl alone.
type other struct {
	encapsulation *mlkem768.PublicKey
	decapsulation *mlkem768.PrivateKey
	classical
}

type classical struct{ scalar, public circl.Key }

func newOther(t *testing.T, source io.Reader) other {
	t.Helper()
	encapsulation, decapsulation := mlkem768.NewKeyFromSeed(draw(t, source, 64))
	return other{encapsulation, decapsulation, newClassical(t, source)}
}

func newClassical(t *testing.T, source io.Reader) classical {
	t.Helper()
	c := classical{scalar: circl.Key(draw(t, source, 32))}
	circl.KeyGen(&c.public, &c.scalar)
	return c
}

func (o other) committed() []byte {
	b := make([]byte, mlkem768.PublicKeySize)
	o.encapsulation.Pack(b)
	return b
}

func (o other) result(t *testing.T, pv []byte) []byte {
	t.Helper()
	b := make([]byte, 32)
	o.decapsulation.DecapsulateTo(b, pv[:1088])
	return append(b, o.shared(t, pv[1088:])...)
}

func (c classical) shared(t *testing.T, peer []byte) []byte {
	t.Helper()
	var result circl.Key
	if !circl.Shared(&result, &c.scalar, (*circl.Key)(peer)) {
		t.Fatal("X25519: all-zero result")
	}
	return result[:]
}

// respond is the pv and the result of a responder. It reads its X25519 scalar
// and FIPS 203's m, 32 bytes each.
func respond(t *testing.T, source io.Reader, committed, peer []byte) (pv, result []byte) {
	t.Helper()
	c := newClassical(t, source)
	var encapsulation mlkem768.PublicKey
	if err := encapsulation.Unpack(committed); err != nil {
		t.Fatal(err)
	}
	ciphertext, shared := make([]byte, 1088), make([]byte, 32)
	encapsulation.EncapsulateTo(ciphertext, shared, draw(t, source, 32))
	return append(ciphertext, c.public[:]...), append(shared, c.shared(t, peer)...)
}

// Both roles against a second, independent computation from the same bytes.
func TestHybridAgainstCircl(t *testing.T) {
	a := lookup(t, wire.XM76)
	for range 20 {
		seed := draw(t, rand.Reader, 96)
		o := newOther(t, bytes.NewReader(seed))
		i, err := a.Initiate(bytes.NewReader(seed))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(i.Committed(), o.committed()) || !bytes.Equal(i.Public(), o.public[:]) {
			t.Fatal("another encapsulation key or X25519 value")
		}

		pv, want := respond(t, rand.Reader, i.Committed(), i.Public())
		if got, err := i.Shared(pv); err != nil || !bytes.Equal(got, want) {
			t.Errorf("initiator: %x (%v), not %x", got, err, want)
		}

		r, err := a.Respond(rand.Reader, o.committed())
		if err != nil {
			t.Fatal(err)
		}
		want = o.result(t, r.Public())
		if got, err := r.Shared(o.public[:]); err != nil || !bytes.Equal(got, want) {
			t.Errorf("responder: %x (%v), not %x", got, err, want)
		}
	}
}

// The bytes on the wire and the result, for others to check theirs (SHA-256 of
// each): the initiator's seed d||z is 00 to 3f, its scalar 40 to 5f; the
// responder's scalar is 60 to 7f, its m 80 to 9f.
func TestHybridKnownAnswer(t *testing.T) {
	source := new(counting)
	i, err := lookup(t, wire.XM76).Initiate(source)
	if err != nil {
		t.Fatal(err)
	}
	pv, _ := respond(t, source, i.Committed(), i.Public())
	result, err := i.Shared(pv)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of   []byte
		want string
	}{
		{i.Committed(), "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9"},
		{pv, "84c30313707960bd5c387c6ac9c671fe3980f2b19b63d5479fb6e8ba444364ce"},
		{result, "7c569ad344775bba2b9f66fb4ed9c69a3e10f7452f7bf2342895a4353c1ffc29"},
	} {
		if got := sha256.Sum256(c.of); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%d bytes: %x", len(c.of), got)
		}
	}
}

// FIPS 203, Section 7.2: an encapsulation key in which a number is not below
// q = 3329 fails the check ("Modulus check"), and the first that is below passes.
func TestEncapsulationKeyCheck(t *testing.T) {
	a := lookup(t, wire.XM76)
	i, err := a.Initiate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// 768 numbers of 12 bits, the lowest first, then 32 bytes of any value.
	with := func(index int, value uint16) []byte {
		b := bytes.Clone(i.Committed())
		three := b[index/2*3:]
		if index%2 == 0 {
			three[0], three[1] = byte(value), three[1]&0xf0|byte(value>>8)
		} else {
			three[1], three[2] = three[1]&0x0f|byte(value<<4), byte(value>>4)
		}
		return b
	}
	for index := range 768 {
		for _, value := range []uint16{3329, 4095} {
			if k, err := a.Respond(rand.Reader, with(index, value)); k != nil || !errors.Is(err, ErrPublicValue) {
				t.Fatalf("number %d may be %d: %v", index, value, err)
			}
		}
	}
	for _, index := range []int{0, 1, 766, 767} {
		if _, err := a.Respond(rand.Reader, with(index, 3328)); err != nil {
			t.Errorf("number %d may not be 3328: %v", index, err)
		}
	}
	end := bytes.Clone(i.Committed())
	copy(end[1152:], bytes.Repeat([]byte{0xff}, 32))
	if _, err := a.Respond(rand.Reader, end); err != nil {
		t.Errorf("rho may not be all ones: %v", err)
	}
}

// FIPS 203, Section 6.3: a ciphertext that was changed gives another key and no
// error ("implicit rejection"). X25519's half stays as it was, since each half is
// of its own.
func TestImplicitRejection(t *testing.T) {
	a := lookup(t, wire.XM76)
	seed := draw(t, rand.Reader, 96)
	i, err := a.Initiate(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Respond(rand.Reader, i.Committed())
	if err != nil {
		t.Fatal(err)
	}
	right := shared(t, i, r)
	o := newOther(t, bytes.NewReader(seed))
	for _, at := range []int{0, 500, 1087} {
		pv := bytes.Clone(r.Public())
		pv[at] ^= 1
		got, err := i.Shared(pv)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got[:32], right[:32]) || !bytes.Equal(got[32:], right[32:]) || !bytes.Equal(got, o.result(t, pv)) {
			t.Errorf("byte %d changed: %x, was %x", at, got, right)
		}
	}
}

// An all-zero X25519 result is refused of either role, however good the rest.
func TestHybridSmallOrder(t *testing.T) {
	a := lookup(t, wire.XM76)
	i, r := pair(t, a)
	for name, point := range smallOrder25519 {
		pv := bytes.Clone(r.Public())
		copy(pv[1088:], unhex(t, point))
		refuses(t, a, i, name, pv)
		refuses(t, a, r, name, unhex(t, point))
	}
}
