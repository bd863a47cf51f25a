// Package pake is the key exchange of call codes: two people who share a few words
// get a strong key out of them, through a meeting point that may do with their
// messages what it likes. Whoever does not know the words learns nothing but
// whether one guess, made in an exchange with one of the two, was right.
//
// It is SPAKE2 (RFC 9382) with the ciphersuite SPAKE2-P256-SHA256-HKDF-SHA256-
// HMAC-SHA256, key confirmation both ways included. A dials and B waits. Left out:
// the other ciphersuites, the variants with one constant (M = N) and with constants
// for each user (Section 5). What the RFC leaves to its users is decided here: how
// a password becomes a scalar (password.go), the order of the confirmations, how
// messages are written (message.go), and the keys that are derived from the shared
// secret (keys.go). docs/notes/pake.md says why. Channel is what the keys are for.
//
// A package of arithmetic and state: no I/O, no goroutine, no clock. An Exchange
// and a Channel belong to one goroutine each.
package pake

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"

	"filippo.io/nistec"
)

// Why a message was refused, or no key is there.
var (
	// ErrCode: the two sides' codes, names or contexts differ, or somebody in
	// between altered a message. It ends the exchange and says no more than that.
	ErrCode = errors.New("pake: the codes differ")
	// ErrMalformed: no message of this exchange, or no point of the curve. The
	// exchange goes on.
	ErrMalformed = errors.New("pake: malformed message")
	// ErrReflected: a message of our own side. The exchange goes on.
	ErrReflected = errors.New("pake: our own message came back")
	// ErrUnexpected: a message that is not due, a repeated one for example. The
	// exchange goes on.
	ErrUnexpected = errors.New("pake: unexpected message")
	// ErrUnfinished: the peer has not confirmed its key yet.
	ErrUnfinished = errors.New("pake: exchange not finished")
	// ErrClosed: the exchange or channel was closed.
	ErrClosed = errors.New("pake: closed")
)

// Role is a side of the exchange. The two are not alike: they mask their shares
// with different constants, and A confirms first.
type Role byte

// The roles of RFC 9382.
const (
	A Role = 'A' // dials
	B Role = 'B' // waits
)

// Context is what both sides have to agree on besides the code; each of its parts
// may be empty. If the two sides' differ, their keys do.
type Context struct {
	A, B string // identities of the two sides (RFC 9382, Section 3.3)
	AAD  string // which protocol, server and mailbox this is (Section 4)
}

// maxAAD is 2^16-1 bits (RFC 9382, Section 3.2), in bytes.
const maxAAD = (1<<16 - 1) / 8

type state int

const (
	awaitShare   state = iota // the peer's share is due
	awaitConfirm              // its confirmation is
	finished
	failed // for good, with ErrCode
	closed
)

// Exchange is one side of one exchange. The order is A's share and B's, whichever
// comes first, A's confirmation, B's confirmation. B sends nothing that depends on
// the key before A has shown that it has the same: who guesses as a dialler has to
// show the guess first, and B knows of each.
//
// A wrong confirmation ends the exchange, and an altered share leads to one. A
// message that is refused for any other reason changes nothing.
type Exchange struct {
	role    Role
	context Context
	state   state
	spent   bool
	out     [][]byte // messages to be sent

	w        scalar // the password
	x        scalar // our secret of this exchange: RFC 9382's x or y
	share    [pointSize]byte
	schedule schedule // set with the peer's share
}

// New begins an exchange. The code is taken byte for byte: both sides have to
// write it in the same way (callcode.Code.String). Rand gives the secret of this
// one exchange, which must come from nowhere else.
func New(role Role, code string, context Context, rand io.Reader) (*Exchange, error) {
	if role != A && role != B {
		return nil, errors.New("pake: no such role")
	}
	if code == "" {
		return nil, errors.New("pake: no code")
	}
	if len(context.AAD) > maxAAD {
		return nil, fmt.Errorf("pake: AAD of more than %d bytes", maxAAD)
	}
	w, err := hashToScalar(code)
	if err != nil {
		return nil, err
	}
	return begin(role, w, context, rand)
}

// begin is New with the password as the scalar that RFC 9382's vectors give.
func begin(role Role, w scalar, context Context, rand io.Reader) (*Exchange, error) {
	x, err := randomScalar(rand)
	if err != nil {
		return nil, err
	}
	e := &Exchange{role: role, context: context, w: w, x: x}
	// pA = w*M + x*P, pB = w*N + y*P (RFC 9382, Section 3.3).
	mask := w.times(constant(role))
	own := x.timesBase()
	copy(e.share[:], own.Add(own, mask).Bytes())
	wipe(mask)
	e.send(shareOf(role), e.share[:])
	return e, nil
}

