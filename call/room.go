package call

import (
	"sync"

	"securecall/audio"
	"securecall/audio/echo"
	"securecall/audio/gain"
	"securecall/audio/noise"
)

// A room is what a microphone hears besides who speaks, and from how far it hears
// them: the speaker's echo is taken out, then the background, and what is left is
// brought to the level of others. Each may be nil, and so may a *room: a headset, a
// file or a pipe, where nothing is to be done.
//
// The playout goroutine plays, the capture goroutine records.
type room struct {
	mu        sync.Mutex
	canceller *echo.Canceller
	noise     *noise.Suppressor
	gain      *gain.Control
}

func newRoom(conf *Config) *room {
	if !conf.CancelEcho && !conf.SuppressNoise && !conf.AutoGain {
		return nil
	}
	r := &room{}
	if conf.CancelEcho {
		r.canceller = echo.New()
	}
	if conf.SuppressNoise {
		r.noise = noise.New()
	}
	if conf.AutoGain {
		r.gain = gain.New()
	}
	return r
}

// play notes what goes to the speaker.
func (r *room) play(f audio.Frame) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceller != nil {
		r.canceller.Far(f)
	}
	if r.gain != nil {
		r.gain.Far(f)
	}
}

// think does what may wait until the frame that was recorded is on its way.
func (r *room) think() {
	if r == nil || r.canceller == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canceller.Think()
}

// record works on what the microphone has heard. The order matters: what suppresses
// noise is not linear, so that no canceller could learn the room behind it, and what
// it leaves is what the level is measured of.
func (r *room) record(f audio.Frame) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.canceller != nil {
		r.canceller.Near(f)
	}
	if r.noise != nil {
		r.noise.Near(f)
	}
	if r.gain != nil {
		r.gain.Near(f)
	}
}
