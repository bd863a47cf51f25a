package playout

import "securecall/audio"

// fade is how many samples it takes a concealed gap to become silent: 60 ms.
const fade = 3 * audio.FrameSamples

// concealer stands in for missing samples by repeating the last 20 ms that
// were heard, ever softer.
type concealer struct {
	last [audio.FrameSamples]int16
	at   int // where in last the next sample goes
	gap  int // samples missing in a row
}

// heard takes note of a sample that was there, and returns it.
func (c *concealer) heard(s int16) int16 {
	c.gap = 0
	c.last[c.at] = s
	c.at = (c.at + 1) % len(c.last)
	return s
}

// missing is the next sample of a gap.
func (c *concealer) missing() int16 {
	if c.gap >= fade {
		return 0
	}
	// at is also the oldest sample: the one heard 20 ms before.
	s := int(c.last[(c.at+c.gap)%len(c.last)]) * (fade - c.gap) / fade
	c.gap++
	return int16(s)
}
