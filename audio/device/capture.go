package device

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"securecall/audio"
)

const (
	// stall is how long a device may deliver or take nothing before it counts
	// as lost. A virtual one may sleep two seconds before its first sound.
	stall = 3 * time.Second
	// falter is how long a microphone that has given sound may keep its reader
	// waiting.
	falter = 200 * time.Millisecond
	// unread is how much sound waits for its reader, at most, besides what came
	// last: a microphone that nobody has listened to yet does not delay what it
	// hears from then on.
	unread = 2 * audio.FrameSamples
	// apart is how long a device is silent between what it delivers at once, in
	// however many pieces.
	apart = 3 * time.Millisecond
	// steady is how many deliveries in a row show what always waits for the next: of pieces
	// of 1024 samples at 48 kHz it is another each time, fifteen times.
	steady = 16
	// loud is what is louder than the noise of a room, -40 dBFS: perhaps words.
	loud = 1 << 15 / 100
	// silence is how long nobody has spoken who pauses for more than a breath.
	silence = 2 * time.Second
	// worthwhile is how much of it is worth a gap in the sound: 4 ms.
	worthwhile = audio.SampleRate / 250
	// blend is over how much of it what comes after a gap is blended in: 5 ms.
	blend = audio.SampleRate / 200
	// longest is the longest piece that a device delivers at once.
	longest = audio.SampleRate / 4
)

var (
	errStalled = errors.New("the device has stopped")
	errGone    = errors.New("the device is gone")
)

// A capture is a microphone: a driver pushes pieces of any size, a reader
// takes frames.
type capture struct {
	spec    string
	release func() // stops the driver, which then pushes nothing more

	mu     sync.Mutex
	buf    [unread + longest]int16
	n      int       // of buf
	pushed time.Time // when the device last gave sound
	began  time.Time // when it first gave sound to somebody who listens, or again after a pause
	after  time.Time // what was recorded before is of no use: nobody listened, or silence stood in for it
	spare  int       // but for so many samples
	least  int       // of buf, what waited before each of the last deliveries
	seen   int       // deliveries since least was begun
	loudAt time.Time // when there may have been words last

	more   chan struct{} // capacity 1: something was pushed
	timer  *time.Timer
	last   time.Time // when the device last gave sound, or the first ReadFrame
	silent bool      // the last frame was none of the device's
	end    *ending
}

func newCapture(spec string) *capture {
	return &capture{spec: spec, more: make(chan struct{}, 1), timer: stoppedTimer(), silent: true, end: newEnding(spec)}
}

// push takes 16-bit little-endian samples from the driver. It neither waits
// nor allocates.
func (c *capture) push(raw []byte) {
	c.mu.Lock()
	now := time.Now()
	if c.began.IsZero() || now.Sub(c.pushed) > falter {
		c.began, c.seen = now, 0
	}
	late := 0
	if now.Sub(c.pushed) >= apart {
		late = c.late(now)
		c.keep(unread) // what comes at once, after a pause of the machine, has had no reader yet
	}
	c.pushed = now
	if over := len(raw) - 2*longest; over > 0 {
		raw = raw[over:]
		c.n = 0 // what came before it is older still
	}
	c.keep(len(c.buf) - len(raw)/2)
	for ; len(raw) >= 2; raw = raw[2:] {
		sample := int16(binary.LittleEndian.Uint16(raw))
		if sample >= loud || sample <= -loud {
			c.loudAt = now
		}
		c.buf[c.n] = sample
		c.n++
	}
	c.leaveOut(late)
	if since := now.Sub(c.after); since < stall {
		c.keep(audio.Samples(since) + c.spare)
	}
	c.mu.Unlock()
	wake(c.more)
}

// forget drops what was said before anybody listened: a microphone is opened
// before the call is answered, and nothing from then may be sent.
func (c *capture) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.seen, c.began, c.loudAt = 0, 0, time.Time{}, time.Time{}
	c.after, c.spare = time.Now(), 0
}

// stoodIn notes that silence has been given in place of all sound up to now; but for a
// frame, or one that comes a moment too late each time would never be heard.
func (c *capture) stoodIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after, c.spare = time.Now(), audio.FrameSamples
}

