// Package dh holds the key agreements of ZRTP (RFC 6189, Section 5.1.5, and
// X25519 as bzrtp names it): fresh keys in, public values and results out, in
// constant time, with every public value checked (Section 4.4.1.1 and others).
package dh

import (
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
	Generate(rand io.Reader) (Key, error)
}

// A Key is an ephemeral private key with its public value.
type Key interface {
	Public() []byte // pv
	// Shared computes DHResult with the peer's public value, or says why that
	// value is refused. The error never depends on secrets.
	Shared(peer []byte) ([]byte, error)
	Wipe()
}

// Lookup returns the agreement of that name, or false.
func Lookup(n wire.Name) (Agreement, bool) { panic("seam") }
