package device

import (
	"errors"
	"os"
	"testing"
	"time"

	"securecall/audio"
)

// The kernel's timers run in real time, so that nothing can be said of how late
// they are; but they are never early, do not drift, and let go when closed.
func TestKernelTimers(t *testing.T) {
	o := Options{KernelTimers: true}
	source := newNoneSource(o)
	f := make(audio.Frame, audio.FrameSamples)
	begin := time.Now()
	for i := range 10 {
		if err := source.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		if since, due := time.Since(begin), time.Duration(i)*audio.FrameDuration; since < due {
			t.Fatalf("frame %d came after %v, before it was due at %v", i, since, due)
		}
	}
	sink := newNoneSink(o)
	ended := make(chan error)
	go func() {
		for {
			if err := sink.WriteFrame(f); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Fatalf("a writer whose sink was closed was told %v", err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	if err := source.ReadFrame(f); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("a closed source says %v", err)
	}
	clock := newClock(0, o)
	defer clock.close()
	if n := testing.AllocsPerRun(5, func() { _ = clock.wait() }); n != 0 {
		t.Fatalf("a tick allocates %v times", n)
	}
}
