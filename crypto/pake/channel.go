package pake

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// Why a sealed message was refused.
var (
	// ErrSealed: too short or too long, altered, or sealed with another key.
	ErrSealed = errors.New("pake: sealed message does not open")
	// ErrReplay: its number was opened before.
	ErrReplay = errors.New("pake: sealed message repeated")
	// ErrGap: one before it has not come.
	ErrGap = errors.New("pake: sealed message out of order")
	// ErrTooLong: more than MaxPlain bytes.
	ErrTooLong = errors.New("pake: too much for a sealed message")
)

const (
	// MaxPlain is the most bytes that a sealed message holds.
	MaxPlain = 16 << 10
	// Overhead is how many bytes longer a sealed message is: its number and the
	// authentication tag.
	Overhead = numberSize + chacha20poly1305.Overhead

	numberSize = 8
)

// Channel seals and opens the messages of a call code's two ends after their
// exchange: each direction has a key of its own, each message the number of those
// before it in its direction, in the clear and as its nonce (ChaCha20-Poly1305,
// RFC 8439). They open in the order in which they were sealed and only once. A
// message that does not open changes nothing; the one that is due still opens.
//
// It hides neither how long messages are nor how many.
type Channel struct {
	send, receive cipher.AEAD // nil once closed
	sent, opened  uint64      // messages so far
}

// NewChannel takes both keys over; the caller clears its own. One side's keys are
// for one Channel: two would use nonces twice.
func NewChannel(k Keys) (*Channel, error) {
	send, err := chacha20poly1305.New(k.Send[:])
	if err != nil {
		return nil, err
	}
	receive, err := chacha20poly1305.New(k.Receive[:])
	if err != nil {
		return nil, err
	}
	return &Channel{send: send, receive: receive}, nil
}

// Seal appends plain, sealed, to dst. They do not overlap.
func (c *Channel) Seal(dst, plain []byte) ([]byte, error) {
	if c.send == nil {
		return nil, ErrClosed
	}
	if len(plain) > MaxPlain {
		return nil, ErrTooLong
	}
	dst = binary.BigEndian.AppendUint64(dst, c.sent)
	nonce := nonceOf(c.sent)
	c.sent++
	return c.send.Seal(dst, nonce[:], plain, nil), nil
}

// Open appends what sealed holds to dst. They do not overlap. With an error it
// appends nothing.
func (c *Channel) Open(dst, sealed []byte) ([]byte, error) {
	if c.receive == nil {
		return nil, ErrClosed
	}
	if len(sealed) < Overhead || len(sealed) > Overhead+MaxPlain {
		return nil, ErrSealed
	}
	switch number := binary.BigEndian.Uint64(sealed); {
	case number < c.opened:
		return nil, ErrReplay
	case number > c.opened:
		return nil, ErrGap
	}
	nonce := nonceOf(c.opened)
	plain, err := c.receive.Open(dst, nonce[:], sealed[numberSize:], nil)
	if err != nil {
		return nil, ErrSealed
	}
	c.opened++
	return plain, nil
}

// Close forgets the keys. The ciphers have no way to overwrite theirs: they stay
// in memory, unreachable, until the garbage collector reuses it.
func (c *Channel) Close() { c.send, c.receive = nil, nil }

// nonceOf never repeats under a key: 2^64 messages are more than there will be.
func nonceOf(number uint64) (nonce [chacha20poly1305.NonceSize]byte) {
	binary.BigEndian.PutUint64(nonce[len(nonce)-8:], number)
	return nonce
}
