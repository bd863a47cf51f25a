package call

import (
	"sync"
	"time"

	"securecall/audio"
)

// spokes are the moments of a packet's time at which calls are due, so that a wake-up
// serves many of them and none has to wait for all.
const spokes = 8

const (
	// slack is how many packets the wheel may be late and still make up for them.
	// What is later is left out: whoever was stopped for a minute does not send three
	// thousand packets in a row.
	slack = 5
	// breath is what the wheel leaves the reader between two spokes, however late it is.
	breath = 50 * time.Microsecond
)

// A wheel sends back what is heard, in all calls of an endpoint that do: one goroutine
// and one timer for all of them.
type wheel struct {
	mu      sync.Mutex
	joining []*running // calls that have been answered
	turning bool       // there is a goroutine

	// Of that goroutine:
	calls [spokes][]*running
	count int
	next  int // spoke
	due   time.Time
	frame audio.Frame
	ended []*running // of whom control is to be told
	late  lateness
}

// join adds a call; true: somebody has to turn the wheel.
func (w *wheel) join(r *running) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.joining = append(w.joining, r)
	start := !w.turning
	w.turning = true
	return start
}

// seat gives the calls that have joined their places, where there are fewest and
// soonest; false: there is no call at all, and the wheel stands still.
func (w *wheel) seat() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.joining {
		best := w.next
		for i := range spokes {
			if at := (w.next + i) % spokes; len(w.calls[at]) < len(w.calls[best]) {
				best = at
			}
		}
		w.calls[best] = append(w.calls[best], r)
		w.count++
	}
	clear(w.joining)
	w.joining = w.joining[:0]
	w.turning = w.count > 0
	return w.turning
}

// turn drives the wheel until it has no call.
func (e *Endpoint) turn() {
	w := &e.wheel
	step := e.conf.PacketTime / spokes
	w.frame = make(audio.Frame, e.conf.frame())
	w.due, w.late = time.Now(), lateness{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for w.seat() {
		for len(w.calls[w.next]) == 0 {
			w.pass(step)
		}
		timer.Reset(max(time.Until(w.due), breath))
		select {
		case <-timer.C:
		case <-e.done:
			return
		}
		now := time.Now()
		by := now.Sub(w.due)
		if by > slack*e.conf.PacketTime {
			w.due = now
		}
		if w.late.note(now, by > e.conf.PacketTime) {
			e.mention(note{kind: noteBehind})
		}
		e.echo(now)
		w.pass(step)
		for _, r := range w.ended {
			if !e.tell(note{kind: noteDone, run: r}) {
				return
			}
		}
		clear(w.ended)
		w.ended = w.ended[:0]
	}
}

// pass goes on to the next spoke.
func (w *wheel) pass(step time.Duration) {
	w.next = (w.next + 1) % spokes
	w.due = w.due.Add(step)
}

// echo serves the calls of a spoke.
func (e *Endpoint) echo(now time.Time) {
	w := &e.wheel
	calls := w.calls[w.next]
	kept := calls[:0]
	for _, r := range calls {
		if !r.stop.Load() {
			r.core.media.play(now, w.frame)
			if e.send(now, r, w.frame) {
				kept = append(kept, r)
				continue
			}
		}
		w.ended = append(w.ended, r)
	}
	clear(calls[len(kept):])
	w.calls[w.next] = kept
	w.count -= len(calls) - len(kept)
}
