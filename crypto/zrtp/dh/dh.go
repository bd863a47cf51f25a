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

// An Agreement is one key agreement type. Every size is in bytes.
type Agreement interface {
	Name() wire.Name
	CommitSize() int         // what the initiator shows in its Commit already, beside hvi; mostly 0
	PublicSize(part int) int // pv in DHPart1 or DHPart2
	ResultSize() int         // DHResult
	FiniteField() bool
	// Initiate makes a fresh key of an initiator, Respond one of a responder
	// to what the Commit showed, which is refused with ErrPublicValue where it
	// is not what it should be. Both make it from rand alone: the same bytes,
	// the same key. They read 64 bytes for DH2k and DH3k, 32 for X255 and
	// EC25, 48 for EC38; the last two as many again where those are no scalar.
	Initiate(rand io.Reader) (Key, error)
	Respond(rand io.Reader, committed []byte) (Key, error)
}

// A Key is an ephemeral private key of one role, with its public value.
type Key interface {
	Committed() []byte // what Commit shows; nil: nothing
	Public() []byte    // pv
	// Shared computes DHResult with the pv of the other role, or says why that
	// value is refused. The error never depends on secrets.
	Shared(peer []byte) ([]byte, error)
	// Wipe forgets the private key, as far as Go lets it. Shared then refuses
	// every value, whatever it is.
	Wipe()
}

// diffieHellman makes an Agreement of a group in which both roles do the same
// and nothing is shown in Commit.
type diffieHellman struct{ group }

type group interface {
	Name() wire.Name
	publicSize() int
	ResultSize() int
	FiniteField() bool
	generate(rand io.Reader) (Key, error)
}

func (a diffieHellman) CommitSize() int                      { return 0 }
func (a diffieHellman) PublicSize(int) int                   { return a.publicSize() }
func (a diffieHellman) Initiate(rand io.Reader) (Key, error) { return a.generate(rand) }

func (a diffieHellman) Respond(rand io.Reader, committed []byte) (Key, error) {
	if len(committed) != 0 {
		return nil, ErrPublicValue
	}
	return a.generate(rand)
}

// nothingCommitted is the part of a Key that shows nothing in Commit.
type nothingCommitted struct{}

func (nothingCommitted) Committed() []byte { return nil }

// ErrPublicValue is why Shared refuses a public value.
var ErrPublicValue = errors.New("bad public value")

// errWiped is our own mistake and no fault of the peer's value.
var errWiped = errors.New("private key was wiped")

var agreements = [...]Agreement{
	diffieHellman{&curve{name: wire.X255, curve: ecdh.X25519(), secret: 32, public: 32}},
	diffieHellman{&curve{name: wire.EC25, curve: ecdh.P256(), secret: 32, public: 64, prefix: []byte{4}}},
	diffieHellman{&curve{name: wire.EC38, curve: ecdh.P384(), secret: 48, public: 96, prefix: []byte{4}}},
	diffieHellman{&finiteField{name: wire.DH3k, size: 384, group: group15}},
	diffieHellman{&finiteField{name: wire.DH2k, size: 256, group: group14}},
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
