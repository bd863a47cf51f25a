package cli

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/progress"
	"securecall/call"
)

// A bench is what phones ring at: what was played where, at the pace of a speaker.
type bench struct {
	mu     sync.Mutex
	played map[string][]int16
	open   int
	fail   error
}

type benchSink struct {
	b    *bench
	spec string
}

func (b *bench) sink(spec string) (audio.Sink, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return nil, b.fail
	}
	b.open++
	return benchSink{b, spec}, nil
}

func (s benchSink) WriteFrame(f audio.Frame) error {
	time.Sleep(audio.Duration(len(f)))
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.played[s.spec] = append(s.b.played[s.spec], f...)
	return nil
}

func (s benchSink) Close() error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.open--
	return nil
}

// now is how many sinks are open and what was played, once all that was to happen has.
func (b *bench) now() (open int, played map[string][]int16) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open, maps.Clone(b.played)
}

// atRinger is a phone with such a bench, and what it tells.
func atRinger(s *settings) (*phone, *bench, *[]error) {
	b, told := &bench{played: map[string][]int16{}}, &[]error{}
	if s.ring == "" {
		s.ring = ringAuto
	}
	s.ringer = &ringer{open: b.sink, tell: func(err error) { *told = append(*told, err) }}
	return &phone{
		s: s, stdout: &console{w: io.Discard}, stderr: &console{w: io.Discard}, screen: &screen{results: io.Discard, talk: io.Discard, errors: io.Discard},
		reach: newReachable(), hooks: newHooks(s), vias: newVias(),
	}, b, told
}

func (p *phone) tells(id int, events ...call.Event) {
	for _, e := range events {
		p.show([]item{{time.Now(), id, e}})
	}
}

// heardTones are the samples of a sound, from its beginning.
func heardTones(s *progress.Sound, n int) []int16 {
	f := make(audio.Frame, n)
	s.Fill(f)
	return f
}

// It rings where a person is asked, from the call until it is answered or over, at the
// ring's device or, if nothing else is said, at that of the speaker.
func TestRingsUntilItIsAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		s  settings
		at string
	}{
		"auto":           {settings{speaker: "headset"}, "headset"},
		"a device":       {settings{speaker: "headset", ring: "loud"}, "loud"},
		"beside a file":  {settings{speaker: "out.wav", ring: "loud"}, "loud"},
		"none":           {settings{speaker: "headset", ring: "none"}, ""},
		"a file":         {settings{speaker: "out.wav"}, ""},
		"an echo":        {settings{speaker: "default", echo: true}, ""},
		"nobody decides": {settings{speaker: "headset", acceptAll: true}, ""},
		"a command does": {settings{speaker: "headset", hooks: hookCommands{"incoming": {"true"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, end := range []call.Event{call.Answered{}, call.Ended{Reason: call.ReasonNoAnswer}} {
				synctest.Test(t, func(t *testing.T) {
					p, b, _ := atRinger(&c.s)
					p.rings(1, call.Incoming{})
					time.Sleep(6 * time.Second)
					p.rings(2, call.Ended{}) // of somebody else
					if open, _ := b.now(); c.at != "" && open != 1 {
						t.Error("it does not ring any more")
					}
					p.rings(1, end)
					time.Sleep(time.Second)
					open, played := b.now()
					if open != 0 {
						t.Error("the device is still open")
					}
					total := 0
					for spec, pcm := range played {
						total += len(pcm)
						if spec != c.at {
							t.Errorf("it rings at %s", spec)
						}
						if want := heardTones(progress.Ring(), 6*audio.SampleRate); !slices.Equal(pcm[:len(want)], want) {
							t.Errorf("another sound at %s", spec)
						}
						if len(pcm) > 6*audio.SampleRate+2*audio.FrameSamples {
							t.Errorf("it rings for %d samples", len(pcm))
						}
					}
					if c.at != "" && total == 0 {
						t.Error("it does not ring")
					}
				})
			}
		})
	}
}

// The caller hears the ringing tone from when it rings there, and not before.
func TestRingbackWhileItRingsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, _ := atRinger(&settings{speaker: "headset"})
		p.tells(1, call.Dialing{}, fromBob)
		time.Sleep(3 * time.Second)
		if _, played := b.now(); len(played) > 0 {
			t.Error("something is heard before it rings there")
		}
		p.tells(1, call.Ringing{})
		time.Sleep(7 * time.Second)
		p.tells(1, call.Answered{})
		time.Sleep(time.Second)
		open, played := b.now()
		pcm := played["headset"]
		if want := heardTones(progress.Ringback(), 7*audio.SampleRate-audio.FrameSamples); len(pcm) < len(want) || !slices.Equal(pcm[:len(want)], want) {
			t.Errorf("%d samples, and not those of the tone", len(pcm))
		}
		if open != 0 || len(pcm) > 7*audio.SampleRate+2*audio.FrameSamples {
			t.Error("it goes on in the call")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p, b, _ := atRinger(&settings{speaker: "answer.wav"})
		p.tells(1, fromBob, call.Ringing{})
		time.Sleep(time.Second)
		p.tells(1, call.Ended{Reason: call.ReasonNoAnswer})
		if _, played := b.now(); len(played) > 0 {
			t.Error("the tone is in the file")
		}
	})
}

