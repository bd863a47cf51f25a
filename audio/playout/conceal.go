package playout

import "securecall/audio"

// fadeOut is how many samples it takes a concealed gap to become silent: 60 ms.
const fadeOut = 3 * audio.FrameSamples

// concealer stands in for missing samples by repeating the last 20 ms that
// were heard, ever softer.
type concealer struct {
	last [audio.FrameSamples]int16
	at   int // where in last the next sample goes
	gap  int // samples missing in a row
}

// Heard takes note of sound that was there.
func (c *concealer) Heard(pcm []int16) {
	c.gap = 0
	for len(pcm) > 0 {
		n := copy(c.last[c.at:], pcm)
		pcm = pcm[n:]
		c.at = (c.at + n) % len(c.last)
	}
}

// Missing fills pcm with what stands in for the next samples of a gap.
func (c *concealer) Missing(pcm []int16) {
	for i := range pcm {
		if c.gap >= fadeOut {
			pcm[i] = 0
			continue
		}
		// at is also the oldest sample: the one heard 20 ms before.
		pcm[i] = int16(int(c.last[(c.at+c.gap)%len(c.last)]) * (fadeOut - c.gap) / fadeOut)
		c.gap++
	}
}
