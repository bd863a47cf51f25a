// Package gain is automatic gain control for speech: whoever speaks softly, or far
// from the microphone, is heard as loud as others are.
//
// A Control is a machine without clock, goroutine or lock, does no I/O, does not
// allocate after New and adds no delay. It measures the level of speech while it lasts
// (ITU-T P.56; level.go), brings it slowly to -26 dB of full scale, which is where
// telephony has it, and limits what would not fit (limit.go). Pauses, steady noise and
// what the loudspeaker plays are no speech, and nothing moves during them. Speech that
// is within 3 dB of -26 dB already is not changed, bit for bit.
//
// Left out: rates other than 8 kHz, and two people of different loudness at one
// microphone, who share one gain.
package gain

import (
	"math"

	"securecall/audio"
)

const (
	// Block is how many samples are worked on at a time: 10 ms.
	Block = audio.SampleRate / 100

	target   = -26.0 // dB of full scale, the active level of speech
	mostUp   = 20.0  // dB
	mostDown = -12.0
	loudest  = -50.0 // to which a background is raised

	up   = 0.05 // dB in a block of speech: 5 dB a second
	down = 0.15

	near  = 3.5 // dB from the target, as it is measured, that are near enough
	doubt = 3.0 // and that many more where only a second of speech was heard
	there = 0.3 // dB
)

// A Control belongs to one microphone and one loudspeaker. Its owner serialises the
// calls.
type Control struct {
	level   level
	limiter limiter
	gain    float64 // dB
	moving  bool    // towards the target
	factor  float64 // at the end of the last block
}

// New returns a Control that has heard nothing yet, and changes nothing.
func New() *Control { return &Control{factor: 1, limiter: limiter{factor: 1}} }

// Far takes the next samples that go to the loudspeaker: what the microphone hears
// of them, and a canceller leaves, is no speech of this end.
func (c *Control) Far(pcm []int16) { c.level.far(pcm) }

// Near brings the next samples of the microphone to the target, in place. Their number
// is a multiple of Block; what is left over is not changed.
func (c *Control) Near(pcm []int16) {
	for ; len(pcm) >= Block; pcm = pcm[Block:] {
		c.block(pcm[:Block])
	}
}

func (c *Control) block(pcm []int16) {
	if c.level.hear(pcm) {
		c.follow()
	}
	from, to := c.factor, math.Pow(10, c.gain/20)
	c.factor = to
	if from == 1 && to == 1 {
		return
	}
	c.limiter.apply(pcm, from, to)
}

// follow moves the gain, while somebody speaks.
func (c *Control) follow() {
	if c.level.heard == 0 {
		return
	}
	most := max(0, min(mostUp, loudest-c.level.background()))
	off := max(mostDown, min(most, target-c.level.speech())) - c.gain
	switch seconds := c.level.heard * Block / rate; {
	case math.Abs(off) > near+doubt/seconds:
		c.moving = true
	case math.Abs(off) < there:
		c.moving = false
	}
	if c.moving {
		c.gain += max(-down, min(up, off))
	}
}
