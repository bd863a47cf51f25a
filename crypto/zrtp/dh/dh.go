// Package dh holds the key agreements of ZRTP (RFC 6189, Section 5.1.5, and
// X25519 as bzrtp names it): fresh keys in, public values and results out, in
// constant time, with every public value checked (Section 4.4.1.1 and others).
package dh

import (
	"crypto/ecdh"
	"errors"
	"io"

	"securecall/crypto/zrtp/wire"
)

// An Agreement is one key agreement type.
type Agreement interface {
	Name() wire.Name
	PublicSize() int // bytes of pv in DHPart1 and DHPart2
	ResultSize() int // bytes of DHResult
	FiniteField() bool
	// Generate makes a fresh key from rand alone: the same bytes, the same key.
	// It reads 64 bytes for DH2k and DH3k, 32 for X255 and EC25, 48 for EC38;
	// the last two read as many again where those are no scalar.
	Generate(rand io.Reader) (Key, error)
}

// A Key is an ephemeral private key with its public value.
type Key interface {
	Public() []byte // pv
	// Shared computes DHResult with the peer's public value, or says why that
	// value is refused. The error never depends on secrets.
	Shared(peer []byte) ([]byte, error)
	// Wipe forgets the private key, as far as Go lets it. Shared then refuses
	// every value, whatever it is.
	Wipe()
}

// ErrPublicValue is why Shared refuses a public value.
var ErrPublicValue = errors.New("bad public value")

// errWiped is our own mistake and no fault of the peer's value.
var errWiped = errors.New("private key was wiped")

var agreements = [...]Agreement{
	&curve{name: wire.X255, curve: ecdh.X25519(), secret: 32, public: 32},
	&curve{name: wire.EC25, curve: ecdh.P256(), secret: 32, public: 64, prefix: []byte{4}},
	&curve{name: wire.EC38, curve: ecdh.P384(), secret: 48, public: 96, prefix: []byte{4}},
	&finiteField{name: wire.DH3k, size: 384, group: group15},
	&finiteField{name: wire.DH2k, size: 256, group: group14},
}

// Lookup returns the agreement of that name, or false.
func Lookup(n wire.Name) (Agreement, bool) {
	for _, a := range agreements {
		if a.Name() == n {
			return a, true
		}
	}
	return nil, false
}
