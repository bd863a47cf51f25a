// Package wire reads and writes the packets and messages of ZRTP (RFC 6189,
// Section 5). It keeps no state and does no I/O; every length and count that
// comes from the network is checked before it is used.
package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/cryptobyte"
)

// A Message is one ZRTP message: Append writes it whole, from the preamble
// 0x505a to its last word (Section 5); MAC fields are written as they stand.
type Message interface {
	Append(dst []byte) []byte
	Type() Type
}

// Type is the eight-character message type, padded with spaces.
type Type [8]byte

func (t Type) String() string { return string(t[:]) }

// The message types (Section 5).
var (
	TypeHello    = Type{'H', 'e', 'l', 'l', 'o', ' ', ' ', ' '}
	TypeHelloACK = Type{'H', 'e', 'l', 'l', 'o', 'A', 'C', 'K'}
	TypeCommit   = Type{'C', 'o', 'm', 'm', 'i', 't', ' ', ' '}
	TypeDHPart1  = Type{'D', 'H', 'P', 'a', 'r', 't', '1', ' '}
	TypeDHPart2  = Type{'D', 'H', 'P', 'a', 'r', 't', '2', ' '}
	TypeConfirm1 = Type{'C', 'o', 'n', 'f', 'i', 'r', 'm', '1'}
	TypeConfirm2 = Type{'C', 'o', 'n', 'f', 'i', 'r', 'm', '2'}
	TypeConf2ACK = Type{'C', 'o', 'n', 'f', '2', 'A', 'C', 'K'}
	TypeError    = Type{'E', 'r', 'r', 'o', 'r', ' ', ' ', ' '}
	TypeErrorACK = Type{'E', 'r', 'r', 'o', 'r', 'A', 'C', 'K'}
	TypeSASrelay = Type{'S', 'A', 'S', 'r', 'e', 'l', 'a', 'y'}
	TypeRelayACK = Type{'R', 'e', 'l', 'a', 'y', 'A', 'C', 'K'}
	TypePing     = Type{'P', 'i', 'n', 'g', ' ', ' ', ' ', ' '}
	TypePingACK  = Type{'P', 'i', 'n', 'g', 'A', 'C', 'K', ' '}
)

// ErrMalformed is what Parse and ParseConfirmBody return for anything whose
// structure is wrong (an Error message would say 0x10 of it).
var ErrMalformed = errors.New("malformed message")

const (
	preamble   = 0x505a // first half-word of every message (Section 5)
	headerSize = 12     // preamble, length in words, type
)

// frame appends a message: its header, and the body that add writes. Bodies
// are whole words and far below 65,535 of them, so that nothing can fail.
func frame(dst []byte, t Type, add func(*cryptobyte.Builder)) []byte {
	start := len(dst)
	b := cryptobyte.NewBuilder(dst)
	b.AddUint16(preamble)
	b.AddUint16(0)
	b.AddBytes(t[:])
	if add != nil {
		add(b)
	}
	dst = b.BytesOrPanic()
	binary.BigEndian.PutUint16(dst[start+2:], uint16((len(dst)-start)/4))
	return dst
}

// Parse reads one message as Packet.Message holds it. Slices in the result
// alias b.
func Parse(b []byte) (Message, error) {
	s := cryptobyte.String(b)
	var mark, words uint16
	var t Type
	if !s.ReadUint16(&mark) || mark != preamble || !s.ReadUint16(&words) ||
		int(words)*4 != len(b) || !s.CopyBytes(t[:]) {
		return nil, ErrMalformed
	}
	var m Message
	ok := false
	switch t {
	case TypeHello:
		m, ok = parseHello(&s)
	case TypeHelloACK:
		m, ok = &HelloACK{}, true
	case TypeCommit:
		m, ok = parseCommit(&s)
	case TypeDHPart1:
		m, ok = parseDHPart(&s, 1)
	case TypeDHPart2:
		m, ok = parseDHPart(&s, 2)
	case TypeConfirm1:
		m, ok = parseConfirm(&s, 1)
	case TypeConfirm2:
		m, ok = parseConfirm(&s, 2)
	case TypeConf2ACK:
		m, ok = &Conf2ACK{}, true
	case TypeError:
		m, ok = parseError(&s)
	case TypeErrorACK:
		m, ok = &ErrorACK{}, true
	case TypeSASrelay:
		m, ok = parseSASrelay(&s)
	case TypeRelayACK:
		m, ok = &RelayACK{}, true
	case TypePing:
		m, ok = parsePing(&s)
	case TypePingACK:
		m, ok = parsePingACK(&s)
	default:
		return &Other{Kind: t, Body: s}, nil
	}
	if !ok || !s.Empty() {
		return nil, ErrMalformed
	}
	return m, nil
}

// ComputeMAC is the MAC over a whole message of the kinds that end in one:
// HMAC-SHA-256 whatever hash was negotiated, leftmost 64 bits, over everything
// before it (Sections 5.2, 5.4, 5.5 and 5.6).
func ComputeMAC(key, message []byte) MAC {
	h := hmac.New(sha256.New, key)
	h.Write(message[:len(message)-len(MAC{})])
	return MAC(h.Sum(nil))
}

// Other is a well-formed message of a type that is not handled (GoClear,
// fragments, types to come).
type Other struct {
	Kind Type
	Body []byte // after the type, whole words
}

// Type implements Message.
func (m *Other) Type() Type { return m.Kind }

// Append implements Message.
func (m *Other) Append(dst []byte) []byte {
	return frame(dst, m.Kind, func(b *cryptobyte.Builder) { b.AddBytes(m.Body) })
}
