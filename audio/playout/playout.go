// Package playout turns packets as the network delivers them into frames as
// the speaker needs them: an adaptive jitter buffer.
//
// It is a machine without clock, goroutine or lock: time comes in as an
// argument, and its owner serialises the calls. It does no I/O and does not
// allocate after New.
//
// Sound is kept in a ring of samples, indexed by RTP timestamp (RFC 3550,
// Section 5.1). The speaker is the clock: each Pop moves it on by a frame,
// and what is played is the delay behind it. What the delay should be is
// learnt from how late packets come (arrivals.go); it gets there by leaving out
// or repeating single pitch periods (adjust.go, package stretch), and where
// nothing is to be heard, by waiting or leaving out silence. What is lost is
// concealed and may still be filled by a redundant copy (RFC 2198).
//
// Left out: comfort noise (RFC 3389), and a clock skew estimate; the delay that
// follows arrivals follows the sender's clock as well.
package playout

import (
	"time"

	"securecall/audio"
	"securecall/audio/conceal"
)

// A Packet is one authenticated RTP packet of the stream.
type Packet struct {
	Seq       uint16
	Timestamp uint32    // RTP timestamp, in samples at 8 kHz
	Law       audio.Law // from the payload type
	Payload   []byte    // G.711 octets, one a sample; borrowed for the call only
}

// Config of a Buffer, for what the packets of the last seconds wait.
type Config struct {
	Min time.Duration // never aim for less than this on average
	Max time.Duration // never for more than this for the fastest: 500 ms if zero, and at most
	// Frame is how many samples each Pop asks for; audio.FrameSamples if zero, half
	// of it for packets of 10 ms.
	Frame int
}

// MaxDelay is the most that a Buffer ever delays the fastest packets.
const MaxDelay = 500 * time.Millisecond

const (
	maxPayload = 10 * audio.FrameSamples // 200 ms: what a receiver should take (RFC 3551, Section 4.2)

	stall    = 200 * time.Millisecond // a speaker that has not asked for so long hears nothing
	outage   = 200 * time.Millisecond // a path that has delivered nothing for so long was interrupted
	catching = 10                     // Pops over which what was held back then may come in a lump

	inTime     = 3 * audio.SampleRate / 1000 // samples that a copy is in time, on average,
	inGoodTime = 8 * audio.SampleRate / 1000 // and before the first word
	farthest   = 5 * audio.FrameSamples      // behind their packets that copies are waited for
	patience   = 3                           // packets from far away that take the stream up anew there,
	farSpread  = 30 * time.Millisecond       // if they come over so long a time

	leisure  = 8                      // Pops after which the delay is weighed anew
	splinter = audio.SampleRate / 400 // sound shorter than this inside a gap is not worth taking
)

// Buffer is the jitter buffer of one stream.
type Buffer struct {
	frame    int // samples a Pop
	min, max int // samples
	stats    Stats

	ring     ring
	clock    uint32    // the timestamp of the next Pop, if there were no delay
	delay    int       // samples; what is played next is this far behind clock
	begun    bool      // there is a stream
	sounding bool      // and something of it has been heard
	popped   time.Time // when the last Pop was, or would have been
	stalled  bool      // the speaker has not asked for a while
	gap      int       // samples concealed up to now since something was heard

	begin     time.Time // when the stream was first heard of
	arrived   time.Time // when the last packet came
	seen      sequence
	pending   [64]arrival // since the last Pop
	waiting   int         // how many
	arrivals  arrivals
	unweighed int  // Pops with arrivals since the delay was last weighed
	returning int  // Pops for which packets may still come that were held back; 0: none
	fresh     bool // the delay is not known yet
	early     int  // packets in a row from so far ahead that no path is that fast
	spread    int  // what it was beyond the fastest packets before the stream was taken up anew

	copied    int       // how far behind their packets copies are, samples; those of
	copiedTil time.Time // until then

	far      int // packets from far away in a row
	farFirst time.Time
	farStamp uint32

	adjust  adjuster
	conceal conceal.Concealer
	bursts  bursts
	decoded [maxPayload]int16
}

// An arrival is a packet that no Pop has seen yet.
type arrival struct {
	at        time.Time
	timestamp uint32
	lag       int  // of the next Pop
	n         int  // samples
	back      int  // how far behind its packet a copy is, samples; 0: it is none
	raised    bool // it counts as if it had come after the Pop
}

