package dh

import (
	"fmt"
	"io"

	"filippo.io/bigmod"

	"securecall/crypto/zrtp/wire"
)

// exponentSize is the size of a secret exponent in bytes, for either group:
// "If AES-256 is used, the secret value SHOULD be 512 bits long" (RFC 6189,
// Section 5.1.5), and more than the 256 bits of AES-128 does no harm.
const exponentSize = 64

// finiteField is DH2k or DH3k.
type finiteField struct {
	name  wire.Name
	size  int // of p, in bytes
	group func() *bigmod.Modulus
	// power is base^exponent mod p in constant time.
	power func(base *bigmod.Nat, exponent []byte, p *bigmod.Modulus) *bigmod.Nat
}

var (
	dh3k = &finiteField{name: wire.DH3k, size: 384, group: group15, power: power}
	dh2k = &finiteField{
		name: wire.DH2k, size: 256, group: group14,
		power: func(base *bigmod.Nat, exponent []byte, p *bigmod.Modulus) *bigmod.Nat {
			return bigmod.NewNat().Exp(base, exponent, p)
		},
	}
)

func (f *finiteField) Name() wire.Name   { return f.name }
func (f *finiteField) publicSize() int   { return f.size }
func (f *finiteField) ResultSize() int   { return f.size }
func (f *finiteField) FiniteField() bool { return true }

// generate reads the 64 bytes of the exponent from rand.
func (f *finiteField) generate(rand io.Reader) (Key, error) {
	k := &finiteFieldKey{field: f}
	if _, err := io.ReadFull(rand, k.exponent[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	p := f.group()
	two := bigmod.NewNat().SetUint(2).ExpandFor(p)
	k.public = f.power(two, k.exponent[:], p).Bytes(p)
	return k, nil
}

type finiteFieldKey struct {
	nothingCommitted
	field    *finiteField       // nil once wiped
	exponent [exponentSize]byte // x
	public   []byte             // 2^x mod p
}

func (k *finiteFieldKey) Public() []byte { return k.public }

// Shared refuses 1 and p-1 (RFC 6189, Sections 4.4.1.2 and 4.4.1.3), 0 (Section
// 5.9, error 0x61) and what is not below p. p is a safe prime, so that no other
// value is in a small subgroup.
func (k *finiteFieldKey) Shared(peer []byte) ([]byte, error) {
	if k.field == nil { // or the exponent is 0 and the result 1, for all to know
		return nil, errWiped
	}
	if len(peer) != k.field.size {
		return nil, ErrPublicValue
	}
	p := k.field.group()
	y, err := bigmod.NewNat().SetBytes(peer, p)
	if err != nil || y.IsZero()|y.IsOne()|y.IsMinusOne(p) == 1 {
		return nil, ErrPublicValue
	}
	return k.field.power(y, k.exponent[:], p).Bytes(p), nil
}

func (k *finiteFieldKey) Wipe() {
	clear(k.exponent[:])
	k.field = nil
}
