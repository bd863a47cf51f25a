package srtp

import "encoding/binary"

// kept is how many packets of a stream are known again when they come twice.
const kept = 64

// progress is how far a stream of the peer has come.
type progress struct {
	newest uint64 // the highest index that was opened, and 1<<32 so that zero is none
	last   [kept]mark
}

// mark is what an index's packet ended with: of its authentication tag, 32 bits.
type mark struct {
	index uint64
	tag   uint32
}

func (p *progress) add(index uint64, packet []byte) {
	p.newest = max(p.newest, index)
	p.last[index%kept] = mark{index, tagOf(packet)}
}

func (p *progress) has(index uint64, packet []byte) bool {
	return p.last[index%kept] == mark{index, tagOf(packet)}
}

// tagOf is the end of a packet, which is at least as long as a tag.
func tagOf(packet []byte) uint32 { return binary.BigEndian.Uint32(packet[len(packet)-4:]) }

// extend makes a sequence number an index near the newest one (RFC 3711, Section
// 3.3.1), counted from where we began to hear: rollovers before that are the same
// for all.
func extend(newest uint64, seq uint16) uint64 {
	if newest == 0 {
		return 1<<32 | uint64(seq)
	}
	return newest + uint64(int64(int16(seq-uint16(newest))))
}

// rtcpIndex is what an SRTCP packet says itself (RFC 3711, Section 3.4).
func rtcpIndex(packet []byte) uint64 {
	return 1<<32 | uint64(binary.BigEndian.Uint32(packet[len(packet)-rtcpTag-rtcpTrailer:])&^(1<<31))
}

// NewestRTP and NewestRTCP are how far the peer's two streams have come: each is
// greater after a packet than before if, and only if, that packet is newer than
// all that were opened before it. Zero: none was.
func (s *Session) NewestRTP() uint64 {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	return s.rtp.newest
}

// NewestRTCP is NewestRTP for SRTCP.
func (s *Session) NewestRTCP() uint64 {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	return s.rtcp.newest
}

// RepeatRTP and RepeatRTCP tell of a packet that was refused with ErrReplay
// whether it is one of the last that were opened, tag and all: the peer has made
// it, and not whoever could guess its number.
func (s *Session) RepeatRTP(packet []byte) bool {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	return s.rtp.newest != 0 && s.rtp.has(extend(s.rtp.newest, binary.BigEndian.Uint16(packet[2:])), packet)
}

// RepeatRTCP is RepeatRTP for SRTCP.
func (s *Session) RepeatRTCP(packet []byte) bool {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	return s.rtcp.has(rtcpIndex(packet), packet)
}
