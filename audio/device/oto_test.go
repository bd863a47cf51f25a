//go:build cgo || windows

package device

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

// newTestOto is a sink without a device behind it: a test pulls as Oto would.
func newTestOto() *otoSink {
	timer := time.NewTimer(0)
	timer.Stop()
	return &otoSink{
		poll:   time.NewTicker(time.Hour),
		timer:  timer,
		end:    newEnding("default"),
		pulled: make(chan struct{}, 1),
	}
}

// Oto pulls pieces of any size; what it gets are the frames in their order,
// and silence where there is none yet.
func TestOtoPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestOto()
		defer s.poll.Stop()
		silence := make([]byte, 100)
		silence[0] = 1
		if n, err := s.Read(silence); n != 100 || err != nil || !bytes.Equal(silence, make([]byte, 100)) {
			t.Errorf("before the first frame: %d, %v, %v", n, err, silence[:4])
		}
		go func() {
			for i := range 20 {
				f := numbered(i)
				if err := s.WriteFrame(f); err != nil {
					t.Error(err)
				}
			}
		}()
		var want, got []byte
		for i := range 20 {
			want = append(want, rawOf(numbered(i))...)
		}
		for i := 0; len(got) < len(want); i++ {
			synctest.Wait() // the writer has put its next frame
			p := make([]byte, 2+i*6%400)
			n, err := s.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p[:n]...)
		}
		if !bytes.Equal(got, want) {
			t.Error("what was pulled is not what was written")
		}
	})
}

// A device that takes nothing is lost; Close ends the wait, and Oto's reading.
func TestOtoEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestOto()
		defer s.poll.Stop()
		f := make(audio.Frame, audio.FrameSamples)
		begin := time.Now()
		var e *Error
		if err := s.WriteFrame(f); !errors.As(err, &e) || time.Since(begin) != stall {
			t.Errorf("%v after %v", err, time.Since(begin))
		}

		s = newTestOto()
		defer s.poll.Stop()
		ended := make(chan error)
		go func() { ended <- s.WriteFrame(f) }()
		synctest.Wait()
		s.end.close(func() {})
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if _, err := s.Read(make([]byte, 2)); !errors.Is(err, io.EOF) {
			t.Errorf("after Close Oto reads on: %v", err)
		}
	})
}

func TestOtoDoesNotAllocate(t *testing.T) {
	s := newTestOto()
	defer s.poll.Stop()
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p := make([]byte, 2*audio.FrameSamples)
		for {
			select {
			case <-stop:
				return
			default:
				s.Read(p)
			}
		}
	}()
	f := make(audio.Frame, audio.FrameSamples)
	if n := testing.AllocsPerRun(100, func() {
		if s.WriteFrame(f) != nil {
			t.Fatal("it fails")
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	close(stop)
	<-stopped
}
