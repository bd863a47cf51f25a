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
	// otoPatience is how long a frame may be late before Oto gets silence for it. What
	// Oto holds lasts longer.
	otoPatience = audio.FrameDuration / 2
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

	late *time.Timer // of the reader

	mu      sync.Mutex
	toRate  *resampler // of the device
	raw     []byte
	left    []byte        // of raw: what has not been pulled
	playing bool          // a frame was written
	pulled  chan struct{} // capacity 1: left has become empty
	put     chan struct{} // capacity 1: left has been filled
}

func openOto(o Options) (audio.Sink, error) {
	context, rate, err := acquireOto()
	if err != nil {
		return nil, err
	}
	s := newOtoSink(rate)
	s.context = context
	s.player = context.NewPlayer(s)
	// Without this the player reads half a second ahead. It is as much as the device
	// takes at once, even if frames are shorter: what is missing would be silence.
	s.player.(oto.BufferSizeSetter).SetBufferSize(2 * (audio.FrameSamples * rate / audio.SampleRate))
	s.player.Play()
	return s, nil
}

func newOtoSink(rate int) *otoSink {
	return &otoSink{
		poll:   time.NewTicker(otoPoll),
		timer:  stoppedTimer(),
		late:   stoppedTimer(),
		end:    newEnding("default"),
		toRate: newResampler(audio.SampleRate, rate, liveLowpass),
		pulled: make(chan struct{}, 1),
		put:    make(chan struct{}, 1),
	}
}

// Read is called by Oto, from one goroutine at a time. There is always something to
// be heard: a frame that has come too late leaves a gap of silence, and all after it
// are that much later.
func (s *otoSink) Read(p []byte) (int, error) {
	n, playing := s.pull(p)
	if n == 0 && playing {
		s.late.Reset(otoPatience)
		defer s.late.Stop()
	}
	for ; n == 0 && playing; n, _ = s.pull(p) {
		select {
		case <-s.put:
		case <-s.end.closed:
			playing = false
		case <-s.late.C:
			playing = false
		}
	}
	select {
	case <-s.end.closed:
		return 0, io.EOF
	default:
	}
	if n == 0 {
		clear(p)
		n = len(p)
	}
	return n, nil
}

// pull takes what there is of a frame, and tells whether there ever was one.
func (s *otoSink) pull(p []byte) (n int, playing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = copy(p, s.left)
	if s.left = s.left[n:]; n > 0 && len(s.left) == 0 {
		wake(s.pulled)
	}
	return n, s.playing
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
	s.left, s.playing = s.raw, true
	s.mu.Unlock()
	wake(s.put)
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
