package dh

import (
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x448"

	"securecall/crypto/zrtp/wire"
)

// x448Group is X448: pv and result are u-coordinates as RFC 7748, Section 5,
// writes them (docs/notes/circl.md).
type x448Group struct{}

func (x448Group) Name() wire.Name   { return wire.X448 }
func (x448Group) publicSize() int   { return x448.Size }
func (x448Group) ResultSize() int   { return x448.Size }
func (x448Group) FiniteField() bool { return false }

// generate reads 56 bytes from rand: every one of their values is a scalar.
func (x448Group) generate(rand io.Reader) (Key, error) {
	k := &x448Key{}
	if _, err := io.ReadFull(rand, k.scalar[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	x448.KeyGen(&k.public, &k.scalar)
	return k, nil
}

type x448Key struct {
	nothingCommitted
	wiped          bool
	scalar, public x448.Key
}

func (k *x448Key) Public() []byte { return k.public[:] }

// Shared refuses a point of small order, whose result is all-zero (RFC 7748,
// Section 6.2), in any of its encodings: Section 5 has those not below p
// accepted and reduced.
func (k *x448Key) Shared(peer []byte) ([]byte, error) {
	if k.wiped {
		return nil, errWiped
	}
	if len(peer) != x448.Size {
		return nil, ErrPublicValue
	}
	var result x448.Key
	if !x448.Shared(&result, &k.scalar, (*x448.Key)(peer)) {
		return nil, ErrPublicValue
	}
	return result[:], nil
}

func (k *x448Key) Wipe() {
	clear(k.scalar[:])
	k.wiped = true
}
