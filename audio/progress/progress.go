// Package progress makes what is heard of a call that nobody has answered yet: the ring of
// a telephone, and the ringing tone (also called ringback) that the caller hears meanwhile.
// Cadence, frequency and level of the tone are in the ranges that ITU-T E.180/Q.35 accepts
// and most countries have: 425 Hz, 1 s on and 4 s off, at -10 dBm0. A ring at a telephone
// is nobody's standard; ours is two notes by turns in the same cadence.
//
// It does no I/O. One goroutine uses a Sound.
package progress

import (
	"math"
	"time"

	"securecall/audio"
)

// The cadence of both.
const (
	On     = time.Second
	Period = 5 * time.Second
)

const (
	on     = int(On / time.Second * audio.SampleRate)
	period = int(Period / time.Second * audio.SampleRate)
	ramp   = audio.SampleRate / 100 // in which a tone begins and ends, so that it does not click

	// A sine of full scale has +3.17 dBm0 (ITU-T G.711, µ-law).
	ringbackLevel = -13 // dBFS, of the peak
	ringLevel     = -6
	ringTurn      = audio.SampleRate / 20 // of each note
)

// A Sound comes and goes in its cadence.
type Sound struct {
	notes     []float64 // Hz, by turns
	amplitude float64
	at        int     // samples since the cadence began
	phase     float64 // of the circle
}

// Ring is what somebody hears who is called.
func Ring() *Sound { return &Sound{notes: []float64{800, 1000}, amplitude: peak(ringLevel)} }

// Ringback is what the caller hears while it rings there.
func Ringback() *Sound { return &Sound{notes: []float64{425}, amplitude: peak(ringbackLevel)} }

func peak(dB float64) float64 { return math.MaxInt16 * math.Pow(10, dB/20) }

// Fill makes the next samples.
func (s *Sound) Fill(f audio.Frame) {
	for i := range f {
		f[i] = s.next()
	}
}

func (s *Sound) next() int16 {
	at := s.at
	if s.at++; s.at == period {
		s.at = 0
	}
	if at >= on {
		s.phase = 0
		return 0
	}
	v := s.amplitude * math.Sin(2*math.Pi*s.phase) * float64(min(at, on-at, ramp)) / ramp
	s.phase += s.notes[at/ringTurn%len(s.notes)] / audio.SampleRate
	s.phase -= math.Floor(s.phase)
	return int16(math.Round(v))
}
