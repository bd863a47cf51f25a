package srtp

import (
	"encoding/binary"
	"errors"

	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v2"
)

// OpenRTP checks and decrypts an SRTP packet into dst (its capacity is
// used, and it must not overlap packet) and parses the header into h. The
// payload, without padding, aliases dst; extensions in h alias packet. After
// an error dst and h hold nothing of meaning. With the packet's length as
// capacity of dst, only pion allocates.
func (s *Session) OpenRTP(dst, packet []byte, h *rtp.Header) (payload []byte, err error) {
	// Before the library sees it, since it remembers every SSRC.
	if len(packet) < rtpHeader+s.rtpTag || packet[0]>>6 != 2 {
		return nil, ErrMalformed
	}
	if binary.BigEndian.Uint32(packet[8:]) != s.remoteSSRC {
		return nil, ErrForeignSSRC
	}
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if s.receiver == nil {
		return nil, ErrClosed
	}
	// pion parses the header itself, but tells neither its length nor whether
	// it was the cause of an error.
	headerSize, err := h.Unmarshal(packet)
	if err != nil || headerSize > len(packet)-s.rtpTag {
		return nil, ErrMalformed
	}
	plain, err := s.receiver.DecryptRTP(dst[:0], packet, h)
	if err != nil {
		return nil, cause(err)
	}
	s.rtp.add(extend(s.rtp.newest, h.SequenceNumber), packet)
	payload = plain[headerSize:]
	h.PaddingSize = 0
	if !h.Padding {
		return payload, nil
	}
	// RFC 3550, Section 5.1: the last octet of the padding counts the octets
	// to ignore, itself included.
	if len(payload) == 0 {
		return nil, ErrMalformed
	}
	h.PaddingSize = payload[len(payload)-1]
	if h.PaddingSize == 0 || int(h.PaddingSize) > len(payload) {
		return nil, ErrMalformed
	}
	return payload[:len(payload)-int(h.PaddingSize)], nil
}

// OpenRTCP checks and decrypts an SRTCP packet and appends the plain compound
// packet to dst, which must not overlap packet; on an error it returns dst as
// it was. With the packet's length as room in dst, only pion allocates.
//
// The peer sent these bytes, but nothing says that they are well-formed RTCP.
func (s *Session) OpenRTCP(dst, packet []byte) ([]byte, error) {
	if len(packet) < rtcpHeader+rtcpTrailer+rtcpTag || packet[0]>>6 != 2 {
		return dst, ErrMalformed
	}
	if binary.BigEndian.Uint32(packet[4:]) != s.remoteSSRC {
		return dst, ErrForeignSSRC
	}
	// RFC 3711, Section 3.4: the E bit says whether the packet is encrypted.
	// pion would take it in the clear; ZRTP's keys are for encryption.
	if packet[len(packet)-rtcpTag-rtcpTrailer]&0x80 == 0 {
		return dst, ErrMalformed
	}
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if s.receiver == nil {
		return dst, ErrClosed
	}
	grown, tail := room(dst, len(packet))
	plain, err := s.receiver.DecryptRTCP(tail, packet, &s.rtcpIn)
	if err != nil {
		return dst, cause(err)
	}
	s.rtcp.add(rtcpIndex(packet), packet)
	return grown[:len(grown)+len(plain)], nil
}

// cause names pion's refusal of a packet whose length and header were found
// good: pion exports the error of a wrong tag, and what is left is a repeat.
func cause(err error) error {
	if errors.Is(err, pion.ErrFailedToVerifyAuthTag) {
		return ErrAuth
	}
	return ErrReplay
}
