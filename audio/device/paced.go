package device

import (
	"errors"
	"io"
	"sync"

	"securecall/audio"
)

// pacedSource gives what fill makes at the pace of a clock.
type pacedSource struct {
	clock *clock
	fill  func(audio.Frame) error // io.EOF, with the frame untouched, at the end
	ended bool

	release func() error
	once    sync.Once
	err     error // of release
}

func newPacedSource(fill func(audio.Frame) error, release func() error, o Options) *pacedSource {
	return &pacedSource{clock: newSourceClock(o), fill: fill, release: release}
}

func (s *pacedSource) ReadFrame(f audio.Frame) error {
	if s.ended {
		return io.EOF
	}
	if err := s.clock.wait(); err != nil {
		return err
	}
	err := s.fill(f)
	s.ended = errors.Is(err, io.EOF)
	return err
}

func (s *pacedSource) Close() error {
	s.once.Do(func() {
		s.clock.close()
		if s.release != nil {
			s.err = s.release()
		}
	})
	return s.err
}

// newNoneSource is a microphone in a silent room.
func newNoneSource(o Options) audio.Source {
	return newPacedSource(func(f audio.Frame) error {
		clear(f[:])
		return nil
	}, nil, o)
}

// Samples returns a source that gives pcm (linear, 8 kHz) in real time and
// then io.EOF. It keeps pcm and does not change it.
func Samples(pcm []int16) audio.Source {
	return newPacedSource(func(f audio.Frame) error {
		if len(pcm) == 0 {
			return io.EOF
		}
		n := copy(f[:], pcm)
		clear(f[n:])
		pcm = pcm[n:]
		return nil
	}, nil, Options{})
}

// noneSink is a speaker that nobody hears.
type noneSink struct{ clock *clock }

func newNoneSink(o Options) audio.Sink { return noneSink{newSinkClock(o)} }

func (s noneSink) WriteFrame(audio.Frame) error { return s.clock.wait() }

func (s noneSink) Close() error {
	s.clock.close()
	return nil
}
