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
	// deviceRate is what nearly every device runs at, Hz. At 8 kHz their drivers
	// would convert: Oto's for WASAPI then leaves it to WinMM, ALSA's is no filter.
	deviceRate = 48000
	otoBuffer  = 40 * time.Millisecond // of the device
	otoPoll    = 100 * time.Millisecond
)

// otoShared is Oto's context: there can be only one in a process, so it is
// kept from call to call.
var otoShared struct {
	sync.Mutex
	context *oto.Context
	rate    int // Hz
	sinks   int // that play through it
}

// acquireOto returns a context that works, for releaseOto, and its rate. One that
// has lost its device is replaced: it holds none any more.
func acquireOto() (*oto.Context, int, error) {
	otoShared.Lock()
	defer otoShared.Unlock()
	if c := otoShared.context; c != nil && c.Err() == nil {
		if otoShared.sinks == 0 {
			if err := c.Resume(); err != nil {
				return nil, 0, err
			}
		}
		otoShared.sinks++
		return c, otoShared.rate, nil
	}
	rate := defaultSpeakerRate()
	if rate == 0 {
		return nil, 0, errNoSound
	}
	c, ready, err := oto.NewContextWithOptions(&oto.NewContextOptions{
		SampleRate:   rate,
		ChannelCount: 1,
		Format:       oto.FormatSignedInt16LE,
		BufferSize:   otoBuffer,
	})
	if err != nil {
		return nil, 0, err
	}
	<-ready
	if err := c.Err(); err != nil {
		return nil, 0, err // that there is no device shows only here
	}
	otoShared.context, otoShared.rate, otoShared.sinks = c, rate, 1
	return c, rate, nil
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
func hasOto() bool { return defaultSpeakerRate() > 0 }

// otoSink plays to the default speaker. Oto pulls; one frame waits for it.
type otoSink struct {
	context *oto.Context
	player  oto.Player
	poll    *time.Ticker
	timer   *time.Timer
	end     *ending

	mu     sync.Mutex
	toRate *resampler // of the device
	raw    []byte
	left   []byte        // of raw: what has not been pulled
	pulled chan struct{} // capacity 1: left has become empty
}

func openOto(o Options) (audio.Sink, error) {
	context, rate, err := acquireOto()
	if err != nil {
		return nil, err
	}
	s := newOtoSink(rate)
	s.context = context
	s.player = context.NewPlayer(s)
	// Without this the player reads half a second ahead.
	s.player.(oto.BufferSizeSetter).SetBufferSize(2 * (o.frame() * rate / audio.SampleRate))
	s.player.Play()
	return s, nil
}

func newOtoSink(rate int) *otoSink {
	timer := time.NewTimer(0)
	timer.Stop()
	return &otoSink{
		poll:   time.NewTicker(otoPoll),
		timer:  timer,
		end:    newEnding("default"),
		toRate: newResampler(audio.SampleRate, rate, liveLowpass),
		pulled: make(chan struct{}, 1),
	}
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
	s.raw = s.raw[:0]
	for _, x := range f {
		s.raw = s.toRate.appendSample(s.raw, x)
	}
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
