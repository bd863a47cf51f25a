package dh

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	"filippo.io/bigmod"
)

func nat(t testing.TB, x *big.Int, p *bigmod.Modulus) *bigmod.Nat {
	t.Helper()
	n, err := bigmod.NewNat().SetBytes(x.FillBytes(make([]byte, p.Size())), p)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func random(t testing.TB, below *big.Int) *big.Int {
	t.Helper()
	x, err := rand.Int(rand.Reader, below)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Against bigmod and math/big, two independent computations.
func TestPower(t *testing.T) {
	for _, m := range []*bigmod.Modulus{group14(), group15()} {
		p := new(big.Int).SetBytes(m.Nat().Bytes(m))
		one := big.NewInt(1)
		for _, base := range []*big.Int{
			big.NewInt(0), one, big.NewInt(2), new(big.Int).Sub(p, one), new(big.Int).Sub(p, big.NewInt(2)),
			new(big.Int).Lsh(one, uint(m.BitLen()-1)), random(t, p),
		} {
			for _, exponent := range [][]byte{
				nil,
				{0},
				{1},
				{2},
				{0xff},
				make([]byte, exponentSize),
				bytes.Repeat([]byte{0xff}, exponentSize),
				random(t, new(big.Int).Lsh(one, 8*exponentSize)).FillBytes(make([]byte, exponentSize)),
			} {
				before := nat(t, base, m)
				got := power(before, exponent, m).Bytes(m)
				want := new(big.Int).Exp(base, new(big.Int).SetBytes(exponent), p).FillBytes(make([]byte, m.Size()))
				if again := bigmod.NewNat().Exp(before, exponent, m).Bytes(m); !bytes.Equal(got, want) || !bytes.Equal(again, want) {
					t.Errorf("%x^%x is %x and %x, not %x", base, exponent, got, again, want)
				}
				if !bytes.Equal(before.Bytes(m), base.FillBytes(make([]byte, m.Size()))) {
					t.Fatal("power changes its base")
				}
			}
		}
	}
}

// The last step of a multiplication, with what is left on either side of p and
// of R. Below R but not below p it is once in 2^64, so that chance does not find
// it: a product of v is left as v+p there, for a v below R-p.
func TestMontgomeryEdges(t *testing.T) {
	for _, m := range []*bigmod.Modulus{group14(), group15()} {
		size := uint(m.BitLen())
		p := new(big.Int).SetBytes(m.Nat().Bytes(m))
		one := big.NewInt(1)
		r := new(big.Int).Lsh(one, size)
		gap := new(big.Int).Sub(r, p)
		last := new(big.Int).Sub(p, one)
		arithmetic := newMontgomery(m)
		for _, v := range []*big.Int{
			big.NewInt(0), one, big.NewInt(2), new(big.Int).Sub(gap, one), gap, new(big.Int).Add(gap, one),
			random(t, gap), random(t, p), last,
		} {
			for _, x := range []*big.Int{one, big.NewInt(2), last, new(big.Int).Mod(r, p), random(t, last)} {
				if x.Sign() == 0 {
					continue
				}
				y := new(big.Int).ModInverse(x, p) // v*R/x, so that x*y/R is v
				y.Mul(y, v).Mul(y, r).Mod(y, p)
				got := bigmod.NewNat().ExpandFor(m)
				arithmetic.mul(got.Bits(), nat(t, x, m).Bits(), nat(t, y, m).Bits())
				if got := new(big.Int).SetBytes(got.Bytes(m)); got.Cmp(v) != 0 {
					t.Errorf("%x times %x is %x, not %x", x, y, got, v)
				}
			}
		}
	}
}

// DH3k is to take no more than 2.5 times as long as math/big, which is not in
// constant time.
func BenchmarkPower(b *testing.B) {
	m := group15()
	p := new(big.Int).SetBytes(m.Nat().Bytes(m))
	base := random(b, p)
	exponent := random(b, new(big.Int).Lsh(big.NewInt(1), 8*exponentSize))
	x, e := nat(b, base, m), exponent.FillBytes(make([]byte, exponentSize))
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			power(x, e, m)
		}
	})
	b.Run("bigmod", func(b *testing.B) {
		for b.Loop() {
			bigmod.NewNat().Exp(x, e, m)
		}
	})
	b.Run("math-big", func(b *testing.B) {
		for b.Loop() {
			new(big.Int).Exp(base, exponent, p)
		}
	})
}
