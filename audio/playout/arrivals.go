package playout

import (
	"math"
	"time"

	"securecall/audio"
)

// arrivals is the distribution of how late the packets of the last seconds
// came, and what delay it asks for.
//
// A lag is how far the speaker's clock stood past a packet's timestamp at the
// first Pop that could use the packet: the delay that would just have been
// enough for it. The speaker's own unrest is therefore in it, and so is the
// grid of frames on which Pop comes: between two clocks that agree, lags differ
// by whole frames and the delay they ask for stands still.
//
// The distribution is an exact one, over a window: no more than the few largest
// lags matter, and what is older than the window is forgotten entirely. The
// sender's clock being off moves a window of 20 s by a few milliseconds; so
// nothing else must follow it.
type arrivals struct {
	frame int // samples a Pop

	lags  [window]int32
	came  [window]int32         // the same to the sample, without the grid; of a copy, that of its packet
	times [window]time.Duration // since the stream began
	held  [window]bool          // it came in one lump with later ones
	at    int                   // where the next one goes
	n     int

	grow, shrink int // what the delay should be at least, and need not exceed; samples
	short        int // what the recent packets alone ask for
	least        int // the smallest lag
	mean, most   int // of came
	silent       bool
	regret       time.Duration // what staying has cost so far: samples of delay, times how long
	weighed      time.Duration // when that was last added to
}

const (
	window  = 1 << 11 // packets: 20 s of 10 ms each
	longest = 20 * time.Second
	// In its first second a stream is not yet what it will be: sound devices are
	// being opened, paths chosen. That is forgotten sooner; and before the first
	// word nothing is lost by following each of its moods.
	overture = time.Second
	shortest = 5 * time.Second

	whim = 2 * time.Millisecond

	few = 1000 // fewer packets than this do not say how many of a thousand will be late

	// A packet in a thousand that comes too late is as bad as 19 ms more delay. By
	// the E-model (ITU-T G.107, with Bpl = 25.1 of G.113 for G.711 with
	// concealment) it would be 15: 1 % loss costs 3.6 of R, and 1 ms of delay
	// 0.024 below the 177 ms where it begins to be felt. And less than a
	// frame: a whim of a scheduler is concealed rather than followed.
	lateWorth = 19 * audio.SampleRate / 1000 * 1000 // samples of delay, for all packets late

	// To move in mid-speech is as bad as ten packets that come too late, each of which
	// leaves a gap that one hardly hears. So it moves at once where the last 20 s would have
	// gained that much, and else when what staying has cost adds up to it: for five
	// packets in 20 s after a minute, for two after four.
	moveWorth = 10 * lateWorth / few

	recent = 16                     // packets that show a step or a burst
	spared = 3                      // of them may come late without being one: a machine paused, once
	leap   = 3                      // packets in a row, faster than all before, that show a leap of the timestamps
	faster = 100                    // and a path that has become shorter
	doubt  = audio.FrameSamples / 2 // what may come and go without the delay following
	peaks  = 24                     // the largest lags that are weighed against each other
)

// add takes in the lag of a packet that came at now, and what it was when it came; held: in
// one lump with later ones; silent: nothing but silence has come yet.
func (a *arrivals) add(now time.Duration, lag, came int, held, silent bool) {
	a.silent = silent
	a.held[a.at] = held
	a.lags[a.at], a.came[a.at], a.times[a.at] = int32(lag), int32(came), now
	a.at = (a.at + 1) % window
	a.n = min(a.n+1, window)
	for a.n > 1 && now-a.times[a.index(0)] > a.keep() {
		a.n--
	}
}

// keep is for how long the oldest is remembered.
func (a *arrivals) keep() time.Duration {
	switch first := a.times[a.index(0)]; {
	case a.silent && first < overture:
		return overture
	case a.silent, first < overture:
		return shortest
	}
	return longest
}

// marginal is how shortly before it is needed a packet may come and yet count as if it
// had come after: by a whim of a scheduler it might have. So the delay has grown before
// the first packet is late when the sender's clock creeps past ours.
//
// Before the first word there is more: the few packets so far are not the latest that will
// come, and room for those costs nothing yet; in mid-speech it would. It is as
// much again as the latest was later than the average, up to three quarters of a frame.
func (a *arrivals) marginal() time.Duration {
	if !a.silent || a.n == 0 {
		return whim
	}
	return max(whim, audio.Duration(min(3*a.frame/4, a.most-a.mean)))
}

// index is the place of the i'th oldest.
func (a *arrivals) index(i int) int { return (a.at - a.n + i + window) % window }

