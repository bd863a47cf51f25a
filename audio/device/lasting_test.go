package device

import (
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

var errPulled = errors.New("somebody pulled the plug")

// A plug is a device that can be pulled and put in again.
type plug struct {
	mu     sync.Mutex
	in     bool
	opened int // and not closed
	times  int // opened
}

func (p *plug) put(in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = in
}

// A socket is one time that a plug was opened.
type socket struct {
	*plug
	clock *clock
}

func (p *plug) open() (*socket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times++
	if !p.in {
		return nil, errPulled
	}
	p.opened++
	return &socket{p, newClock(0, Options{})}, nil
}

func (p *plug) source() (audio.Source, error) { return p.open() }
func (p *plug) sink() (audio.Sink, error)     { return p.open() }

func (s *socket) ReadFrame(f audio.Frame) error {
	f[0] = 7
	return s.WriteFrame(f)
}

func (s *socket) WriteFrame(audio.Frame) error {
	if err := s.clock.wait(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.in {
		return errPulled
	}
	return nil
}

func (s *socket) Close() error {
	s.clock.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened--
	return nil
}

// Issue 4, part 6: "a microphone or speaker unplugged, or a sound server restarted,
// in mid-call: the call goes on with silence, the device is opened again when it
// returns, an event tells it."
func TestLastingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plug{in: true}
		first, _ := p.source()
		var told []error
		s := LastingSource(first, p.source, func(lost error) { told = append(told, lost) }, Options{})
		begin := time.Now()
		f := make(audio.Frame, audio.FrameSamples)
		read := func(seconds int) (heard int) {
			for range seconds * 50 {
				clear(f)
				if err := s.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
				heard += int(f[0]) / 7
			}
			return heard
		}
		if heard := read(2); heard != 100 {
			t.Errorf("%d of 100 frames", heard)
		}
		p.put(false)
		if heard := read(10); heard != 0 || len(told) != 1 || !errors.Is(told[0], errPulled) {
			t.Errorf("%d frames were heard while it was out; told %v", heard, told)
		}
		p.put(true)
		if heard := read(5); heard < 100 || len(told) != 2 || told[1] != nil {
			t.Errorf("%d of 250 frames were heard after it was back; told %v", heard, told)
		}
		// All the time a frame came every 20 ms, to a frame.
		if off := time.Since(begin) - 17*time.Second; off < -2*audio.FrameDuration || off > 2*audio.FrameDuration {
			t.Errorf("17 s of frames took %v more", off)
		}
		if err := s.Close(); err != nil || p.opened != 0 {
			t.Errorf("%v, %d are open", err, p.opened)
		}
		if err := s.ReadFrame(f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("once closed it says %v", err)
		}
	})
}

// One that comes and goes is told once, until it has stayed.
func TestLastingSinkThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plug{in: true}
		first, _ := p.sink()
		told := 0
		s := LastingSink(first, p.sink, func(error) { told++ }, Options{})
		f := make(audio.Frame, audio.FrameSamples)
		for i := range 3000 { // a minute
			p.put(i%60 < 30)
			if err := s.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // for one who is about to open it
		if told != 1 || p.times < 10 || p.times > 130 {
			t.Errorf("told %d times, opened %d times", told, p.times)
		}
		// Closed while it is being opened again: nothing stays open.
		p.put(false)
		_ = s.WriteFrame(f)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.put(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.opened != 0 {
			t.Errorf("%d are open", p.opened)
		}
	})
}

// What has ended is not lost.
func TestLastingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := LastingSource(Samples(make([]int16, 10)), nil, nil, Options{})
		f := make(audio.Frame, audio.FrameSamples)
		if err := s.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		if err := s.ReadFrame(f); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		s.Close()
	})
}

// A device that opens and gives nothing is lost once, and never back.
func TestSilentDeviceIsNotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func() (audio.Source, error) {
			c := newCapture("dead")
			c.release = func() {}
			return c, nil
		}
		first, _ := open()
		var told []error
		s := LastingSource(first, open, func(lost error) { told = append(told, lost) }, Options{})
		f := make(audio.Frame, audio.FrameSamples)
		for begin := time.Now(); time.Since(begin) < time.Minute; {
			if err := s.ReadFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != 1 || told[0] == nil {
			t.Errorf("told %v", told)
		}
		s.Close()
		synctest.Wait()
	})
}
