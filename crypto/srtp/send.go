package srtp

import (
	"encoding/binary"

	"github.com/pion/rtp"
)

// AppendRTP appends the SRTP packet of header and payload to dst and returns
// it; on an error it returns dst as it was. The payload must not overlap dst's
// spare room. With room for header, payload and a tag of 10 bytes, only pion
// allocates.
//
// The sequence number counts up from packet to packet and wraps after 65535; it
// may skip numbers, up to 2^15 - 1. Any other is refused with ErrSequence,
// because pion would encrypt a second packet under the same keystream without a
// word. The first must be below 2^15 (choose it at random there): a receiver
// that misses the packets before the first wrap would count the rollovers one
// short and could authenticate nothing for the whole call.
//
// The header needs Version 2 and the local SSRC. With Padding the payload ends in
// it, and its last octet says how much. Header extensions are not offered, which
// SRTP leaves in the clear. A refused header uses up no sequence number.
func (s *Session) AppendRTP(dst []byte, h *rtp.Header, payload []byte) ([]byte, error) {
	if h.Version != 2 || h.Padding && !padded(payload) || h.Extension || h.PayloadType > 127 || len(h.CSRC) > 15 {
		return dst, ErrMalformed
	}
	if h.SSRC != s.localSSRC {
		return dst, ErrForeignSSRC
	}
	headerSize := h.MarshalSize()
	size := headerSize + len(payload) + s.rtpTag
	if size > maxDatagram {
		return dst, ErrMalformed
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.sender == nil {
		return dst, ErrClosed
	}
	index, err := s.nextIndex(h.SequenceNumber)
	if err != nil {
		return dst, err
	}

	// Used up from here on, whatever happens.
	s.index, s.started = index, true

	// pion wants header and payload in one piece, and encrypts in place.
	grown, tail := room(dst, size)
	plain := tail[:headerSize+len(payload)]
	if _, err := h.MarshalTo(plain); err != nil {
		return dst, ErrMalformed
	}
	copy(plain[headerSize:], payload)
	if _, err := s.sender.EncryptRTP(plain, plain, &s.scratch); err != nil {
		clear(plain)
		return dst, ErrMalformed
	}
	return grown[:len(grown)+size], nil
}

// padded tells whether a payload can end in padding: its last octet is a "count of
// how many padding octets should be ignored, including itself" (RFC 3550, Section 5.1).
func padded(payload []byte) bool {
	n := len(payload)
	return n > 0 && payload[n-1] > 0 && int(payload[n-1]) <= n
}

// nextIndex extends a sequence number to the packet index that pion will
// encrypt under (RFC 3711, Section 3.3.1), and refuses it unless it is above
// the last one.
func (s *Session) nextIndex(seq uint16) (uint64, error) {
	if !s.started {
		if seq >= 1<<15 {
			return 0, ErrSequence
		}
		return uint64(seq), nil
	}
	// The half of the circle ahead of us, without its far end: at exactly
	// 2^15 a receiver cannot tell forward from back.
	step := int16(seq - uint16(s.index))
	if step <= 0 {
		return 0, ErrSequence
	}
	index := s.index + uint64(step)
	if index >= rtpLimit {
		return 0, ErrExhausted
	}
	return index, nil
}

// AppendRTCP appends the SRTCP packet of a plain compound packet, whose first
// packet must come from the local SSRC, and returns it; on an error it returns
// dst as it was. It numbers the packets itself. dst must not overlap compound.
// With room in dst for 14 bytes more than compound has, only pion allocates.
func (s *Session) AppendRTCP(dst, compound []byte) ([]byte, error) {
	// RFC 3550, Section 6.1: RTCP packets are of whole 32-bit words.
	if len(compound) < rtcpHeader || len(compound)%4 != 0 || compound[0]>>6 != 2 {
		return dst, ErrMalformed
	}
	size := len(compound) + rtcpTrailer + rtcpTag
	if size > maxDatagram {
		return dst, ErrMalformed
	}
	if binary.BigEndian.Uint32(compound[4:]) != s.localSSRC {
		return dst, ErrForeignSSRC
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if s.sender == nil {
		return dst, ErrClosed
	}
	if s.rtcpCount >= rtcpLimit {
		return dst, ErrExhausted
	}
	s.rtcpCount++
	grown, tail := room(dst, size)
	if _, err := s.sender.EncryptRTCP(tail, compound, &s.rtcpOut); err != nil {
		clear(tail[:size])
		return dst, ErrMalformed
	}
	return grown[:len(grown)+size], nil
}
