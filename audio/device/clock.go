package device

import (
	"os"
	"sync"
	"time"

	"securecall/audio"
)

// leeway is how many frames a reader or writer may be late and still be given
// them all at once. What is later is not made up for: whoever was stopped for
// a minute does not get three thousand frames in a row.
const leeway = 5

// A clock paces an end that has none of its own: one tick for every frame, by the
// monotonic clock, counted from the first wait, so that it cannot drift.
type clock struct {
	frame  time.Duration
	first  time.Duration // from the first wait to the first tick
	next   time.Time     // when the next tick is due; zero before the first wait
	alarm  alarm
	once   sync.Once
	closed chan struct{}
}

// newSourceClock ticks at once, newSinkClock after a frame: a sink takes one at
// once, and the next when that has been played.
func newSourceClock(o Options) *clock { return newClock(0, o) }
func newSinkClock(o Options) *clock   { return newClock(audio.Duration(o.frame()), o) }

func newClock(first time.Duration, o Options) *clock {
	closed := make(chan struct{})
	return &clock{frame: audio.Duration(o.frame()), first: first, alarm: newAlarm(o.KernelTimers, closed), closed: closed}
}

// wait returns at the next tick, or with os.ErrClosed once there are none.
func (c *clock) wait() error {
	now := time.Now()
	if c.next.IsZero() {
		c.next = now.Add(c.first)
	}
	if now.Sub(c.next) > leeway*c.frame {
		c.next = now
	}
	due := c.next.Sub(now)
	c.next = c.next.Add(c.frame)
	if due > 0 {
		c.alarm.wait(due)
	}
	select {
	case <-c.closed:
		return os.ErrClosed
	default:
		return nil
	}
}

// close ends the waiting; it may come from any goroutine, and again.
func (c *clock) close() {
	c.once.Do(func() {
		close(c.closed)
		c.alarm.close()
	})
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(0)
	t.Stop()
	return t
}