// The call's speaker is opened when the ring's device is free, since they may be one.
func TestRingMakesRoomForTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, _ := atRinger(&settings{speaker: "none", ring: "loud", records: &records{}})
		p.rings(1, call.Incoming{})
		time.Sleep(time.Second)
		sink, err := p.s.config(newQueue(), true).Speaker()
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		if open, _ := b.now(); open != 0 {
			t.Error("the ring still has its device")
		}
	})
}

// A ring that cannot be heard is told, once for each call, and the call goes on.
func TestRingThatIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, told := atRinger(&settings{speaker: "headset"})
		b.fail = errors.New("no such device")
		p.rings(1, call.Incoming{})
		synctest.Wait()
		p.rings(1, call.Ended{})
		p.s.ringer.quiet()
		if len(*told) != 1 || !strings.Contains((*told)[0].Error(), "nobody hears it ring: no such device") {
			t.Errorf("told %v", *told)
		}
	})
}

// A ring is written anew for each call: into no recording, and not where the call is.
func TestRingHasAFileOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		ring, speaker, record string
		ok                    bool
	}{
		{"ring.wav", "heard.wav", "call.wav", true},
		{"auto", "default", "", true},
		{"none", "none", "", true},
		{"./call.wav", "default", "call.wav", false},
		{"heard.wav", "x/../heard.wav", "", false},
	} {
		s := &settings{ring: c.ring, speaker: c.speaker, records: &records{given: c.record}}
		if err := s.checkRingFile(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The bell of the terminal rings once a cadence, while somebody is asked.
func TestBell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		s := &screen{results: io.Discard, talk: io.Discard, errors: io.Discard, ask: &b, bell: true}
		rung := func(seconds int) int {
			b.Reset()
			for i := range seconds { // a ticker's are not all alike
				time.Sleep(time.Second + []time.Duration{time.Millisecond, -time.Millisecond}[i%2])
				s.ring(time.Now())
			}
			return strings.Count(b.String(), "\a")
		}
		if n := rung(20); n > 0 {
			t.Errorf("it rang %d times before anybody called", n)
		}
		s.show(time.Now(), 1, fromBob)
		s.show(time.Now(), 1, call.Incoming{})
		if got := b.String(); !strings.HasPrefix(got[strings.Index(got, "\a"):], "\aincoming call from ") {
			t.Errorf("shown %q", got)
		}
		if n := rung(20); n != 4 {
			t.Errorf("it rang %d times in 20 s", n)
		}
		s.show(time.Now(), 1, call.Answered{})
		if n := rung(20); n > 0 {
			t.Errorf("it rang %d times in the call", n)
		}
		s.bell = false
		s.show(time.Now(), 2, call.Incoming{})
		if n := rung(20); n > 0 {
			t.Error("it rings where nobody wants it")
		}
	})
}

// A call that nobody has answered is told with who it was and when.
func TestMissedCall(t *testing.T) {
	at := time.Date(2026, 3, 4, 14, 3, 7, 0, time.UTC)
	for want, c := range map[string]struct {
		from call.Incoming
		end  call.Ended
	}{
		"missed call from bob at 14:03: the caller hung up before you answered": {
			call.Incoming{Addr: fromBob.Remote, Contact: "bob"}, call.Ended{Reason: call.ReasonNoAnswer},
		},
		"missed call from 203.0.113.7:5004 at 14:03: it rang here": {
			call.Incoming{Addr: fromBob.Remote}, call.Ended{Reason: call.ReasonNoAnswer, Err: errors.New("it rang here")},
		},
		"declined": {call.Incoming{Addr: fromBob.Remote}, call.Ended{Reason: call.ReasonDeclined}},
	} {
		var b bytes.Buffer
		s := &screen{results: io.Discard, talk: &b, errors: io.Discard, many: true}
		s.show(at, 1, fromBob)
		s.show(at, 1, c.from)
		b.Reset()
		s.show(at.Add(time.Hour), 1, c.end)
		if got := b.String(); got != want+"\n" {
			t.Errorf("said %q, want %q", got, want)
		}
	}
}
