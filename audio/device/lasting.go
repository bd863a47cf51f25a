package device

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"securecall/audio"
)

const (
	reopenSoon = 500 * time.Millisecond // after a device was lost
	reopenLate = 2 * time.Second        // as the waiting grows
	trusted    = time.Second            // of sound, after which a device counts as back
)

// lasting is a device that may be unplugged, or whose sound server may be started
// anew, while it is used: what it stands for goes on, and it is opened again in
// the background.
type lasting[T io.Closer] struct {
	open func() (T, error)
	tell func(lost error) // nil: it is back

	// Of the goroutine that uses it.
	lost bool // tell was told
	good int  // samples since it was opened

	mu     sync.Mutex
	device T
	have   bool
	closed chan struct{}
	once   sync.Once
}

func (l *lasting[T]) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// current is the device, if there is one.
func (l *lasting[T]) current() (T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.device, l.have
}

// worked notes that samples have passed. One that comes and goes is told once.
func (l *lasting[T]) worked(samples int) {
	if l.good += samples; l.lost && audio.Duration(l.good) >= trusted {
		l.lost = false
		l.tell(nil)
	}
}

// failed notes that the device is lost, and begins to open it again. It is false
// where there is nothing to go on with: it was closed, or has ended.
func (l *lasting[T]) failed(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) || l.isClosed() {
		return false
	}
	l.mu.Lock()
	gone := l.device
	l.have = false
	l.mu.Unlock()
	go func() {
		_ = gone.Close() // which may take a moment, where a server hangs
		l.reopen()
	}()
	l.good = 0
	if !l.lost {
		l.lost = true
		l.tell(err)
	}
	return true
}

// reopen tries until there is a device, or none is wanted any more.
func (l *lasting[T]) reopen() {
	wait := reopenSoon
	for {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			return
		}
		wait = min(2*wait, reopenLate)
		device, err := l.open()
		if err != nil {
			continue
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.isClosed() {
			_ = device.Close()
			return
		}
		l.device, l.have = device, true
		return
	}
}

// close closes the device, if there is one.
func (l *lasting[T]) close() (err error) {
	l.once.Do(func() {
		l.mu.Lock()
		close(l.closed)
		device, have := l.device, l.have
		l.mu.Unlock()
		if have {
			err = device.Close()
		}
	})
	return err
}

// LastingSource is a microphone that goes on with silence when it is lost, until
// open gives it again. tell is called by the goroutine that reads, with why it was
// lost, and with nil when it is back. first is what open has given already.
func LastingSource(first audio.Source, open func() (audio.Source, error), tell func(lost error), o Options) audio.Source {
	return &lastingSource{
		lasting: lasting[audio.Source]{open: open, tell: tell, device: first, have: true, closed: make(chan struct{})},
		silence: newNoneSource(o),
	}
}

type lastingSource struct {
	lasting[audio.Source]
	silence audio.Source
}

func (s *lastingSource) ReadFrame(f audio.Frame) error {
	if device, ok := s.current(); ok {
		err := device.ReadFrame(f)
		if err == nil {
			// Silence in place of a device's sound does not show that it is back.
			if d, ok := device.(interface{ waits() bool }); !ok || !d.waits() {
				s.worked(len(f))
			}
			return nil
		}
		if !s.failed(err) {
			return err
		}
	}
	return s.silence.ReadFrame(f)
}

func (s *lastingSource) Close() error {
	_ = s.silence.Close()
	return s.close()
}

// LastingSink is a speaker that goes on in silence when it is lost, as
// LastingSource does.
func LastingSink(first audio.Sink, open func() (audio.Sink, error), tell func(lost error), o Options) audio.Sink {
	return &lastingSink{
		lasting: lasting[audio.Sink]{open: open, tell: tell, device: first, have: true, closed: make(chan struct{})},
		silence: newNoneSink(o),
	}
}

type lastingSink struct {
	lasting[audio.Sink]
	silence audio.Sink
}

func (s *lastingSink) WriteFrame(f audio.Frame) error {
	if device, ok := s.current(); ok {
		err := device.WriteFrame(f)
		if err == nil {
			s.worked(len(f))
			return nil
		}
		if !s.failed(err) {
			return err
		}
	}
	return s.silence.WriteFrame(f)
}

func (s *lastingSink) Close() error {
	_ = s.silence.Close()
	return s.close()
}
