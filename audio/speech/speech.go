// Package speech holds a few seconds of speech to try a call with: a synthetic
// voice in the band and coding of a telephone. scripts/make-speech.sh made it,
// with espeak-ng's English voice.
package speech

import (
	_ "embed"

	"securecall/audio"
	"securecall/audio/device"
)

//go:embed speech.ulaw
var octets []byte // G.711 µ-law, 8 kHz mono

// Samples returns the speech as linear samples at 8 kHz, a new slice each time.
func Samples() []int16 {
	pcm := make([]int16, len(octets))
	audio.PCMU.Decode(pcm, octets)
	return pcm
}

// Source returns a microphone that gives the speech once, in real time, and
// then io.EOF.
func Source() audio.Source { return device.Samples(Samples()) }
