// Package red is the RTP payload format for redundant audio data (RFC 2198): a
// packet that holds, in front of its own sound, copies of what earlier packets
// held, so that a packet that is lost can be made up for by one that comes.
//
// Payloads are opaque octets. Who decides how many copies there are, and of
// which packets, is call/redundancy.go. It does no I/O.
package red

import "errors"

// Limits of the format (Section 3): fourteen bits of timestamp offset and ten
// of length.
const (
	MaxOffset = 1<<14 - 1
	MaxLength = 1<<10 - 1
)

// MaxBlocks is how many copies one packet can hold here.
const MaxBlocks = 8

const (
	blockHeader = 4
	finalHeader = 1
	follows     = 0x80 // the F bit: another header follows
)

// A Block is a copy of an earlier packet's sound.
type Block struct {
	Type    uint8  // RTP payload type
	Offset  uint32 // how much earlier than the packet it was due, in units of the RTP clock
	Payload []byte
}

var errFormat = errors.New("red: malformed")

// Append appends the payload of one packet: a header for each copy, in the
// order given (the oldest first, by custom), the header of the packet's own
// sound, then the sound itself in the same order. It fails where an offset or a
// length does not fit, and does not allocate where dst has room.
func Append(dst []byte, earlier []Block, payloadType uint8, payload []byte) ([]byte, error) {
	if len(earlier) > MaxBlocks {
		return dst, errFormat
	}
	for _, b := range earlier {
		if b.Offset > MaxOffset || len(b.Payload) > MaxLength {
			return dst, errFormat
		}
		word := uint32(follows|b.Type&0x7f)<<24 | b.Offset<<10 | uint32(len(b.Payload))
		dst = append(dst, byte(word>>24), byte(word>>16), byte(word>>8), byte(word))
	}
	dst = append(dst, payloadType&0x7f)
	for _, b := range earlier {
		dst = append(dst, b.Payload...)
	}
	return append(dst, payload...), nil
}

// Parse takes a packet's payload apart. The copies are written to blocks, which
// holds MaxBlocks; all of them alias packet. It fails, and nothing of the
// packet may be used, where there are more copies or they are longer than the
// packet.
func Parse(packet []byte, blocks *[MaxBlocks]Block) (earlier []Block, payloadType uint8, payload []byte, err error) {
	n, rest := 0, packet
	var lengths [MaxBlocks]int
	for {
		if len(rest) < finalHeader {
			return nil, 0, nil, errFormat
		}
		if rest[0]&follows == 0 {
			payloadType, rest = rest[0], rest[finalHeader:]
			break
		}
		if len(rest) < blockHeader || n == MaxBlocks {
			return nil, 0, nil, errFormat
		}
		word := uint32(rest[0])<<24 | uint32(rest[1])<<16 | uint32(rest[2])<<8 | uint32(rest[3])
		blocks[n] = Block{Type: uint8(word >> 24 & 0x7f), Offset: word >> 10 & MaxOffset}
		lengths[n] = int(word & MaxLength)
		n, rest = n+1, rest[blockHeader:]
	}
	for i := range n {
		if lengths[i] > len(rest) {
			return nil, 0, nil, errFormat
		}
		blocks[i].Payload, rest = rest[:lengths[i]:lengths[i]], rest[lengths[i]:]
	}
	return blocks[:n], payloadType, rest, nil
}
