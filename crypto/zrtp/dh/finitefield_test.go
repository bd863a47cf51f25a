package dh

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	"securecall/crypto/zrtp/wire"
)

// RFC 6189, Section 5.1.5: "For Finite Field Diffie-Hellman, ZRTP endpoints
// MUST use the DH parameters defined in [RFC3526]". The constants are held to
// the formula there: p = 2^b - 2^(b-64) - 1 + 2^64 * (floor(2^(b-130) pi) + k).
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name wire.Name
		bits uint
		k    int64
	}{{wire.DH2k, 2048, 124476}, {wire.DH3k, 3072, 1690314}} {
		one := big.NewInt(1)
		p := new(big.Int).Add(pi(c.bits-130), big.NewInt(c.k))
		p.Lsh(p, 64)
		p.Add(p, new(big.Int).Lsh(one, c.bits))
		p.Sub(p, new(big.Int).Lsh(one, c.bits-64))
		p.Sub(p, one)
		a := lookup(t, c.name).(diffieHellman).group.(*finiteField)
		m := a.group()
		got := new(big.Int).SetBytes(m.Nat().Bytes(m))
		if got.Cmp(p) != 0 {
			t.Errorf("%s: p is %x", c.name, got)
		}
		if uint(a.size*8) != c.bits {
			t.Errorf("%s: %d bytes", c.name, a.size)
		}
	}
}

// pi is floor(2^bits * pi) by Machin's formula.
func pi(bits uint) *big.Int {
	const guard = 64
	one := new(big.Int).Lsh(big.NewInt(1), bits+guard)
	arctan := func(x int64) *big.Int {
		square := big.NewInt(x * x)
		term := new(big.Int).Div(one, big.NewInt(x))
		sum := new(big.Int).Set(term)
		for n := int64(1); term.Sign() > 0; n++ {
			term.Div(term, square)
			part := new(big.Int).Div(term, big.NewInt(2*n+1))
			if n%2 == 1 {
				part.Neg(part)
			}
			sum.Add(sum, part)
		}
		return sum
	}
	four := big.NewInt(4)
	sum := new(big.Int).Sub(new(big.Int).Mul(four, arctan(5)), arctan(239))
	return sum.Rsh(sum.Mul(sum, four), guard)
}

// Against math/big, an independent computation (never used on secrets outside
// tests), with results that keep their leading zeros.
func TestFiniteFieldAgainstBig(t *testing.T) {
	for _, n := range []wire.Name{wire.DH2k, wire.DH3k} {
		a := lookup(t, n).(diffieHellman).group.(*finiteField)
		m := a.group()
		p := new(big.Int).SetBytes(m.Nat().Bytes(m))
		for range 3 {
			var x [exponentSize]byte
			if _, err := rand.Read(x[:]); err != nil {
				t.Fatal(err)
			}
			k, err := a.generate(bytes.NewReader(x[:]))
			if err != nil {
				t.Fatal(err)
			}
			e := new(big.Int).SetBytes(x[:])
			want := new(big.Int).Exp(big.NewInt(2), e, p).FillBytes(make([]byte, a.size))
			if !bytes.Equal(k.Public(), want) {
				t.Errorf("%s: public value", n)
			}
			peer, err := rand.Int(rand.Reader, p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := k.Shared(peer.FillBytes(make([]byte, a.size)))
			want = peer.Exp(peer, e, p).FillBytes(make([]byte, a.size))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: result (%v)", n, err)
			}
		}
		// 2^8 mod p is 256: nearly all of it leading zeros.
		x := make([]byte, exponentSize)
		x[exponentSize-1] = 8
		k, err := a.generate(bytes.NewReader(x))
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Public(); len(got) != a.size || new(big.Int).SetBytes(got).Int64() != 256 {
			t.Errorf("%s: 2^8 is %x", n, got)
		}
	}
}

// RFC 6189, Section 4.4.1.2: "If pvi is 1 or p-1, the user SHOULD be alerted of
// the attack and the protocol exchange MUST be terminated", and Section 4.4.1.3
// of pvr; Section 5.9, code 0x61, names 0 too: "DH Error: bad pvi or pvr ( == 1,
// 0, or p-1)".
func TestBadFiniteFieldValues(t *testing.T) {
	for _, n := range []wire.Name{wire.DH2k, wire.DH3k} {
		a := lookup(t, n)
		k, err := a.Initiate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		m := a.(diffieHellman).group.(*finiteField).group()
		p := new(big.Int).SetBytes(m.Nat().Bytes(m))
		for name, pv := range map[string]*big.Int{
			"0":        big.NewInt(0),
			"1":        big.NewInt(1),
			"p-1":      new(big.Int).Sub(p, big.NewInt(1)),
			"p":        p,
			"p+1":      new(big.Int).Add(p, big.NewInt(1)),
			"all ones": new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, a.PublicSize(1))),
		} {
			refuses(t, a, k, name, pv.FillBytes(make([]byte, a.PublicSize(1))))
		}
	}
}