// New returns an empty buffer.
func New(c Config) *Buffer {
	if c.Max <= 0 || c.Max > MaxDelay {
		c.Max = MaxDelay
	}
	c.Min = max(0, min(c.Min, c.Max))
	if c.Frame <= 0 || c.Frame > audio.FrameSamples {
		c.Frame = audio.FrameSamples
	}
	b := &Buffer{frame: c.Frame, min: audio.Samples(c.Min), max: audio.Samples(c.Max)}
	b.arrivals.frame = b.frame
	b.stats.Frame = audio.Duration(b.frame)
	return b
}

// next is the timestamp of what is played next.
func (b *Buffer) next() uint32 { return b.clock - uint32(b.delay) }

// Push hands in one packet that arrived at now. It copies the payload.
func (b *Buffer) Push(now time.Time, p Packet) {
	b.stats.Received++
	if len(p.Payload) == 0 || len(p.Payload) > maxPayload {
		b.stats.Refused++
		return
	}
	repeated, older := b.seen.add(p.Seq)
	if repeated {
		b.stats.Duplicated++
		return
	}
	b.elapse(now, false)
	if !b.begun {
		b.start(now, p.Timestamp)
	}
	if !b.near(p.Timestamp, len(p.Payload)) {
		if !b.jumped(now, p.Timestamp) {
			b.stats.Refused++
			return
		}
		b.start(now, p.Timestamp)
	}
	b.far = 0
	if b.arrived.Before(now.Add(-max(outage, 2*audio.Duration(len(p.Payload))))) && !b.fresh {
		b.returning = catching
	}
	b.arrived = now
	if older && int32(p.Timestamp-b.next()) >= 0 {
		b.stats.Reordered++
	}
	// The packet may be one whose copy was here before it: then it was in time
	// already, and how late it came itself says nothing.
	known := b.ring.run(p.Timestamp, len(p.Payload)) == len(p.Payload)
	pcm := b.decoded[:len(p.Payload)]
	p.Law.Decode(pcm, p.Payload)
	b.ring.store(p.Timestamp, pcm)
	if known {
		b.stats.Needless++
	} else {
		b.note(now, p.Timestamp, len(pcm), 0)
	}
}

// Recover hands in a redundant copy of what was sent in an earlier packet (RFC
// 2198), which came at now, in a packet that is back samples later. It fills what has
// not come and touches nothing else. Where it fills something, the copy's arrival is
// that packet's. The delay is long enough for copies of the packet before from the
// first one on, and for as long as they come: it would have to change with the first
// loss that they make good, in the middle of a word. For those of older ones it is before
// the first word, when that costs nothing; later each of them that fills something is
// weighed like a packet that came as late, and at 3 % of loss hardly any ever does.
func (b *Buffer) Recover(now time.Time, timestamp uint32, back int, law audio.Law, payload []byte) {
	if len(payload) == 0 || len(payload) > maxPayload || back <= 0 || back > farthest {
		return
	}
	b.elapse(now, false)
	if !b.begun || !b.near(timestamp, len(payload)) {
		return
	}
	pcm := b.decoded[:len(payload)]
	law.Decode(pcm, payload)
	filled := b.ring.fill(timestamp, pcm) > 0
	if back == b.copied || back > b.copied && (back <= max(b.frame, len(payload)) || !b.adjust.spoken) {
		b.copied, b.copiedTil = back, now.Add(longest)
	}
	if filled {
		b.note(now, timestamp, len(payload), back)
	}
}

// low is the delay to aim for at least, on average: copies have to be in time too, with
// a little to spare, and with more as long as that costs nothing, or the delay would grow in
// mid-word once some were late.
func (b *Buffer) low() int {
	if b.copied == 0 {
		return b.min
	}
	spare := inTime
	if !b.adjust.spoken {
		spare = inGoodTime
	}
	return min(b.max, max(b.min, b.copied+spare))
}

// near tells whether n samples from timestamp on may be played or may have
// been played a moment ago.
func (b *Buffer) near(timestamp uint32, n int) bool {
	ahead := int(int32(timestamp - b.next()))
	return ahead >= -audio.Samples(MaxDelay) && ahead <= reach && b.ring.holds(timestamp, n)
}

// jumped tells whether a packet from far away is one of a stream that goes on
// there. Some alone may be nonsense, many at once what a path had held back.
func (b *Buffer) jumped(now time.Time, timestamp uint32) bool {
	if apart := int32(timestamp - b.farStamp); b.far == 0 || apart > reach || apart < -reach {
		b.far, b.farFirst = 0, now
	}
	b.far++
	b.farStamp = timestamp
	return b.far >= patience && now.Sub(b.farFirst) >= farSpread
}

