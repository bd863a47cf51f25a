package meet

import (
	"crypto/rand"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/crypto/zidcache"
)

// A speaker is a person who says a tone, with what they say, hear and draw at random.
type speaker struct {
	*person
	hz          int // a multiple of 50: whole turns in a frame
	said, heard sound
	drawn       drawn
	over        chan struct{} // closed when its side has ended
}

func newSpeaker(t *testing.T, hz int) *speaker {
	t.Helper()
	s := &speaker{person: newPerson(), hz: hz}
	s.conf.Mic = func() (audio.Source, error) {
		source, err := device.OpenSource("tone:"+strconv.Itoa(hz), device.Options{})
		return mouth{source, &s.said}, err
	}
	s.conf.Speaker = func() (audio.Sink, error) {
		sink, err := device.OpenSink("none", device.Options{})
		return ear{sink, &s.heard}, err
	}
	var err error
	s.conf.Cache, err = zidcache.Open(filepath.Join(t.TempDir(), "state"), func(_ string, why error) { t.Error(why) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// options are o, with the random numbers kept.
func (s *speaker) options(o Options) Options {
	o.Rand = &s.drawn
	return o
}

type sound struct {
	mu  sync.Mutex
	pcm []int16
}

func (s *sound) add(f audio.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pcm = append(s.pcm, f...)
}

func (s *sound) all() []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]int16(nil), s.pcm...)
}

type mouth struct {
	audio.Source
	said *sound
}

func (m mouth) ReadFrame(f audio.Frame) error {
	err := m.Source.ReadFrame(f)
	if err == nil {
		m.said.add(f)
	}
	return err
}

type ear struct {
	audio.Sink
	heard *sound
}

func (e ear) WriteFrame(f audio.Frame) error {
	e.heard.add(f)
	return e.Sink.WriteFrame(f)
}

// drawn is crypto/rand's, and keeps what was drawn.
type drawn struct {
	mu  sync.Mutex
	all [][]byte
}

func (d *drawn) Read(b []byte) (int, error) {
	n, err := rand.Read(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, append([]byte(nil), b[:n]...))
	return n, err
}

// tones counts the frames that are loud, and of them those of which a tone is not a tenth: of
// noise it is a hundredth, and of a frame in which it begins as much as makes that one loud.
func tones(pcm []int16, hz int) (loud, other int) {
	for ; len(pcm) >= audio.FrameSamples; pcm = pcm[audio.FrameSamples:] {
		var re, im, energy float64
		for i, s := range pcm[:audio.FrameSamples] {
			sin, cos := math.Sincos(2 * math.Pi * float64(hz*i) / audio.SampleRate)
			re, im, energy = re+float64(s)*cos, im+float64(s)*sin, energy+float64(s)*float64(s)
		}
		if energy < 2500*2500*audio.FrameSamples {
			continue
		}
		loud++
		if 2*(re*re+im*im)/audio.FrameSamples < energy/10 {
			other++
		}
	}
	return loud, other
}

// What tones is to find, it finds.
func TestTones(t *testing.T) {
	frame := func(f func(i int) float64) []int16 {
		pcm := make([]int16, audio.FrameSamples)
		for i := range pcm {
			pcm[i] = int16(8000 * f(i))
		}
		return pcm
	}
	tone := func(hz float64) []int16 {
		return frame(func(i int) float64 { return math.Sin(1 + 2*math.Pi*hz*float64(i)/audio.SampleRate) })
	}
	ciphertext := make([]byte, audio.FrameSamples)
	_, _ = rand.Read(ciphertext)
	noise := make([]int16, audio.FrameSamples)
	audio.PCMU.Decode(noise, ciphertext)
	for _, c := range []struct {
		name        string
		pcm         []int16
		loud, other int
	}{
		{"the tone", tone(400), 1, 0},
		{"another", tone(1000), 1, 1},
		{"what was not decrypted", noise, 1, 1},
		{"silence", make([]int16, audio.FrameSamples), 0, 0},
	} {
		if loud, other := tones(c.pcm, 400); loud != c.loud || other != c.other {
			t.Errorf("%s: %d loud, %d other", c.name, loud, other)
		}
	}
}
