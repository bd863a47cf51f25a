// Package dh holds the key agreements of ZRTP: those of RFC 6189, Section 5.1.5,
// X25519 and X448 as bzrtp names them (RFC 7748), and X25519 with ML-KEM-768
// (docs/notes/hybrid.md). Fresh keys in, public values and results out, in
// constant time, with every public value checked. No I/O but reading random
// bytes.
package dh

import (
	"errors"
	"io"

	"securecall/crypto/zrtp/wire"
)

// An Agreement is one key agreement type. Every size is in bytes.
type Agreement interface {
	Name() wire.Name
	CommitSize() int         // what the initiator shows in its Commit beside hvi: XM76's encapsulation key, else 0
	PublicSize(part int) int // pv in DHPart1 (1) or DHPart2 (2)
	ResultSize() int         // DHResult
	FiniteField() bool
	// Initiate makes a fresh key of an initiator, Respond one of a responder
	// to what the Commit showed (nil where CommitSize is 0), which is refused
	// with ErrPublicValue where it is not what it should be.
	//
	// The same bytes from rand make the same key, but for what XM76's Respond
	// encapsulates. X255 and EC25 read 32 bytes, EC38 48, X448 56, EC52 66,
	// DH3k and DH2k 64; EC25, EC38 and EC52 as many again where those are no
	// scalar. XM76 reads 64 for the seed of ML-KEM if it initiates, and in
	// either role 32 for X25519.
	Initiate(rand io.Reader) (Key, error)
	Respond(rand io.Reader, committed []byte) (Key, error)
}

// A Key is an ephemeral private key of one role, with its public value.
type Key interface {
	Committed() []byte // what Commit shows; nil: nothing
	Public() []byte    // pv of our DHPart
	// Shared computes DHResult with the pv of the other role, or refuses it
	// with ErrPublicValue.
	Shared(peer []byte) ([]byte, error)
	// Wipe forgets the private key, as far as Go lets it (SECURITY.md). Shared
	// then refuses every value, whatever it is.
	Wipe()
}

// ErrPublicValue is why Shared refuses a public value, and Respond what the
// Commit showed. It never depends on secrets.
var ErrPublicValue = errors.New("bad public value")

// errWiped is our own mistake and no fault of the peer's value.
var errWiped = errors.New("private key was wiped")

var agreements = [...]Agreement{
	hybrid{},
	diffieHellman{x25519},
	diffieHellman{x448Group{}},
	diffieHellman{p256},
	diffieHellman{p384},
	diffieHellman{p521},
	diffieHellman{dh3k},
	diffieHellman{dh2k},
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

// diffieHellman makes an Agreement of a group in which both roles do the same
// and Commit shows nothing but hvi.
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
