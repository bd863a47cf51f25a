package call

import (
	"math"
	"sync/atomic"
	"time"

	"securecall/audio"
)

// Quietest is the level of silence, in dBFS.
const Quietest = -100

// levelTime is the sound that a level is of.
const levelTime = 100 * time.Millisecond

// A meter measures how loud the last levelTime was. One goroutine adds to it, and any
// may read it.
type meter struct {
	energies [10]float64 // of the last frames: ten of 10 ms, or five of 20
	at       int
	mean     atomic.Uint64 // of the squares of the samples, as math.Float64bits
}

func (m *meter) add(f audio.Frame) {
	squares := int64(0) // of a loud frame too much for an int of 32 bits
	for _, x := range f {
		squares += int64(x) * int64(x)
	}
	n := min(len(m.energies), max(1, audio.Samples(levelTime)/len(f)))
	m.at = (m.at + 1) % n
	m.energies[m.at] = float64(squares)
	sum := 0.0
	for _, e := range m.energies[:n] {
		sum += e
	}
	m.mean.Store(math.Float64bits(sum / float64(n*len(f))))
}

// level is in dB below the loudest that there is, a square wave at full scale (the dBov
// of RFC 6464, Section 3).
func (m *meter) level() float64 {
	mean := math.Float64frombits(m.mean.Load())
	return max(Quietest, 10*math.Log10(mean/(1<<30)))
}

// sounding is the call of an endpoint that has sound.
type sounding struct {
	id    int
	media *media
}

// Levels is how loud the last 100 ms were of what is sent and of what is played in the
// call numbered id, or in the one that runs (0), in dBFS; Quietest where there is
// silence, or no call. It may be asked from any goroutine at any time.
func (e *Endpoint) Levels(id int) (said, heard float64) {
	s := e.sounding.Load()
	if s == nil || id != 0 && id != s.id {
		return Quietest, Quietest
	}
	return s.media.said.level(), s.media.played.level()
}
