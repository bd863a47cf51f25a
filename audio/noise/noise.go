// Package noise takes the background, a fan, a car, a street, out of speech.
//
// A Suppressor is a machine without clock, goroutine or lock, does no I/O, does not
// allocate after New and adds no delay: it works on blocks of 10 ms, looks at the
// last 32 ms, and what it makes of them weighs the frequencies of the newest block
// by a filter of minimum phase (audio/shape). It learns the background
// (background.go) and how likely speech is at each frequency (presence.go), and
// weighs by the log-MMSE rule (gain.go). What is left of the background is 15 dB
// weaker and sounds as it did.
//
// Where there is no background to speak of, as in a studio, in files, and on
// microphones that suppress noise themselves, nothing at all is changed.
//
// What is as steady as a background is one: a tone that lasts longer than a second and
// a half is taken for a hum and weakened like it. The digits and the ringing of a
// telephone are shorter or pause, and stay.
//
// Left out: rates other than 8 kHz, and backgrounds that change as fast as speech
// does, such as music or one other voice.
package noise

import (
	"math"

	"securecall/audio"
	"securecall/audio/fft"
	"securecall/audio/shape"
)

const (
	// Block is how many samples are worked on at a time: 10 ms.
	Block = audio.SampleRate / 100

	span = 256 // samples that are looked at: 32 ms
	bins = span/2 + 1
	rise = 208 // of the window; the rest of it falls, so that what is new weighs most
	flat = 0.9 // of a sample is taken from the next, so that loud lows do not hide the rest

	points = span / 2 // of the filter's transform
	taps   = points / 2
	fade   = 20 // samples, from one filter to the next: an onset must not wait

	reduction = 15.0 // dB by which the background becomes weaker
)

// A Suppressor belongs to one microphone. Its owner serialises the calls.
type Suppressor struct {
	fft        *fft.Real
	window     [span]float64
	offset     [span]float64 // of the window: what an offset of 1 becomes
	odd        bool          // the last block was not looked at
	background background
	presence   presence
	gain       gain
	shape      *shape.Filter

	heard    [span + 1]float64 // newest last
	in       [span]float64
	spectrum [bins]complex128
	power    [bins]float64
	block    [Block]float64
}

// New returns a Suppressor that knows no background yet.
func New() *Suppressor {
	s := &Suppressor{fft: fft.NewReal(span), shape: shape.New(points, taps, Block, fade)}
	sum := 0.0
	for i := range s.window {
		x := (float64(i) + 0.5) / rise
		if i >= rise {
			x = (span - float64(i) - 0.5) / (span - rise)
		}
		s.window[i] = math.Pow(math.Sin(math.Pi/2*x), 2)
		sum += s.window[i] * s.window[i]
	}
	for i := range s.window {
		s.window[i] /= math.Sqrt(sum) // a bin has the power of a sample of white noise
	}
	sum = 0
	for _, w := range s.window {
		sum += w
	}
	for i, w := range s.window {
		s.offset[i] = w / sum
	}
	s.background.begin()
	return s
}

// Near takes the background out of the next samples of the microphone, in place.
// Their number is a multiple of Block; what is left over is not changed.
func (s *Suppressor) Near(pcm []int16) {
	for ; len(pcm) >= Block; pcm = pcm[Block:] {
		s.work(pcm[:Block])
	}
}

func (s *Suppressor) work(pcm []int16) {
	for i, v := range pcm {
		s.block[i] = float64(v)
	}
	copy(s.heard[:], s.heard[Block:])
	copy(s.heard[len(s.heard)-Block:], s.block[:])
	var gains []float64
	s.odd = !s.odd && !s.background.present
	if !s.odd {
		s.look()
	}
	// As long as there is no background, every other block says as much: it stands for
	// the next one too.
	s.background.hear(&s.power)
	if s.background.present {
		level := &s.background.level
		gains = s.gain.weigh(&s.power, level, s.presence.judge(&s.power, level))
	}
	s.shape.Apply(s.block[:], gains)
	for i, v := range s.block {
		pcm[i] = int16(max(-32768, min(32767, math.Round(v))))
	}
}

// look takes the spectrum of what was heard last.
func (s *Suppressor) look() {
	offset := 0.0
	before := s.heard[0]
	for i, v := range s.heard[1:] {
		x := s.window[i] * (v - flat*before)
		before = v
		s.in[i] = x
		offset += x
	}
	for i, w := range s.offset {
		s.in[i] -= w * offset
	}
	s.fft.Forward(s.in[:], s.spectrum[:])
	for k, v := range s.spectrum {
		s.power[k] = real(v)*real(v) + imag(v)*imag(v)
	}
}