// ReadFrame gives silence while a device is still being switched on, which may
// take a second, and where it falters: the packets of the call need not wait for
// it. One that has given nothing for longer is lost.
func (c *capture) ReadFrame(f audio.Frame) error {
	if c.last.IsZero() {
		c.last = time.Now()
		c.forget()
	}
	limit := falter
	if c.silent {
		limit = audio.Duration(len(f))
	}
	c.timer.Reset(limit)
	defer c.timer.Stop()
	for !c.take(f) {
		select {
		case <-c.more:
		case <-c.end.closed:
			return os.ErrClosed
		case <-c.end.lost:
			return c.end.err
		case <-c.timer.C:
			if time.Since(c.last) >= stall {
				return &Error{Spec: c.spec, Err: errStalled, Hint: lostHint}
			}
			clear(f)
			c.silent = true
			c.stoodIn()
			return nil
		}
	}
	c.last, c.silent = time.Now(), false
	return nil
}

// waits tells whether the last frame was silence in place of the device's sound.
func (c *capture) waits() bool { return c.silent }

func (c *capture) take(f audio.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n < len(f) {
		return false
	}
	copy(f, c.buf[:])
	c.drop(len(f))
	return true
}

// keep drops all but the newest samples.
func (c *capture) keep(samples int) {
	if over := c.n - samples; over > 0 {
		c.drop(over)
	}
}

func (c *capture) drop(samples int) {
	copy(c.buf[:], c.buf[samples:c.n])
	c.n -= samples
}

// late is what has waited before each of the last deliveries, since it did not
// fill a frame: where a device's first piece was a short one, all sound would be heard
// that much later for ever. It is asked before each. As long as somebody speaks that delay
// is the lesser evil.
func (c *capture) late(now time.Time) (samples int) {
	if now.Sub(c.began) > time.Second && now.Sub(c.loudAt) < silence {
		c.seen = 0
		return 0
	}
	if c.seen == 0 || c.n < c.least {
		c.least = c.n
	}
	if c.seen++; c.seen < steady {
		return 0
	}
	c.seen = 0
	if c.least < worthwhile || c.least >= audio.FrameSamples { // nobody reads
		return 0
	}
	return c.least
}

// leaveOut drops so much of the oldest, without a click.
func (c *capture) leaveOut(samples int) {
	if samples = min(samples, c.n); samples == 0 {
		return
	}
	n := min(blend, samples, c.n-samples)
	for i, old := range c.buf[:n] {
		at := samples + i
		c.buf[at] = int16((int(old)*(n-i) + int(c.buf[at])*i) / n)
	}
	c.drop(samples)
}

func (c *capture) Close() error {
	c.end.close(c.release)
	return nil
}

const lostHint = "check that it is connected; securecall devices lists what there is"

// An ending is how a device ends: closed by us, or lost.
type ending struct {
	spec      string
	closed    chan struct{}
	lost      chan struct{}
	err       error // an *Error: why it was lost; read after lost
	closeOnce sync.Once
	loseOnce  sync.Once
}

func newEnding(spec string) *ending {
	return &ending{spec: spec, closed: make(chan struct{}), lost: make(chan struct{})}
}

func (e *ending) close(release func()) {
	e.closeOnce.Do(func() {
		close(e.closed)
		release()
	})
}

func (e *ending) lose(err error) {
	e.loseOnce.Do(func() {
		e.err = &Error{Spec: e.spec, Err: err, Hint: lostHint}
		close(e.lost)
	})
}

// wake sends to a channel of capacity 1 that means "look again".
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// within runs open, which may hang, and gives up after a while; what it opens
// after that is released.
func within[T any](d time.Duration, open func() (T, error), release func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	results := make(chan result)
	abandoned := make(chan struct{})
	go func() {
		v, err := open()
		select {
		case results <- result{v, err}:
		case <-abandoned:
			if err == nil {
				release(v)
			}
		}
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case r := <-results:
		return r.value, r.err
	case <-timer.C:
		close(abandoned)
		var none T
		return none, errNoAnswer
	}
}
