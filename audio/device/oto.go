//go:build cgo || windows

package device

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/hajimehoshi/oto/v2"

	"securecall/audio"
)

const (
	otoBuffer = 40 * time.Millisecond // of the device
	otoPoll   = 100 * time.Millisecond
)

// otoShared is Oto's context: there can be only one in a process, so it is
// kept from call to call.
var otoShared struct {
	sync.Mutex
	context *oto.Context
	sinks   int // that play through it
}

// acquireOto returns a context that works, for releaseOto. One that has lost
// its device is replaced: it holds none any more.
func acquireOto() (*oto.Context, error) {
	otoShared.Lock()
	defer otoShared.Unlock()
	if c := otoShared.context; c != nil && c.Err() == nil {
		if otoShared.sinks == 0 {
			if err := c.Resume(); err != nil {
				return nil, err
			}
		}
		otoShared.sinks++
		return c, nil
	}
	if !hasDefaultSpeaker() {
		return nil, errNoSound
	}
	c, ready, err := oto.NewContextWithOptions(&oto.NewContextOptions{
		SampleRate:   audio.SampleRate,
		ChannelCount: 1,
		Format:       oto.FormatSignedInt16LE,
		BufferSize:   otoBuffer,
	})
	if err != nil {
		return nil, err
	}
	<-ready
	if err := c.Err(); err != nil {
		return nil, err // that there is no device shows only here
	}
	otoShared.context, otoShared.sinks = c, 1
	return c, nil
}

// releaseOto lets a context rest that nobody plays through: between calls it
// would go on to play silence, for a twentieth of a processor.
func releaseOto(c *oto.Context) {
	otoShared.Lock()
	defer otoShared.Unlock()
	if c != otoShared.context {
		return // it was lost, and replaced
	}
	if otoShared.sinks--; otoShared.sinks == 0 {
		_ = c.Suspend() // fails only where the device is lost
	}
}

// hasOto tells, without taking hold of it, whether there is a speaker.
func hasOto() bool { return hasDefaultSpeaker() }

// otoSink plays to the default speaker. Oto pulls; one frame waits for it.
type otoSink struct {
	context *oto.Context
	player  oto.Player
	poll    *time.Ticker
	timer   *time.Timer
	end     *ending

	mu     sync.Mutex
	raw    []byte
	left   []byte        // of raw: what has not been pulled
	pulled chan struct{} // capacity 1: left has become empty
}

func openOto(o Options) (audio.Sink, error) {
	context, err := acquireOto()
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(0)
	timer.Stop()
	s := &otoSink{
		context: context,
		poll:    time.NewTicker(otoPoll),
		timer:   timer,
		end:     newEnding("default"),
		pulled:  make(chan struct{}, 1),
	}
	s.player = context.NewPlayer(s)
	// Without this the player reads half a second ahead.
	s.player.(oto.BufferSizeSetter).SetBufferSize(2 * o.frame())
	s.player.Play()
	return s, nil
}

// Read is called by Oto. There is always something to be heard: a frame that
// has come too late leaves a gap of silence.
func (s *otoSink) Read(p []byte) (int, error) {
	select {
	case <-s.end.closed:
		return 0, io.EOF
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		clear(p)
		return len(p), nil
	}
	n := copy(p, s.left)
	if s.left = s.left[n:]; len(s.left) == 0 {
		wake(s.pulled)
	}
	return n, nil
}

func (s *otoSink) WriteFrame(f audio.Frame) error {
	select {
	case <-s.end.closed:
		return os.ErrClosed
	default:
	}
	s.mu.Lock()
	s.raw = appendFrame(s.raw[:0], f)
	s.left = s.raw
	s.mu.Unlock()
	s.timer.Reset(stall)
	defer s.timer.Stop()
	for {
		select {
		case <-s.pulled:
			return nil
		case <-s.end.closed:
			return os.ErrClosed
		case <-s.poll.C:
			// A server that dies shows nowhere else.
			if err := s.context.Err(); err != nil {
				s.end.lose(errGone)
				return s.end.err
			}
		case <-s.timer.C:
			s.end.lose(errStalled)
			return s.end.err
		}
	}
}

func (s *otoSink) Close() error {
	s.end.close(func() {
		s.poll.Stop()
		// Both wait for a lock that a server which hangs may keep.
		_, _ = within(time.Second, func() (struct{}, error) {
			err := s.player.Close()
			releaseOto(s.context)
			return struct{}{}, err
		}, func(struct{}) {})
	})
	return nil
}
