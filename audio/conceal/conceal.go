// Package conceal stands in for lost sound: packet loss concealment for speech
// that arrives as plain samples, as G.711's does.
//
// It does what ITU-T G.711 Appendix I does, repetition of the last pitch
// periods that fades out, but not on the samples themselves: it repeats the
// excitation, what is left of the speech when its spectral envelope is taken
// away by linear prediction, and sends it through the envelope's filter again.
// The filter still rings from the last sample heard, so that a gap begins
// without a seam and, unlike in Appendix I, nothing has to be held back for an
// overlap: it adds no delay. As much noise goes into the excitation as the
// speech was without pitch, so that fricatives do not buzz. Under a long gap
// lies noise of the level and tilt of the background, as in ITU-T G.711
// Appendix II, rather than dead silence.
//
// After a gap its continuation is faded into what is heard again. That overlap
// is short, and not aligned in phase with what comes: alignment would need
// either sound held back or a look ahead, which makes the result depend on how
// the samples are split into calls.
//
// It decides sample by sample: calls may bring any number of samples, and
// however they are split the result is the same. It does no I/O and knows no
// clock; it allocates nothing. The worst call is the first Missing of a gap,
// which analyses the last 36 ms.
package conceal

import (
	"math"

	"securecall/audio"
)

// millisecond is how many samples a millisecond has.
const millisecond = audio.SampleRate / 1000

const (
	// fade is how long a gap takes to become background noise. The gain falls
	// as a cube: 0.65 after 20 ms, 0.22 after 60 ms, 0.04 after 100 ms. Slower
	// is nearer to speech in log-spectral distance, faster in signal-to-noise
	// ratio (scripts/conceal.sh). Appendix I holds for 10 ms and falls in a
	// straight line to nothing at 60 ms.
	fade = 150 * millisecond

	// The overlap after a gap, in samples: 1.5 ms, and 0.25 ms for every 10 ms
	// of the gap, to 5.25 ms at fade.
	overlapLeast = 3 * millisecond / 2
	overlapGrow  = 2.0 / 80
)

// A Concealer stands in for the missing samples of one stream of speech. Its
// zero value is ready to use, with silence for a past. One goroutine at a time
// may use it.
type Concealer struct {
	past       past
	voice      voice      // what was said when the gap began, going on
	background background // what is heard when nobody speaks
	gap        int        // missing samples in a row
	overlap    int        // samples over which voice fades into what is heard again
	overlapped int        // how many of them are done
}

// Heard takes note of the next samples, which have arrived. After a gap it
// changes the first of them, over 1.5 to 5.25 ms and as many calls as these
// take, to join them to what Missing gave.
func (c *Concealer) Heard(pcm []int16) {
	if len(pcm) == 0 {
		return
	}
	if c.gap > 0 {
		c.overlap = overlapLeast + int(overlapGrow*float64(c.gap))
		c.overlapped = 0
		c.gap = 0
	}
	for i, s := range pcm {
		c.background.hear(s)
		if c.overlapped == c.overlap {
			continue
		}
		c.overlapped++
		// The cube gives way fast: it takes the step out of the join, and
		// leaves most of the overlap to the samples that are right.
		old := 1 - float64(c.overlapped)/float64(c.overlap+1)
		old *= old * old
		pcm[i] = sample(old*c.next() + (1-old)*float64(s))
	}
	c.past.append(pcm)
}

// Missing fills pcm with what stands in for the next samples, which are
// missing. In a long gap it is called again and again, and ends in soft noise,
// or in silence where no background has been heard.
func (c *Concealer) Missing(pcm []int16) {
	if len(pcm) == 0 {
		return
	}
	if c.gap == 0 {
		c.voice.start(&c.past)
		c.overlap, c.overlapped = 0, 0
	}
	c.gap = min(c.gap+len(pcm), fade)
	for i := range pcm {
		pcm[i] = sample(c.next())
	}
	c.past.append(pcm)
}

// next is the next sample of the gap, or of the overlap after it.
func (c *Concealer) next() float64 {
	if c.voice.said >= fade {
		return c.background.next()
	}
	left := 1 - float64(c.voice.said)/fade
	left *= left * left
	return left*c.voice.next() + math.Sqrt(1-left*left)*c.background.next()
}

// sample rounds, and limits to what a sample can hold.
func sample(x float64) int16 {
	return int16(math.Round(max(math.MinInt16, min(x, math.MaxInt16))))
}

// past is the last samples that were played, the newest at its end: enough for
// two periods of the lowest pitch with the filter's order in front.
type past [2*maxLag + order]int16

// append adds pcm, of any length, to the end of the past.
func (p *past) append(pcm []int16) {
	if len(pcm) >= len(p) {
		copy(p[:], pcm[len(pcm)-len(p):])
		return
	}
	copy(p[:], p[len(pcm):])
	copy(p[len(p)-len(pcm):], pcm)
}
