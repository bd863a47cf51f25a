package call

import "encoding/binary"

// kind is what a datagram is by its first bytes (RFC 7983, Section 7; RTP and
// RTCP apart by RFC 5761, Section 4).
type kind uint8

const (
	kindOther kind = iota
	kindSTUN
	kindZRTP
	kindRTP
	kindRTCP
)

func classify(b []byte) kind {
	// Twelve octets is the shortest of all: an RTP header. What is shorter
	// has no SSRC to find its call by.
	if len(b) < 12 {
		return kindOther
	}
	switch first := b[0]; {
	case first <= 3:
		return kindSTUN
	case first >= 16 && first <= 19:
		return kindZRTP
	case first >= 128 && first <= 191:
		if b[1] >= 192 && b[1] <= 223 {
			return kindRTCP
		}
		return kindRTP
	}
	return kindOther
}

// ssrcOf is where the three protocols of a call keep the sender's SSRC. The
// datagram has been classified as one of them.
func ssrcOf(k kind, b []byte) uint32 {
	if k == kindRTCP {
		return binary.BigEndian.Uint32(b[4:])
	}
	return binary.BigEndian.Uint32(b[8:])
}