// weigh works out grow and shrink for delays from low to high beyond that of
// the fastest packet, where it is held now; moving: it is on its way from there.
func (a *arrivals) weigh(low, high, held int, moving bool) {
	var top [peaks]int32 // largest first
	for i := range top {
		top[i] = math.MinInt32
	}
	least := int32(math.MaxInt32)
	older, newer := a.lags[:a.at], a.lags[:0]
	if a.n > a.at {
		newer = a.lags[window-(a.n-a.at):]
	} else {
		older = a.lags[a.at-a.n : a.at]
	}
	for _, part := range [...][]int32{older, newer} {
		for _, lag := range part {
			least = min(least, lag)
			if lag <= top[peaks-1] {
				continue
			}
			i := peaks - 1
			for ; i > 0 && top[i-1] < lag; i-- {
				top[i] = top[i-1]
			}
			top[i] = lag
		}
	}
	a.least = int(least)
	sum := 0
	a.most = math.MinInt
	for i := range a.n {
		came := int(a.came[a.index(i)])
		sum += came
		a.most = max(a.most, came)
	}
	a.mean = sum / max(1, a.n)
	ceiling := a.least + high
	var hopeless int
	if a.short, hopeless = a.shortly(ceiling); hopeless >= recent/4 && a.n > recent {
		// A quarter of the last cannot be waited for: the fastest are of another time, or never
		// were of this path.
		a.n = recent
		a.weigh(low, high, held, moving)
		return
	}
	late := lateWorth / max(few, a.n) // for one packet
	if a.silent {
		late *= 4 // delay costs nothing yet; but one packet that was very late says little
	}
	best := cheapest(&top, late, ceiling)
	if moving {
		held = a.grow // to where it is on its way, and not to stop before
		best = max(best, held)
	}
	if best > held && !a.silent && !a.worthIt(price(&top, held, late, ceiling)-price(&top, best, late, ceiling)) {
		best = held
	}
	a.grow = a.clamp(max(a.short, best), low, held, ceiling)
	// Where one packet less in time decides, the delay would go to and fro. So
	// it shrinks only where that costs half of what would make it grow.
	// And what copies had to spare before the first word is not taken from them later.
	if low > 0 {
		low += inGoodTime - inTime + min(low/8, doubt)
	}
	a.shrink = a.clamp(max(a.grow, cheapest(&top, 2*late, ceiling)), low, held, ceiling)
}

// worthIt tells whether gain, of delay and late packets in the last 20 s, is reason
// enough to move in mid-speech.
func (a *arrivals) worthIt(gain int) bool {
	now := a.times[a.index(a.n-1)]
	a.regret += time.Duration(max(0, gain)) * min(now-a.weighed, time.Second)
	a.weighed = now
	return max(gain, int(a.regret/longest)) >= moveWorth
}

// clamp keeps the delay from low beyond what packets need on average, in whole
// frames beyond what the fastest got, to ceiling. Once there are words, the one that is
// held does although it has come to lack up to half a frame of that: the average creeps,
// and what is really late for it is weighed by itself.
func (a *arrivals) clamp(delay, low, held, ceiling int) int {
	floor := a.least
	if more := a.mean + low - floor; low > 0 && more > 0 {
		floor += (more + a.frame - 1) / a.frame * a.frame
	}
	if !a.silent && held < floor && held >= a.mean+low-a.frame/2 {
		floor = held
	}
	return min(ceiling, max(floor, delay))
}

// cheapest is the lag at which delay and what is late for it cost least; late
// is the price of one packet.
func cheapest(top *[peaks]int32, late, ceiling int) int {
	best, least := 0, math.MaxInt
	for _, lag := range top {
		if lag == math.MinInt32 {
			break
		}
		if int(lag) > ceiling {
			continue
		}
		if p := price(top, int(lag), late, ceiling); p < least {
			best, least = int(lag), p
		}
	}
	return best
}

// price is what a delay costs, and what comes too late for it. What cannot be waited
// for does not count.
func price(top *[peaks]int32, delay, late, ceiling int) int {
	missed := 0
	for _, lag := range top {
		if int(lag) <= delay {
			break
		}
		if int(lag) <= ceiling {
			missed++
		}
	}
	return delay + missed*late
}

// shortly is the delay for which but the spared ones of the recent packets are
// in time, and how many of them cannot be waited for. What a machine that paused lets go in one
// lump says as much as its last packet: how late the path is now.
func (a *arrivals) shortly(ceiling int) (delay, hopeless int) {
	var top [spared + 1]int32
	for i := range top {
		top[i] = math.MinInt32
	}
	for i := range min(recent, a.n) {
		lag := a.lags[(a.at-1-i+window)%window]
		if int(lag) > ceiling {
			hopeless++
			continue
		}
		if a.held[(a.at-1-i+window)%window] {
			continue
		}
		for j := range top {
			if lag > top[j] {
				lag, top[j] = top[j], lag
			}
		}
	}
	return int(top[spared]), hopeless
}

// leapt is by how much the last few packets were all faster than any but the
// skipped last ones, and the largest lag of those few.
func (a *arrivals) leapt(last, skipped int) (by, slowest int) {
	if a.n <= skipped {
		return 0, 0
	}
	few, fastest := int32(math.MinInt32), int32(math.MaxInt32)
	for i := range a.n {
		lag := a.lags[(a.at-1-i+window)%window]
		if i < last {
			few = max(few, lag)
		} else if i >= skipped {
			fastest = min(fastest, lag)
		}
	}
	return int(fastest - few), int(few)
}

// rebase makes of the packets that were slower than that what they would have
// been on a path that is faster by n samples.
func (a *arrivals) rebase(slowest, n int) {
	for i := range a.lags {
		if a.lags[i] > int32(slowest) {
			a.lags[i] -= int32(n)
			a.came[i] -= int32(n)
		}
	}
}

// clear forgets them all.
func (a *arrivals) clear() { a.at, a.n, a.mean, a.most, a.regret = 0, 0, 0, 0, 0 }
