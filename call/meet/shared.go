package meet

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"io"
	"slices"

	"securecall/crypto/pake"
)

// Two who share a secret already need no exchange of keys to talk: they say fresh numbers
// to each other, from which, and the secret, the keys of this one talk are made. What
// the meeting point has kept of another talk opens nothing.

const nonceSize = 32

// A shared secret, and what it is for.
type shared struct {
	secret []byte
	label  string // in front of every use
}

// derive makes 32 octets of it, for one use (RFC 5869).
func (s shared) derive(salt []byte, use string) []byte {
	b, err := hkdf.Key(sha256.New, s.secret, salt, s.label+use, 32)
	if err != nil {
		panic(err) // of a length that HKDF has not: 32 it has
	}
	return b
}

// secure makes the keys of one talk, and returns what is new in it as well: joins tells
// whether we have joined the other side's mailbox, caller whether the call is ours.
func (s shared) secure(ctx context.Context, c conversation, joins, caller bool, random io.Reader) (t *talk, salt []byte, err error) {
	ours := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, ours); err != nil {
		return nil, nil, err
	}
	if err := c.Send(ctx, ours); err != nil {
		return nil, nil, err
	}
	theirs, err := c.Receive(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(theirs) != nonceSize {
		return nil, nil, ErrBroken
	}
	salt = slices.Concat(ours, theirs)
	if !joins {
		salt = slices.Concat(theirs, ours)
	}
	var keys pake.Keys
	defer keys.Clear()
	for key, by := range map[*[32]byte]bool{&keys.Send: caller, &keys.Receive: !caller} {
		b := s.derive(salt, "what is said by the "+role(by))
		copy(key[:], b)
		clear(b)
	}
	t, err = newTalk(c, keys)
	return t, salt, err
}

func role(caller bool) string {
	if caller {
		return "caller"
	}
	return "callee"
}
