// Package playout turns packets as the network delivers them into frames as
// the speaker needs them: a jitter buffer with loss concealment.
//
// It is a machine without clock, goroutine or lock: time comes in as an
// argument, and its owner serialises the calls.
package playout

import (
	"time"

	"securecall/audio"
)

// A Packet is one authenticated RTP packet of the stream.
type Packet struct {
	Seq       uint16
	Timestamp uint32    // RTP timestamp, in samples at 8 kHz
	Law       audio.Law // from the payload type
	Payload   []byte    // G.711 octets, one a sample; borrowed for the call only
}

// Config of a Buffer.
type Config struct {
	Delay time.Duration // how long a packet waits before it is played: 60 ms if zero
}

// Stats count packets and frames since New.
type Stats struct {
	Received   uint64 // packets pushed
	Late       uint64 // arrived after their time had been played
	Duplicated uint64
	Reordered  uint64 // in time, but behind a packet with a higher number
	Lost       uint64 // played without: concealed, and never arrived in time
	Refused    uint64 // nothing that could be played (length, far future)
	Concealed  time.Duration
	Delay      time.Duration // what a packet now waits, at the last Pop
}

// Buffer is the jitter buffer of one stream.
type Buffer struct{}

// New returns an empty buffer.
func New(c Config) *Buffer { panic("seam") }

// Push hands in one packet that arrived at now. It copies the payload and
// does not allocate.
func (b *Buffer) Push(now time.Time, p Packet) { panic("seam") }

// Pop fills f with the next 20 ms to be heard at now: speech, concealment, or
// silence before the first packet and after a long gap. It reports whether f
// holds received sound. It does not allocate.
func (b *Buffer) Pop(now time.Time, f *audio.Frame) bool { panic("seam") }

// Stats returns the counters so far.
func (b *Buffer) Stats() Stats { panic("seam") }
