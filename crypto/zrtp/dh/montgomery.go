package dh

import (
	"bytes"
	"crypto/subtle"
	"math/bits"

	"filippo.io/bigmod"
)

// power is base^exponent mod p, one of the primes of RFC 3526, in constant time:
// what bigmod.Nat.Exp is, by the same method. bigmod has a fast multiplication
// for 2048 bits but none for 3072, where it takes 2.6 times as long as math/big;
// this takes 1.9 times as long.
//
// Words and carries go through math/bits, whose Add, Sub and Mul take the same
// time whatever the numbers. No branch and no index depends on a number, only on
// its size. The race detector is kept out of the loops, as bigmod does: with it
// they take 15 times as long, and there is nothing shared in them.
func power(base *bigmod.Nat, exponent []byte, p *bigmod.Modulus) *bigmod.Nat {
	const window = 4 // bits of the exponent that are worked off at once
	m := newMontgomery(p)
	defer clear(m.product)

	one := rModulo(p)
	var table [1 << window][]uint // base^i
	table[0] = one.Bits()
	table[1] = bigmod.NewNat().ExpandFor(p).Add(base, p).Mul(one, p).Bits()
	for i := 2; i < len(table); i++ {
		table[i] = make([]uint, len(m.p))
		m.mul(table[i], table[i-1], table[1])
	}

	result := bigmod.NewNat().ExpandFor(p)
	x := result.Bits()
	copy(x, table[0])
	factor := make([]uint, len(m.p))
	for _, b := range exponent {
		for _, index := range [...]byte{b >> window, b & (1<<window - 1)} {
			for range window {
				m.mul(x, x, x)
			}
			choose(factor, table[:], index)
			m.mul(x, x, factor)
		}
	}
	clear(factor)
	factor[0] = 1
	m.mul(x, x, factor)
	return result
}

// choose copies the number of that index to z. It reads all of the table, so that
// the cache does not tell which.
func choose(z []uint, table [][]uint, index byte) {
	clear(z)
	for i, x := range table {
		mask := -uint(subtle.ConstantTimeByteEq(byte(i), index))
		for j := range z {
			z[j] |= x[j] & mask
		}
	}
}

// montgomery multiplies modulo p. Numbers are words, the lowest first, as many as
// p has, n, and a multiple of four. x stands for x/R mod p, where R is 2^(W*n).
type montgomery struct {
	p       []uint
	product []uint // scratch of 2n words
}

func newMontgomery(p *bigmod.Modulus) montgomery {
	words := p.Nat().Bits()
	return montgomery{words, make([]uint, 2*len(words))}
}

// rModulo is R mod p, what stands for 1: p is as long as R-1.
func rModulo(p *bigmod.Modulus) *bigmod.Nat {
	r, err := bigmod.NewNat().SetOverflowingBytes(bytes.Repeat([]byte{0xff}, p.Size()), p)
	if err != nil {
		panic("dh: " + err.Error())
	}
	return r.Add(bigmod.NewNat().SetUint(1).ExpandFor(p), p)
}

// mul sets z, which may be x or y, to x*y, below p (Montgomery, "Modular
// Multiplication Without Trial Division", 1985, a word at a time). The lowest word
// of p is all ones, so that -1/p modulo a word is 1: the lowest word of the product
// is itself the multiple of p that makes it 0.
//
//go:norace
func (m montgomery) mul(z, x, y []uint) {
	n, t := len(m.p), m.product
	clear(t)
	var c uint
	for i := range y {
		row := t[i : n+i]
		over1 := addMul(row, x, y[i])
		over2 := addMul(row, m.p, row[0])
		t[n+i], c = bits.Add(over1, over2, c)
	}
	// What is left, with the carry on top, is below 2p.
	t = t[n:]
	var borrow uint
	for i := range z {
		z[i], borrow = bits.Sub(t[i], m.p[i], borrow)
	}
	_, below := bits.Sub(c, 0, borrow)
	for i := range z {
		z[i] ^= (z[i] ^ t[i]) & -below
	}
}

// addMul adds x*y to z, which is as long, and returns the carry. Four words at a
// time let their carries stay in the processor's flag.
//
//go:norace
func addMul(z, x []uint, y uint) (carry uint) {
	for len(z) >= 4 && len(x) >= 4 {
		h0, l0 := bits.Mul(x[0], y)
		h1, l1 := bits.Mul(x[1], y)
		h2, l2 := bits.Mul(x[2], y)
		h3, l3 := bits.Mul(x[3], y)
		var c uint
		l0, c = bits.Add(l0, carry, 0)
		l1, c = bits.Add(l1, h0, c)
		l2, c = bits.Add(l2, h1, c)
		l3, c = bits.Add(l3, h2, c)
		h3 += c
		z[0], c = bits.Add(z[0], l0, 0)
		z[1], c = bits.Add(z[1], l1, c)
		z[2], c = bits.Add(z[2], l2, c)
		z[3], c = bits.Add(z[3], l3, c)
		carry = h3 + c
		z, x = z[4:], x[4:]
	}
	return carry
}