// start takes the stream up at timestamp. How it is delayed is settled at the
// next Pop.
func (b *Buffer) start(now time.Time, timestamp uint32) {
	if b.begun {
		b.spread = max(0, b.delay-b.arrivals.least)
	} else {
		b.begin = now
	}
	b.begun, b.fresh, b.returning = true, true, catching
	b.clock, b.delay, b.waiting, b.unweighed = timestamp, 0, 0, leisure
	b.adjust.growing = false
	b.ring.clear(timestamp - past)
	b.arrivals.clear()
}

// note remembers a packet until the next Pop, which knows whether it was in
// time.
func (b *Buffer) note(now time.Time, timestamp uint32, n, back int) {
	if b.waiting == len(b.pending) {
		b.settle(now)
	}
	b.pending[b.waiting] = arrival{at: now, timestamp: timestamp, lag: int(int32(b.clock - timestamp)), n: n, back: back}
	b.waiting++
}

// elapse moves the clock on where the speaker has stopped asking: the frames
// that it would have played by now are over.
func (b *Buffer) elapse(now time.Time, asked bool) {
	if b.popped.IsZero() {
		b.popped = now
	}
	idle := now.Sub(b.popped)
	if idle < stall && !b.stalled {
		return
	}
	b.stalled = !asked
	frames := int(idle / audio.Duration(b.frame))
	if asked {
		frames-- // is the one that is asked for
	}
	if frames <= 0 {
		return
	}
	b.settle(now)
	b.popped = b.popped.Add(audio.Duration(frames * b.frame))
	if !b.begun {
		return
	}
	b.clock += uint32(frames * b.frame)
	if oldest := b.next() - past; frames < ringSize/b.frame {
		b.ring.forget(oldest)
	} else {
		b.ring.clear(oldest)
	}
	if b.sounding {
		// What comes next does not follow what was heard last.
		var unheard [audio.FrameSamples]int16
		for range min(frames, catching) {
			b.conceal.Missing(unheard[:b.frame])
		}
		b.gap = min(b.gap+frames*b.frame, past/2)
	}
}

// Pop fills f, of Config.Frame samples, with what is to be heard next, at now: speech, concealment, or
// silence before the first packet and after a long gap. It reports whether f
// holds received sound.
func (b *Buffer) Pop(now time.Time, f audio.Frame) bool {
	b.elapse(now, true)
	if !b.begun {
		b.popped = now
		clear(f)
		return false
	}
	for i := range b.pending[:b.waiting] {
		if p := &b.pending[i]; now.Sub(p.at) < b.arrivals.marginal() {
			p.lag, p.raised = p.lag+b.frame, true
		}
	}
	b.settle(now)
	b.popped = now
	b.ring.forget(b.next() - past)
	heard, sounding := b.frame, b.sounding
	if b.gap == 0 && b.reshape(f) {
		b.conceal.Heard(f)
	} else {
		heard = b.play(f)
	}
	b.clock += uint32(b.frame)
	if sounding {
		lost := heard < b.frame/2
		if lost {
			b.stats.Lost++
		}
		b.bursts.frame(&b.stats, lost)
	}
	return heard > 0
}

// play fills f as it comes and returns how many samples are received ones.
func (b *Buffer) play(f audio.Frame) (heard int) {
	for i := 0; i < len(f); {
		at := b.next() + uint32(i)
		rest := f[i:]
		n := b.ring.run(at, len(rest))
		if b.gap > 0 && b.ring.run(at, splinter) < splinter {
			n = 0
		}
		if n > 0 {
			rest = rest[:n]
			b.ring.read(rest, at)
			b.conceal.Heard(rest)
			b.sounding, b.gap = true, 0
			heard += n
			i += n
			continue
		}
		n = b.ring.run(at, splinter-1)
		n += b.ring.hole(at+uint32(n), len(rest))
		rest = rest[:min(n, len(rest))]
		if b.sounding {
			b.conceal.Missing(rest)
			b.gap = min(b.gap+len(rest), past/2)
			b.stats.Concealed += audio.Duration(len(rest))
		} else {
			clear(rest)
		}
		i += len(rest)
	}
	return heard
}

// Stats returns the counters so far.
func (b *Buffer) Stats() Stats { return b.stats }
