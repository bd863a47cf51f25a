//go:build linux

package main

import (
	"context"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"securecall/audio"
	"securecall/call"
)

// A caller is one call, and what it told.
type caller struct {
	line     *line
	mic      beat
	speaker  beat
	answered time.Duration // from the first Hello; 0: never
	ended    call.Ended
	err      error
}

func (c *caller) run(ctx context.Context, i int, to netip.AddrPort) {
	// Of its own network each, as far as the listener can tell.
	c.line, c.err = newLine(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}))
	if c.err != nil {
		return
	}
	begin := time.Now()
	e, err := call.NewDialer(call.Config{
		Mic:     func() (audio.Source, error) { return &c.mic, nil },
		Speaker: func() (audio.Sink, error) { return &c.speaker, nil },
		OnEvent: func(_ int, ev call.Event) {
			if _, ok := ev.(call.Answered); ok {
				c.answered = time.Since(begin)
			}
		},
	}, c.line, []netip.AddrPort{to}, "")
	if err != nil {
		c.line.Close()
		c.err = err
		return
	}
	c.ended = e.Run(ctx)
}

// A beat is a caller's microphone or speaker. What is due within one millisecond is due
// at once, for all callers: a thousand clocks of their own would cost more than the calls.
type beat struct {
	next   time.Time
	late   delays
	closed atomic.Bool
}

const grid = time.Millisecond

var began = time.Now()

// tone is one frame of 400 Hz, and as it ends on a whole period the next one, too.
var tone = func() (f [audio.FrameSamples]int16) {
	period := []int16{0, 2472, 4702, 6472, 7608, 8000, 7608, 6472, 4702, 2472}
	for i := range f {
		f[i] = period[i%len(period)]
		if i%(2*len(period)) >= len(period) {
			f[i] = -f[i]
		}
	}
	return f
}()

func (b *beat) wait() error {
	now := time.Now()
	if b.next.IsZero() || now.Sub(b.next) > 5*audio.FrameDuration {
		b.next = began.Add(now.Sub(began).Truncate(grid) + grid)
	}
	time.Sleep(b.next.Sub(now))
	b.late.note(time.Since(b.next))
	b.next = b.next.Add(audio.FrameDuration)
	if b.closed.Load() {
		return os.ErrClosed
	}
	return nil
}

// ReadFrame implements audio.Source.
func (b *beat) ReadFrame(f audio.Frame) error {
	copy(f, tone[:])
	return b.wait()
}

// WriteFrame implements audio.Sink.
func (b *beat) WriteFrame(audio.Frame) error { return b.wait() }

// Close ends it at the next frame.
func (b *beat) Close() error {
	b.closed.Store(true)
	return nil
}
