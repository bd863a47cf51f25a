package device

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"securecall/audio"
)

const (
	// readAhead is how much sound a pipe is read ahead; then its writer waits.
	readAhead = time.Second
	// writeBehind is how much waits for the reader of a pipe, before what the system keeps in
	// it (leastPipe); then the oldest is dropped.
	writeBehind = 200 * time.Millisecond
	// lastWords is how long Close lets such frames go out.
	lastWords = 100 * time.Millisecond
)

// A block is a frame that lies between two goroutines.
type block struct {
	pcm [audio.FrameSamples]int16
	n   int
}

func blockOf(f audio.Frame) (b block) {
	b.n = copy(b.pcm[:], f)
	return b
}

func (b *block) frame() audio.Frame { return b.pcm[:b.n] }

// blocks holds frames for so long a time.
func blocks(d time.Duration, o Options) chan block {
	return make(chan block, d/audio.Duration(o.frame()))
}

// pipeSource reads raw 16-bit little-endian 8 kHz mono sound from a pipe, and
// gives it out at the pace of a clock. Where the pipe is slower there is
// silence; where it is faster its writer waits.
type pipeSource struct {
	spec    string
	r       io.Reader
	clock   *clock
	frame   int          // samples
	frames  chan block   // closed at the end
	failure error        // why it was closed; read after that
	begun   bool         // pump runs
	ended   bool         // all has been given out
	release func() error // ends the program at the other end of the pipe
}

func newPipeSource(spec string, r io.Reader, release func() error, o Options) *pipeSource {
	return &pipeSource{
		spec:    spec,
		r:       r,
		clock:   newSinkClock(o), // the first frame has to be read first
		frame:   o.frame(),
		frames:  blocks(readAhead, o),
		release: release,
	}
}

func (s *pipeSource) ReadFrame(f audio.Frame) error {
	if s.ended {
		return s.failure
	}
	if !s.begun {
		s.begun = true
		go s.pump()
	}
	if err := s.clock.wait(); err != nil {
		return err
	}
	select {
	case next, more := <-s.frames:
		if !more {
			s.ended = true
			return s.failure
		}
		clear(f[copy(f, next.frame()):])
	default:
		clear(f)
	}
	return nil
}

// pump reads the pipe. Standard input cannot be made to end a Read, so it may
// outlive Close: it ends with the next frame that comes in.
func (s *pipeSource) pump() {
	defer close(s.frames)
	s.failure = io.EOF
	f := make(audio.Frame, s.frame)
	raw := make([]byte, 2*len(f))
	for {
		n, err := io.ReadFull(s.r, raw)
		if n >= 2 {
			clear(raw[n&^1:]) // the last frame may be a short one
			takeFrame(f, raw)
			select {
			case s.frames <- blockOf(f):
			case <-s.clock.closed:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				s.failure = s.failed(err)
			}
			return
		}
	}
}

// failed is the error of a reader, which may know better what to say.
func (s *pipeSource) failed(err error) error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Spec: s.spec, Err: cause(err)}
}

func (s *pipeSource) Close() error {
	s.clock.close()
	if s.release != nil {
		return s.release()
	}
	return nil
}

// pipeSink writes the same to a pipe at the pace of a clock. A reader that
// takes it up too slowly loses what is oldest.
type pipeSink struct {
	spec    string
	w       io.Writer
	clock   *clock
	frames  chan block
	done    chan struct{} // closed when pump has ended
	failure error         // why it did, unless by Close; read after that
	once    sync.Once
	quit    chan struct{}
	release func() error // closes the pipe and ends the program at its other end
	err     error        // of release
}

func newPipeSink(spec string, w io.Writer, release func() error, o Options) *pipeSink {
	s := &pipeSink{
		spec:    spec,
		w:       w,
		clock:   newSinkClock(o),
		frames:  blocks(writeBehind, o),
		done:    make(chan struct{}),
		quit:    make(chan struct{}),
		release: release,
	}
	leastPipe(w)
	go s.pump()
	return s
}

func (s *pipeSink) WriteFrame(f audio.Frame) error {
	select {
	case <-s.done:
		if s.failure == nil {
			return os.ErrClosed
		}
		return s.failure
	default:
	}
	for {
		select {
		case s.frames <- blockOf(f):
			return s.clock.wait()
		default:
		}
		select {
		case <-s.frames:
		default:
		}
	}
}

func (s *pipeSink) pump() {
	defer close(s.done)
	raw := make([]byte, 0, 2*audio.FrameSamples)
	for {
		var f block
		select {
		case f = <-s.frames:
		default:
			// Only when all has been written does a wish to end count.
			select {
			case f = <-s.frames:
			case <-s.quit:
				return
			}
		}
		raw = appendFrame(raw[:0], f.frame())
		if _, err := s.w.Write(raw); err != nil {
			s.failure = &Error{Spec: s.spec, Err: cause(err), Hint: writeHint(err)}
			return
		}
	}
}

// writeHint is the next step where sound cannot be written: to a program, or to a disk.
func writeHint(err error) string {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		return "the program that should take the sound has ended"
	}
	return "look whether the disk is full"
}

// Close lets what is queued go out, if somebody takes it, and does not wait
// for anybody longer than a moment.
func (s *pipeSink) Close() error {
	s.once.Do(func() {
		close(s.quit)
		s.clock.close()
		patience := time.NewTimer(lastWords)
		defer patience.Stop()
		select {
		case <-s.done:
		case <-patience.C:
		}
		if s.release != nil {
			s.err = s.release()
		}
	})
	return s.err
}
