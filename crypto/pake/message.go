package pake

// A message is a byte that says what and whose it is, and then a share as an
// uncompressed point (SEC 1, Version 2.0, Section 2.3.3: 65 bytes) or a
// confirmation (HMAC-SHA256: 32 bytes). RFC 9382 has no encoding of its own.

const (
	pointSize   = 65
	confirmSize = 32

	// MaxMessage is the size in bytes of the longest message of an exchange.
	MaxMessage = 1 + pointSize
)

type kind byte

const (
	shareA   kind = 1
	shareB   kind = 2
	confirmA kind = 3
	confirmB kind = 4
)

func shareOf(r Role) kind {
	if r == A {
		return shareA
	}
	return shareB
}

func confirmOf(r Role) kind {
	if r == A {
		return confirmA
	}
	return confirmB
}

func (k kind) role() Role {
	if k == shareA || k == confirmA {
		return A
	}
	return B
}

func (k kind) message(body []byte) []byte { return append([]byte{byte(k)}, body...) }

// parse checks kind and length. One point has one encoding of 65 bytes: SEC 1's
// hybrid form is none that nistec reads.
func parse(message []byte) (k kind, body []byte, err error) {
	if len(message) == 0 {
		return 0, nil, ErrMalformed
	}
	k, body = kind(message[0]), message[1:]
	switch k {
	case shareA, shareB:
		if len(body) == pointSize {
			return k, body, nil
		}
	case confirmA, confirmB:
		if len(body) == confirmSize {
			return k, body, nil
		}
	}
	return 0, nil, ErrMalformed
}
