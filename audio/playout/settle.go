package playout

import (
	"math"
	"time"

	"securecall/audio"
)

// settle looks at what has come since the last Pop: first at what it says
// about the path, then at the delay, and then at what is too late for it.
func (b *Buffer) settle(now time.Time) {
	came := b.pending[:b.waiting]
	b.waiting = 0
	if now.After(b.copiedTil) {
		b.copied = 0
	}
	if len(came) > 0 && !b.catchesUp(now, came) {
		more := false
		for i, p := range came {
			if b.astray(p.lag) {
				continue
			}
			exact := p.lag - audio.Samples(now.Sub(p.at)) - p.back
			if p.raised {
				exact -= b.frame
			}
			b.arrivals.add(p.at.Sub(b.begin), p.lag, exact, heldBack(came[i:]), !b.adjust.spoken)
			more = more || p.lag > b.arrivals.grow
		}
		// Only to grow is there any hurry.
		if b.unweighed++; more || b.unweighed >= leisure {
			b.unweighed = 0
			b.arrivals.weigh(b.low(), b.max, b.delay, b.adjust.growing)
		}
	}
	if b.fresh && len(came) > 0 {
		b.settleFresh(came)
	}
	b.wait()
	b.follow()
	next := b.next()
	for _, p := range came {
		ahead := int(int32(p.timestamp - next))
		switch {
		case p.back > 0 && ahead+p.n > 0:
			b.stats.Recovered++
			b.stats.Restored += audio.Duration(p.n)
		case p.back > 0:
		case ahead+p.n <= 0:
			b.stats.Late++
		default:
			waits := audio.Duration(max(0, ahead)) + max(0, min(stall, now.Sub(p.at)))
			if b.stats.Delay == 0 {
				b.stats.Delay = waits
			}
			b.stats.Delay += (waits - b.stats.Delay) / recent
		}
	}
	if b.arrivals.n > 0 {
		b.stats.Target = max(0, b.stats.Delay+audio.Duration(b.arrivals.grow-b.delay))
	}
}

// heldBack tells whether so many later packets came together with the first of came that it was
// held back: by a machine that paused, or a path that stood still.
func heldBack(came []arrival) bool {
	first, with := came[0], 0
	for _, p := range came {
		if p.back == 0 && int32(p.timestamp-first.timestamp) > 0 && p.at.Sub(first.at) < lump {
			with++
		}
	}
	return first.back == 0 && with >= lumpLeast
}

const (
	lump      = 5 * time.Millisecond
	lumpLeast = 2 // beside itself: one alone it may have been overtaken by
)

// astray tells whether a packet is from so far in the future that no path can have
// been that fast, and stands alone. It is played in its time, but says nothing: taken
// for the fastest of the path it would leave no delay for all others. Some in a row
// are timestamps that have leapt.
func (b *Buffer) astray(lag int) bool {
	if b.fresh || lag >= b.delay-audio.Samples(MaxDelay) {
		b.early = 0
		return false
	}
	b.early++
	return b.early < leap
}

// catchesUp tells whether came is what the path, or the program, had held
// back during an outage and lets go in one lump: more sound than the time since
// the last Pop. It says nothing about how late packets will be from now on.
func (b *Buffer) catchesUp(now time.Time, came []arrival) bool {
	if b.returning == 0 {
		return false
	}
	b.returning--
	held := 0
	for _, p := range came {
		held += p.n
	}
	if held <= audio.Samples(now.Sub(b.popped))+2*audio.FrameSamples {
		b.returning = 0
	}
	return b.returning > 0
}

// settleFresh settles the delay of a stream that has just been taken up: its
// packets are played as they come, the last of them if they come in a lump. If
// it was taken up anew, so is half of what jitter had asked for: where in the
// jitter its first packet was nobody knows.
func (b *Buffer) settleFresh(came []arrival) {
	least, most := math.MaxInt, math.MinInt
	for _, p := range came {
		lag := p.lag - p.back // low has room for copies
		least, most = min(least, lag), max(most, lag)
	}
	if b.returning > 0 {
		most = least
	}
	b.delay = most + max(b.low(), min(b.max, b.spread/2))
	// Packets shorter than a frame: there is to be enough for a whole one.
	if n := b.ring.run(b.next(), b.frame); n > 0 && b.spread == 0 && b.min == 0 {
		b.delay += b.frame - n
	}
	b.fresh = b.returning > 0
}

// wait makes the delay longer where that costs nothing: nothing has been heard
// yet, or something is being concealed, and what is too late for the present
// delay is still there to be heard instead. Nothing is heard twice.
func (b *Buffer) wait() {
	if b.arrivals.n == 0 {
		return
	}
	switch more := b.arrivals.grow - b.delay; {
	case more <= 0:
	case !b.sounding:
		b.delay += more
	case b.gap > 0:
		b.delay += min(b.gap, more)
		b.arrivals.regret = 0
	}
}

// follow takes note of a path that has become shorter, or of timestamps that
// have leapt ahead, before the window has forgotten how it was: what comes now
// is all faster than anything before. In a gap it takes only a few packets to
// say so, since they wait behind nothing.
func (b *Buffer) follow() {
	last, skipped := faster, faster+2*leisure // seen at least once while it is so
	if b.gap > 0 {
		last, skipped = leap, recent
	} else if b.unweighed > 0 || b.arrivals.short > b.delay-b.frame {
		return
	}
	by, slowest := b.arrivals.leapt(last, skipped)
	if by < b.frame {
		return
	}
	if hole := b.ring.hole(b.next(), reach); b.gap > 0 && hole < reach {
		b.delay -= min(hole, by)
	}
	b.arrivals.rebase(slowest, by)
	b.adjust.growing = false // to where all was slower
	b.arrivals.weigh(b.low(), b.max, b.delay, false)
}
