package wire

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

// Error: Section 5.9.
type Error struct{ Code ErrorCode }

// ErrorACK: Section 5.10.
type ErrorACK struct{}

// ErrorCode is the code of an Error message (Section 5.9).
type ErrorCode uint32

// The codes of Section 5.9.
const (
	ErrorMalformed     ErrorCode = 0x10
	ErrorSoftware      ErrorCode = 0x20
	ErrorVersion       ErrorCode = 0x30
	ErrorComponents    ErrorCode = 0x40
	ErrorHash          ErrorCode = 0x51
	ErrorCipher        ErrorCode = 0x52
	ErrorKeyAgreement  ErrorCode = 0x53
	ErrorAuth          ErrorCode = 0x54
	ErrorSAS           ErrorCode = 0x55
	ErrorNoSecret      ErrorCode = 0x56
	ErrorPublicValue   ErrorCode = 0x61
	ErrorHVI           ErrorCode = 0x62
	ErrorRelayedSAS    ErrorCode = 0x63
	ErrorConfirmMAC    ErrorCode = 0x70
	ErrorNonceReuse    ErrorCode = 0x80
	ErrorEqualZIDs     ErrorCode = 0x90
	ErrorSSRCCollision ErrorCode = 0x91
	ErrorUnavailable   ErrorCode = 0xa0
	ErrorTimeout       ErrorCode = 0xb0
	ErrorGoClear       ErrorCode = 0x100
)

// String says what the code means.
func (c ErrorCode) String() string {
	switch c {
	case ErrorMalformed:
		return "malformed packet"
	case ErrorSoftware:
		return "critical software error"
	case ErrorVersion:
		return "unsupported ZRTP version"
	case ErrorComponents:
		return "the parts of Hello do not match"
	case ErrorHash:
		return "hash type not supported"
	case ErrorCipher:
		return "cipher type not supported"
	case ErrorKeyAgreement:
		return "key agreement type not supported"
	case ErrorAuth:
		return "SRTP authentication tag type not supported"
	case ErrorSAS:
		return "SAS type not supported"
	case ErrorNoSecret:
		return "no shared secret, DH mode required"
	case ErrorPublicValue:
		return "bad public value"
	case ErrorHVI:
		return "the hash commitment hvi does not match"
	case ErrorRelayedSAS:
		return "relayed SAS from an untrusted man in the middle"
	case ErrorConfirmMAC:
		return "wrong MAC of a Confirm"
	case ErrorNonceReuse:
		return "nonce used twice"
	case ErrorEqualZIDs:
		return "both sides have the same ZID"
	case ErrorSSRCCollision:
		return "both sides have the same SSRC"
	case ErrorUnavailable:
		return "service unavailable"
	case ErrorTimeout:
		return "protocol timeout"
	case ErrorGoClear:
		return "GoClear received, but not allowed"
	}
	return fmt.Sprintf("unknown error 0x%x", uint32(c))
}

// Type implements Message.
func (m *Error) Type() Type { return TypeError }

// Append implements Message.
func (m *Error) Append(dst []byte) []byte {
	return frame(dst, TypeError, func(b *cryptobyte.Builder) { b.AddUint32(uint32(m.Code)) })
}

func parseError(s *cryptobyte.String) (*Error, bool) {
	m := &Error{}
	return m, s.ReadUint32((*uint32)(&m.Code))
}

// Type implements Message.
func (*ErrorACK) Type() Type { return TypeErrorACK }

// Append implements Message.
func (*ErrorACK) Append(dst []byte) []byte { return frame(dst, TypeErrorACK, nil) }
