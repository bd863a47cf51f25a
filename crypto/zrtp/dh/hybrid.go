package dh

import (
	"crypto/mlkem"
	"fmt"
	"io"
	"slices"

	"securecall/crypto/zrtp/wire"
)

// hybrid is XM76: ML-KEM-768 (FIPS 203) beside X25519. DHResult is ML-KEM's
// shared key, then X25519's: an attacker has to break both
// (docs/notes/hybrid.md, which has the argument for what is sent when).
type hybrid struct{}

// The initiator's pv is its X25519 value, the responder's the ciphertext and
// then its X25519 value.
const (
	x25519Size          = 32
	hybridResponderSize = mlkem.CiphertextSize768 + x25519Size
	hybridResultSize    = mlkem.SharedKeySize + x25519Size
)

func (hybrid) Name() wire.Name   { return wire.XM76 }
func (hybrid) CommitSize() int   { return mlkem.EncapsulationKeySize768 }
func (hybrid) ResultSize() int   { return hybridResultSize }
func (hybrid) FiniteField() bool { return false }

func (hybrid) PublicSize(part int) int {
	if part == 1 {
		return hybridResponderSize
	}
	return x25519Size
}

// Initiate reads the seed d||z of ML-KEM (64 bytes) and an X25519 scalar (32).
func (hybrid) Initiate(rand io.Reader) (Key, error) {
	seed := make([]byte, mlkem.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	decapsulation, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		return nil, fmt.Errorf("ML-KEM-768: %w", err)
	}
	classical, err := x25519.generate(rand)
	if err != nil {
		return nil, err
	}
	return &hybridInitiator{
		decapsulation: decapsulation,
		committed:     decapsulation.EncapsulationKey().Bytes(),
		classical:     classical,
	}, nil
}

// Respond refuses an encapsulation key that fails FIPS 203's check (Section
// 7.2), reads an X25519 scalar (32 bytes) from rand, and encapsulates with
// randomness of Go's own: crypto/mlkem takes none from a caller.
func (hybrid) Respond(rand io.Reader, committed []byte) (Key, error) {
	encapsulation, err := mlkem.NewEncapsulationKey768(committed)
	if err != nil {
		return nil, ErrPublicValue
	}
	classical, err := x25519.generate(rand)
	if err != nil {
		return nil, err
	}
	shared, ciphertext := encapsulation.Encapsulate()
	return &hybridResponder{
		shared:    shared,
		public:    slices.Concat(ciphertext, classical.Public()),
		classical: classical,
	}, nil
}

type hybridInitiator struct {
	decapsulation *mlkem.DecapsulationKey768 // nil once wiped
	committed     []byte                     // encapsulation key
	classical     Key
}

func (k *hybridInitiator) Committed() []byte { return k.committed }
func (k *hybridInitiator) Public() []byte    { return k.classical.Public() }

// Shared knows no bad ciphertext but one of another size. One that was changed
// on its way gives a key that nobody else has (FIPS 203, Section 6.3, "implicit
// rejection"), and the exchange fails at Confirm as with any wrong DHResult.
func (k *hybridInitiator) Shared(peer []byte) ([]byte, error) {
	if k.decapsulation == nil {
		return nil, errWiped
	}
	if len(peer) != hybridResponderSize {
		return nil, ErrPublicValue
	}
	classical, err := k.classical.Shared(peer[mlkem.CiphertextSize768:])
	if err != nil {
		return nil, err
	}
	defer clear(classical)
	shared, err := k.decapsulation.Decapsulate(peer[:mlkem.CiphertextSize768])
	if err != nil {
		return nil, ErrPublicValue
	}
	defer clear(shared)
	return slices.Concat(shared, classical), nil
}

// Wipe lets go of the decapsulation key: crypto/mlkem offers no way to
// overwrite it (SECURITY.md).
func (k *hybridInitiator) Wipe() {
	k.decapsulation = nil
	k.classical.Wipe()
}

type hybridResponder struct {
	nothingCommitted
	shared    []byte // of ML-KEM; zeros once wiped
	public    []byte // ciphertext, X25519 value
	classical Key
}

func (k *hybridResponder) Public() []byte { return k.public }

func (k *hybridResponder) Shared(peer []byte) ([]byte, error) {
	classical, err := k.classical.Shared(peer)
	if err != nil {
		return nil, err
	}
	defer clear(classical)
	return slices.Concat(k.shared, classical), nil
}

func (k *hybridResponder) Wipe() {
	clear(k.shared)
	k.classical.Wipe()
}
