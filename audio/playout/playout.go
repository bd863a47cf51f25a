// Package playout turns packets as the network delivers them into frames as
// the speaker needs them: a jitter buffer with loss concealment.
//
// It is a machine without clock, goroutine or lock: time comes in as an
// argument, and its owner serialises the calls.
//
// The buffer is a ring of samples, indexed by RTP timestamp (RFC 3550, Section
// 5.1): where a sample is stored says when it is played. Its delay is fixed;
// it is corrected by whole frames where the two clocks drift apart.
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
	Delay time.Duration // how long a packet waits before it is played: 60 ms if zero, 500 ms at most
}

// Stats count packets and frames since New.
type Stats struct {
	Received   uint64 // packets pushed
	Late       uint64 // arrived after their time had been played
	Duplicated uint64
	Reordered  uint64 // in time, but behind a packet with a higher number
	Lost       uint64 // frames played without: concealed, or silence
	Refused    uint64 // nothing that could be played (length, far away in time)
	Adjusted   uint64 // frames left out or put in because the clocks differ
	Concealed  time.Duration
	Delay      time.Duration // what a packet now waits, at the last Push
}

const (
	ringSize  = 1 << 13                // samples, one second
	reach     = ringSize - maxPacket   // a packet this far ahead does not yet wrap the ring
	maxPacket = 3 * audio.FrameSamples // 60 ms, the longest that phones send
	slack     = 2 * audio.FrameSamples // more waiting than this beyond the delay is shortened
	settle    = 50                     // packets over which that is watched
	patience  = 3                      // late or far packets in a row before the stream is taken up anew
)

// Buffer is the jitter buffer of one stream.
type Buffer struct {
	delay int // samples
	stats Stats

	ring [ringSize]int16
	full [ringSize]bool
	next uint32 // timestamp of the next sample to be played

	phase phase
	begin time.Time // when the first packet came
	seen  window

	late, far int    // in a row
	farNext   uint32 // the timestamp that would follow the last far packet
	least     int    // least waiting of the last packets, samples
	watched   int

	conceal concealer
	decoded [maxPacket]int16
}

type phase uint8

const (
	empty   phase = iota // no packet yet
	waiting              // the first packet waits for its delay
	playing
)

// New returns an empty buffer.
func New(c Config) *Buffer {
	if c.Delay == 0 {
		c.Delay = 60 * time.Millisecond
	}
	delay := min(c.Delay, 500*time.Millisecond) * audio.SampleRate / time.Second
	return &Buffer{delay: int(delay)}
}

// Push hands in one packet that arrived at now. It copies the payload and
// does not allocate.
func (b *Buffer) Push(now time.Time, p Packet) {
	b.stats.Received++
	if len(p.Payload) == 0 || len(p.Payload) > maxPacket {
		b.stats.Refused++
		return
	}
	repeated, older := b.seen.add(p.Seq)
	if repeated {
		b.stats.Duplicated++
		return
	}
	if b.phase == empty {
		b.phase, b.begin, b.next = waiting, now, p.Timestamp
	}
	ahead := int(int32(p.Timestamp - b.next)) // samples until it is to be played
	if b.phase == waiting && ahead < 0 && ahead >= -reach {
		b.back(-ahead) // the first packet was not the first sent
		ahead = 0
	}
	if ahead > reach || ahead < -reach {
		if !b.jumped(p) {
			b.stats.Refused++
			return
		}
		ahead = b.restart(p.Timestamp)
	}
	b.far = 0
	if ahead+len(p.Payload) <= 0 {
		b.stats.Late++
		if b.late++; b.late < patience {
			return
		}
		// They all come late: the path has become longer, or the sender's clock
		// is slower than ours. Wait for them again.
		b.stats.Adjusted++
		ahead = b.restart(p.Timestamp)
	} else if older {
		b.stats.Reordered++
	}
	b.late = 0
	b.store(p, ahead)
	if b.phase == playing {
		b.watch(ahead)
	}
}

// store decodes a packet into the ring, but for samples that have been played.
func (b *Buffer) store(p Packet, ahead int) {
	pcm := b.decoded[:len(p.Payload)]
	p.Law.Decode(pcm, p.Payload)
	skip := max(0, -ahead)
	for i := skip; i < len(pcm); i++ {
		at := (p.Timestamp + uint32(i)) % ringSize
		b.ring[at], b.full[at] = pcm[i], true
	}
}

// restart moves the moment of playing so that the sample at timestamp waits
// for the whole delay, and returns how far ahead it now is.
func (b *Buffer) restart(timestamp uint32) int {
	clear(b.full[:])
	b.next = timestamp - uint32(b.delay)
	b.watched = 0
	return b.delay
}

// jumped tells whether a packet from far away is the second in a row of a
// stream that goes on there. One alone may be nonsense.
func (b *Buffer) jumped(p Packet) bool {
	follows := b.far > 0 && p.Timestamp == b.farNext
	b.far++
	b.farNext = p.Timestamp + uint32(len(p.Payload))
	return follows && b.far >= patience-1
}

// watch shortens the waiting when for a while no packet waited less than the
// delay and some slack: by a frame where the sender's clock is faster than ours,
// by all of it where the path had held packets back and let them go at once.
func (b *Buffer) watch(ahead int) {
	b.stats.Delay = samples(ahead)
	if b.watched == 0 || ahead < b.least {
		b.least = ahead
	}
	if b.watched++; b.watched < settle {
		return
	}
	b.watched = 0
	excess := (b.least - b.delay) / audio.FrameSamples
	if excess <= slack/audio.FrameSamples {
		return
	}
	if excess <= 2*slack/audio.FrameSamples {
		excess = 1
	}
	b.skip(excess * audio.FrameSamples)
	b.stats.Adjusted += uint64(excess)
}

// skip passes over samples that will not be played.
func (b *Buffer) skip(n int) {
	for range n {
		b.full[b.next%ringSize] = false
		b.next++
	}
}

// back makes n samples that were before next the next ones. Their places may
// hold what is a whole ring ahead of them.
func (b *Buffer) back(n int) {
	for range n {
		b.next--
		b.full[b.next%ringSize] = false
	}
}

// Pop fills f with the next 20 ms to be heard at now: speech, concealment, or
// silence before the first packet and after a long gap. It reports whether f
// holds received sound. It does not allocate.
func (b *Buffer) Pop(now time.Time, f *audio.Frame) bool {
	if b.phase == waiting && !now.Add(audio.FrameDuration/2).Before(b.begin.Add(samples(b.delay))) {
		b.phase = playing
		// Nobody listened for longer than the delay: that is not made up for by
		// hearing everything late for ever.
		if missed := now.Sub(b.begin) - samples(b.delay) - audio.FrameDuration; missed > 0 {
			b.skip(min(reach, int(missed*audio.SampleRate/time.Second)))
		}
	}
	if b.phase != playing {
		*f = audio.Frame{}
		return false
	}
	missing := 0
	for i := range f {
		at := b.next % ringSize
		if b.full[at] {
			f[i] = b.conceal.heard(b.ring[at])
			b.full[at] = false
		} else {
			f[i] = b.conceal.missing()
			missing++
		}
		b.next++
	}
	if missing > audio.FrameSamples/2 {
		b.stats.Lost++
	}
	b.stats.Concealed += samples(missing)
	return missing < audio.FrameSamples
}

// Stats returns the counters so far.
func (b *Buffer) Stats() Stats { return b.stats }

func samples(n int) time.Duration { return time.Duration(n) * time.Second / audio.SampleRate }
