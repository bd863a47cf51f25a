package call

import (
	"sync"

	"securecall/audio"
	"securecall/audio/echo"
)

// A room is where the speaker is heard by the microphone: what the playout
// goroutine plays, the capture goroutine takes out again. A nil *room is a
// headset, a file or a pipe, where there is nothing to be taken out.
type room struct {
	mu        sync.Mutex
	canceller *echo.Canceller
}

func newRoom(conf *Config) *room {
	if !conf.CancelEcho {
		return nil
	}
	return &room{canceller: echo.New()}
}

// play notes what goes to the speaker.
func (r *room) play(f audio.Frame) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canceller.Far(f)
}

// record takes the echo out of what the microphone has heard.
func (r *room) record(f audio.Frame) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canceller.Near(f)
}