// NextMessage is the next message for the peer, if there is one. It is to be sent
// as it is, once.
func (e *Exchange) NextMessage() ([]byte, bool) {
	if len(e.out) == 0 {
		return nil, false
	}
	m := e.out[0]
	e.out = e.out[1:]
	return m, true
}

// Receive takes a message of the peer. An error says why it was refused.
func (e *Exchange) Receive(message []byte) error {
	switch e.state {
	case failed:
		return ErrCode
	case closed:
		return ErrClosed
	}
	kind, body, err := parse(message)
	if err != nil {
		return err
	}
	switch {
	case kind.role() == e.role:
		return ErrReflected
	case kind == shareOf(e.role.peer()) && e.state == awaitShare:
		return e.receiveShare(body)
	case kind == confirmOf(e.role.peer()) && e.state == awaitConfirm:
		return e.receiveConfirm(body)
	}
	return ErrUnexpected
}

// receiveShare computes the keys, whatever they are worth.
func (e *Exchange) receiveShare(share []byte) error {
	// The same under the peer's kind.
	if bytes.Equal(share, e.share[:]) {
		return ErrReflected
	}
	// RFC 9382, Section 7: that it is of the group MUST be checked. SetBytes does;
	// all points of the curve are, and the one at infinity has no encoding that
	// parse lets through.
	p, err := nistec.NewP256Point().SetBytes(share)
	if err != nil {
		return ErrMalformed
	}
	// K = x*(pB - w*N), K = y*(pA - w*M) (Section 3.3); the cofactor is 1.
	mask := e.w.times(constant(e.role.peer()))
	unmasked := nistec.NewP256Point().Add(p, mask.Negate(mask))
	k := e.x.times(unmasked)
	wipe(mask)
	wipe(unmasked)
	defer wipe(k)
	if k.IsInfinity() == 1 {
		// The share was w*N or w*M itself: whoever made it has guessed the code,
		// and left its own secret out. The guess is used up.
		e.spent = true
		e.fail()
		return ErrCode
	}
	shareA, shareB := e.share[:], share
	if e.role == B {
		shareA, shareB = share, e.share[:]
	}
	tt := transcript(e.context, shareA, shareB, k.Bytes(), e.w[:])
	defer clear(tt)
	e.schedule = derive(tt, e.context.AAD)
	clear(e.x[:])
	clear(e.w[:])
	e.state = awaitConfirm
	if e.role == A {
		e.confirm()
	}
	return nil
}

// receiveConfirm ends the exchange, one way or the other.
func (e *Exchange) receiveConfirm(mac []byte) error {
	e.spent = true
	want := e.schedule.confirm(e.role.peer())
	if !hmac.Equal(mac, want[:]) {
		e.fail()
		return ErrCode
	}
	if e.role == B {
		e.confirm()
	}
	e.state = finished
	return nil
}

// confirm sends our confirmation, by which the peer can tell whether the code
// that it had was right.
func (e *Exchange) confirm() {
	e.spent = true
	mac := e.schedule.confirm(e.role)
	e.send(confirmOf(e.role), mac[:])
}

func (e *Exchange) send(k kind, body []byte) { e.out = append(e.out, k.message(body)) }

// fail ends the exchange for good; nothing more is sent.
func (e *Exchange) fail() {
	e.wipe()
	e.state = failed
}

// Spent tells whether the code is used up: the peer, whoever that is, has tried a
// guess or can tell by now whether it had the right one. A second exchange with
// the same code would give it another guess. Until then an exchange may be given
// up and begun anew.
func (e *Exchange) Spent() bool { return e.spent }

// Keys are the keys of a finished exchange, else ErrUnfinished, ErrCode or
// ErrClosed. B's are there once A has confirmed, and A then needs B's confirmation
// to have its own.
func (e *Exchange) Keys() (Keys, error) {
	switch e.state {
	case finished:
		return e.schedule.keysOf(e.role), nil
	case failed:
		return Keys{}, ErrCode
	case closed:
		return Keys{}, ErrClosed
	}
	return Keys{}, ErrUnfinished
}

// Close overwrites the secrets and drops what NextMessage has not handed out. What nistec, bigmod and HMAC had of them on their
// stacks and heaps is left to the garbage collector.
func (e *Exchange) Close() {
	e.wipe()
	e.state = closed
}

func (e *Exchange) wipe() {
	clear(e.w[:])
	clear(e.x[:])
	e.schedule = schedule{}
	e.out = nil
}

// Format keeps the secrets out of any text, whatever the verb.
func (e *Exchange) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "exchange as %c", e.role) }

func (r Role) peer() Role {
	if r == A {
		return B
	}
	return A
}
