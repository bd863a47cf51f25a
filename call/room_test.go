package call

import (
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/speech"
)

// A parlour is a loudspeaker and a microphone in one room: what is played is heard
// again 120 ms later, at half its loudness, with reverberation. Nobody else is
// there.
type parlour struct {
	ear

	mu     sync.Mutex
	next   time.Time
	at     int
	closed bool
	echo   float64 // energy in the microphone, after the first seconds
}

const (
	parlourDelay = 960
	parlourLate  = 8 * audio.SampleRate // samples, after which it is to be quiet
)

func (p *parlour) ReadFrame(f audio.Frame) error {
	now := time.Now()
	if p.next.IsZero() {
		p.next = now
	}
	time.Sleep(p.next.Sub(now))
	p.next = p.next.Add(audio.Duration(len(f)))
	p.ear.mu.Lock()
	defer p.ear.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("closed")
	}
	for i := range f {
		sum := 0.0
		for _, wall := range [...]struct {
			n    int
			gain float64
		}{{0, 0.4}, {37, -0.2}, {101, 0.15}, {230, -0.1}, {555, 0.05}} {
			if at := p.at + i - parlourDelay - wall.n; at >= 0 && at < len(p.heard) {
				sum += wall.gain * float64(p.heard[at])
			}
		}
		f[i] = int16(sum)
		if p.at > parlourLate {
			p.echo += sum * sum
		}
	}
	p.at += len(f)
	return nil
}

func (p *parlour) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.ear.Close()
}

// Issue 4: "a call with a loudspeaker and a microphone in one room ... has no
// audible echo": what comes back is 30 dB weaker than without the canceller.
func TestNoAudibleEcho(t *testing.T) {
	for _, packetTime := range []time.Duration{audio.FrameDuration, audio.FrameDuration / 2} {
		noAudibleEcho(t, packetTime)
	}
}

func noAudibleEcho(t *testing.T, packetTime time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.PacketTime, w.bob.conf.PacketTime = packetTime, packetTime
		var said []int16
		for range 4 {
			said = append(said, speech.Samples()...)
		}
		w.alice.conf.Mic = func() (audio.Source, error) { return &recital{pcm: said}, nil }
		w.alice.conf.HangupAtEOF = true
		p := &parlour{}
		w.bob.conf.Mic = func() (audio.Source, error) { return p, nil }
		w.bob.conf.Speaker = func() (audio.Sink, error) { return p, nil }
		// What is left of the echo is no soft voice that has to be raised.
		w.bob.conf.CancelEcho, w.bob.conf.SuppressNoise, w.bob.conf.AutoGain = true, true, true
		w.run()
		w.alice.result(t)
		w.bob.result(t)
		back := 0.0
		for _, v := range w.alice.ear.heard[min(len(w.alice.ear.heard), parlourLate+4000):] {
			back += float64(v) * float64(v)
		}
		if loss := 10 * math.Log10(p.echo/(back+1)); p.echo < 1e9 || loss < 30 {
			t.Errorf("of the echo %.1f dB are taken out (its energy is %.3g)", loss, p.echo)
		}
	})
}

// A soft voice beside a fan is heard louder, and the fan weaker.
func TestSoftVoiceBesideAFan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		const soft, fan = 0.1, 40.0 // -44 dB and -58 dB of full scale
		r := rand.New(rand.NewPCG(1, 2))
		var said []int16
		for range 4 {
			said = append(said, speech.Samples()...)
			said = append(said, make([]int16, 2*audio.SampleRate)...)
		}
		for i, v := range said {
			said[i] = int16(soft*float64(v) + fan*r.NormFloat64())
		}
		w.alice.conf.Mic = func() (audio.Source, error) { return &recital{pcm: said}, nil }
		w.alice.conf.HangupAtEOF = true
		w.bob.conf.Mic = func() (audio.Source, error) { return &recital{pcm: make([]int16, len(said))}, nil } // listens
		w.alice.conf.SuppressNoise, w.alice.conf.AutoGain = true, true
		w.run()
		w.alice.result(t)
		w.bob.result(t)
		// The last time, and the pause after it.
		came := w.bob.ear.came[:len(said)]
		voice := len(said) - 7*audio.SampleRate
		pause := len(said) - audio.SampleRate
		louder := loudness(came[voice:pause-audio.SampleRate]) - loudness(said[voice:pause-audio.SampleRate])
		more := loudness(came[pause:]) - loudness(said[pause:])
		if louder < 12 || more > louder-12 {
			t.Errorf("the voice is %+.1f dB louder, the fan %+.1f dB", louder, more)
		}
	})
}

// loudness is the power of pcm in dB.
func loudness(pcm []int16) float64 {
	sum := 1.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}

// A recital is a microphone that gives pcm once.
type recital struct {
	scriptMic
	pcm []int16
}

func (m *recital) ReadFrame(f audio.Frame) error {
	m.frames = len(m.pcm) / audio.FrameSamples
	at := len(m.said)
	if err := m.scriptMic.ReadFrame(f); err != nil {
		return err
	}
	copy(f[:], m.pcm[at:])
	return nil
}
