package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	packetHeader = 12         // first byte, sequence number, cookie, SSRC
	packetCRC    = 4          // CRC-32C at the end
	cookie       = 0x5a525450 // "ZRTP"
	firstByte    = 0x10       // not a version that RTP has (Section 5)
	firstPart    = 0x11       // fragments of newer bzrtp, in no RFC
)

// Why ParsePacket refuses a datagram.
var (
	ErrNotZRTP = errors.New("not a ZRTP packet")
	ErrLength  = errors.New("packet length does not fit its message")
	ErrCRC     = errors.New("wrong CRC")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Packet is one ZRTP packet (Section 5, Figure 2).
type Packet struct {
	Seq     uint16
	SSRC    uint32
	Message []byte // the whole message, preamble included; aliases the datagram
}

// IsZRTP tells whether a datagram looks like ZRTP: first byte 0x10 (or 0x11,
// a fragment of newer bzrtp) and the magic cookie. It does not check more.
func IsZRTP(datagram []byte) bool {
	return len(datagram) >= packetHeader && (datagram[0] == firstByte || datagram[0] == firstPart) &&
		binary.BigEndian.Uint32(datagram[4:]) == cookie
}

// ParsePacket checks cookie, length and CRC-32C. Fragments are refused as
// ErrNotZRTP: no RFC describes them. The second octet is not used (Section 5)
// and may hold anything. The low half of the first is not used either, and must
// be zero all the same: newer bzrtp says there that a packet is a fragment, and
// RFC 7983 has left only 16 to 19 to ZRTP.
func ParsePacket(datagram []byte) (Packet, error) {
	if !IsZRTP(datagram) || datagram[0] != firstByte {
		return Packet{}, ErrNotZRTP
	}
	end := len(datagram) - packetCRC
	if end < packetHeader+headerSize {
		return Packet{}, ErrLength
	}
	message := datagram[packetHeader:end]
	if int(binary.BigEndian.Uint16(message[2:]))*4 != len(message) {
		return Packet{}, ErrLength
	}
	// The CRC of SCTP (RFC 3309): reflected, and sent least significant octet
	// first.
	if binary.LittleEndian.Uint32(datagram[end:]) != crc32.Checksum(datagram[:end], castagnoli) {
		return Packet{}, ErrCRC
	}
	return Packet{
		Seq:     binary.BigEndian.Uint16(datagram[2:]),
		SSRC:    binary.BigEndian.Uint32(datagram[8:]),
		Message: message,
	}, nil
}

// AppendPacket appends the packet that carries message.
func AppendPacket(dst []byte, seq uint16, ssrc uint32, message []byte) []byte {
	start := len(dst)
	dst = append(dst, firstByte, 0)
	dst = binary.BigEndian.AppendUint16(dst, seq)
	dst = binary.BigEndian.AppendUint32(dst, cookie)
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, message...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}
