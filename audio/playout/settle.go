package playout

import (
	"time"

	"securecall/audio"
)

// settle looks at what has come since the last Pop: first at what it says
// about the path, then at the delay, and then at what is too late for it.
func (b *Buffer) settle(now time.Time) {
	came := b.pending[:b.waiting]
	b.waiting = 0
	for i := range came {
		if now.Sub(came[i].at) < marginal {
			came[i].lag += audio.FrameSamples
		}
	}
	if len(came) > 0 && !b.catchesUp(came) {
		for _, p := range came {
			b.arrivals.add(p.at.Sub(b.begin), p.lag)
		}
		b.arrivals.weigh(b.min, b.max)
	}
	if b.fresh {
		b.settleFresh(came)
	}
	b.wait()
	b.leap()
	next := b.next()
	for _, p := range came {
		ahead := int(int32(p.timestamp - next))
		switch {
		case p.copied && ahead+p.n > 0:
			b.stats.Recovered++
		case p.copied:
		case ahead+p.n <= 0:
			b.stats.Late++
		default:
			waits := samples(max(0, ahead)) + now.Sub(p.at)
			if b.stats.Delay == 0 {
				b.stats.Delay = waits
			}
			b.stats.Delay += (waits - b.stats.Delay) / recent
		}
	}
	if b.arrivals.n > 0 {
		b.stats.Target = max(0, b.stats.Delay+samples(b.arrivals.grow-b.delay))
	}
}

// catchesUp tells whether came is what the path, or the program, had held
// back during an outage and lets go in one lump. It says nothing about how late
// packets will be from now on.
func (b *Buffer) catchesUp(came []arrival) bool {
	if b.returning == 0 {
		return false
	}
	b.returning--
	held := 0
	for _, p := range came {
		held += p.n
	}
	if held <= 2*audio.FrameSamples {
		b.returning = 0
	}
	return b.returning > 0
}

// settleFresh settles the delay of a stream that has just been taken up: its
// packets are played as they come, the last of them if they come in a lump. If
// it was taken up anew, so is half of what jitter had asked for: where in the
// jitter its first packet was nobody knows.
func (b *Buffer) settleFresh(came []arrival) {
	if len(came) == 0 {
		return
	}
	least, most := came[0].lag, came[0].lag
	for _, p := range came {
		least, most = min(least, p.lag), max(most, p.lag)
	}
	if b.returning > 0 {
		most = least
	}
	b.delay = most + max(b.min, min(b.max, b.spread/2))
	b.fresh = b.returning > 0
}

// wait makes the delay longer where that costs nothing: something is being
// concealed, and what is too late for the present delay is still there to be
// heard instead. Nothing is heard twice.
func (b *Buffer) wait() {
	if b.gap > 0 && b.arrivals.grow > b.delay && b.arrivals.n > 0 {
		b.delay += min(b.gap, b.arrivals.grow-b.delay)
	}
}

// tooMuch is how many samples of delay beyond what any recent packet needed
// are left out in a gap.
const tooMuch = audio.SampleRate / 10

// leap makes the delay shorter where that costs nothing: the sender's
// timestamps have jumped, or it paused, and now sound waits behind a gap.
func (b *Buffer) leap() {
	if b.gap == 0 || b.arrivals.n < recent {
		return
	}
	excess := b.delay - b.arrivals.latest()
	if excess < tooMuch {
		return
	}
	if n := b.ring.hole(b.next(), reach); n < reach {
		b.delay -= min(n, excess)
	}
}
