package call

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/nat/memnet"
)

// shelf keeps recordings, and is what a Config.Recorder opens them from.
type shelf struct {
	mu      sync.Mutex
	tapes   []*memory
	fail    error         // instead of opening one
	opening time.Duration // how long that takes
}

func (s *shelf) open(int) (Recorder, error) {
	time.Sleep(s.opening)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	m := &memory{}
	s.tapes = append(s.tapes, m)
	return m, nil
}

func (s *shelf) only(t *testing.T) *memory {
	t.Helper()
	synctest.Wait() // then nobody writes to it
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tapes) != 1 {
		t.Fatalf("%d recordings were opened", len(s.tapes))
	}
	return s.tapes[0]
}

// memory is a Recorder of which the network may know nothing too early.
type memory struct {
	mu          sync.Mutex
	first       time.Time // sample
	said, heard []int16
	failed      error
	closed      int
}

func (m *memory) take(to *[]int16, f audio.Frame) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first.IsZero() {
		m.first = time.Now()
	}
	*to = append(*to, f...)
}

func (m *memory) Said(f audio.Frame)  { m.take(&m.said, f) }
func (m *memory) Heard(f audio.Frame) { m.take(&m.heard, f) }

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	return nil
}

func (m *memory) Failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// empty: nothing was ever written, and it is closed.
func (m *memory) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.first.IsZero() && m.closed == 1
}

// when is the time at which the n-th event of a type was told.
func when[E Event](t *testing.T, s *side, n int) (E, time.Time) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, ev := range s.events {
		if ev, ok := ev.(E); ok {
			if n--; n < 0 {
				return ev, s.times[i]
			}
		}
	}
	var none E
	t.Fatalf("no such %T", none)
	return none, time.Time{}
}

// recorded is a world in which Alice can record and the call is answered.
func recorded(t *testing.T, prepare func(w *world)) (*world, *shelf) {
	t.Helper()
	w, s := newWorld(t, 1), &shelf{}
	w.conditions(memnet.Conditions{Delay: 50 * time.Millisecond})
	w.alice.conf.Recorder = s.open
	if prepare != nil {
		prepare(w)
	}
	w.run()
	await[Answered](t, &w.alice)
	await[Answered](t, &w.bob)
	return w, s
}

// The other side knows that it is recorded, and has said so, before the first sample is
// written; and what is written is what was sent and what was played.
func TestToldBeforeTheFirstSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := recorded(t, nil)
		time.Sleep(3 * time.Second)
		begun := time.Now()
		w.alice.e.Do(0, Record)
		if r := await[Recording](t, &w.alice); !r.On || r.Err != nil {
			t.Fatalf("%+v", r)
		}
		time.Sleep(2 * time.Second)
		w.alice.e.Do(0, Mute)
		time.Sleep(time.Second)
		w.alice.e.Do(0, EndRecord)
		time.Sleep(time.Second)
		m := s.only(t)
		on, knew := when[PeerRecording](t, &w.bob, 0)
		if !on.On || m.first.Sub(knew) < 50*time.Millisecond || m.first.Sub(begun) < 100*time.Millisecond {
			t.Errorf("Bob knew it %v before the first sample, which came after %v", m.first.Sub(knew), m.first.Sub(begun))
		}
		if off, _ := when[PeerRecording](t, &w.bob, 1); off.On {
			t.Error("Bob does not know that it has ended")
		}
		if off, _ := when[Recording](t, &w.alice, 1); off.On || off.Err != nil {
			t.Errorf("it ended with %+v", off)
		}
		if m.closed != 1 {
			t.Errorf("closed %d times", m.closed)
		}
		seconds := func(pcm []int16) time.Duration { return audio.Duration(len(pcm)).Round(100 * time.Millisecond) }
		if seconds(m.said) != 3*time.Second || seconds(m.heard) != 3*time.Second {
			t.Errorf("%v of what was said and %v of what was heard", seconds(m.said), seconds(m.heard))
		}
		second := audio.SampleRate
		if !contains(w.alice.mic.said, m.said[:second]) || !contains(w.alice.ear.heard, m.heard) {
			t.Error("it is something else")
		}
		if last := m.said[len(m.said)-second/2:]; slices.Max(last) != 0 || slices.Min(last) != 0 {
			t.Error("what a closed microphone heard was recorded")
		}
		w.stop()
	})
}

// What the other side has not acknowledged it may not have heard: until then nothing is
// written, and after a while nothing is at all.
func TestNothingIsWrittenUnacknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		deaf   time.Duration
		untold bool
		want   Recording
	}{
		"late":                    {deaf: 3 * time.Second, want: Recording{On: true}},
		"never":                   {deaf: time.Minute, want: Recording{Err: ErrUntold}},
		"never, and all the same": {deaf: time.Minute, untold: true, want: Recording{On: true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var deaf atomic.Bool
			w, s := recorded(t, func(w *world) {
				w.alice.conf.RecordUntold = c.untold
				w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
					if deaf.Load() && from == w.bob.addr && classify(b) == kindRTCP {
						return nil
					}
					return b
				})
			})
			deaf.Store(true)
			begun := time.Now()
			w.alice.e.Do(0, Record)
			time.Sleep(c.deaf)
			deaf.Store(false)
			time.Sleep(3 * time.Second)
			if r, _ := when[Recording](t, &w.alice, 0); r != c.want {
				t.Errorf("%s: %+v", name, r)
			}
			m := s.only(t)
			switch {
			case !c.want.On && !m.empty():
				t.Errorf("%s: something was written, or it is open", name)
			case c.want.On && m.first.Sub(begun) < min(c.deaf, toldLimit):
				t.Errorf("%s: something was written after %v", name, m.first.Sub(begun))
			}
			// What was given up has been taken back.
			time.Sleep(10 * time.Second)
			if told := all[PeerRecording](&w.bob); len(told) > 0 && told[len(told)-1].On != c.want.On {
				t.Errorf("%s: Bob was told %v", name, told)
			}
			w.stop()
		})
	}
}

// Who cannot be told is not recorded, unless that was asked for.
func TestPlainPeerIsNotRecorded(t *testing.T) {
	for _, untold := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, s := recorded(t, func(w *world) {
				w.bob.conf.Client = "another phone"
				w.alice.conf.RecordUntold = untold
			})
			w.alice.e.Do(0, Record)
			r := await[Recording](t, &w.alice)
			time.Sleep(time.Second)
			if untold {
				if m := s.only(t); !r.On || len(m.said) == 0 {
					t.Errorf("with RecordUntold: %+v, %d samples", r, len(m.said))
				}
			} else if r.On || !errors.Is(r.Err, ErrUntold) || len(s.tapes) > 0 {
				t.Errorf("%+v, %d recordings", r, len(s.tapes))
			}
			w.stop()
		})
	}
}

// From the answer on, at both ends, and whole when the call has ended.
func TestRecordAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := &shelf{}
		w, s := recorded(t, func(w *world) {
			w.alice.conf.RecordAtOnce, w.bob.conf.RecordAtOnce = true, true
			w.bob.conf.Recorder = theirs.open
		})
		time.Sleep(5 * time.Second)
		w.alice.e.Do(0, Hangup)
		w.alice.result(t)
		w.bob.result(t)
		for who, s := range map[*side]*shelf{&w.alice: s, &w.bob: theirs} {
			m := s.only(t)
			if d := audio.Duration(len(m.said)); d < 4500*time.Millisecond || m.closed != 1 {
				t.Errorf("%v of five seconds, closed %d times", d, m.closed)
			}
			names := who.names()
			if !slices.Contains(names, "peer_recording") || names[len(names)-1] != "ended" {
				t.Errorf("told %v", names)
			}
		}
	})
}

// Nothing to record to, a folder that cannot be written, a disk that is full later: the
// call goes on, and both sides know.
func TestRecordingThatFails(t *testing.T) {
	full := errors.New("no space left on device")
	for name, c := range map[string]struct {
		prepare func(w *world, s *shelf)
		later   bool
		want    error
	}{
		"nothing to record to": {func(w *world, _ *shelf) { w.alice.conf.Recorder = nil }, false, ErrNoRecorder},
		"none opens":           {func(_ *world, s *shelf) { s.fail = full }, false, full},
		"full later":           {func(*world, *shelf) {}, true, full},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, s := newWorld(t, 1), &shelf{}
			w.alice.conf.Recorder = s.open
			c.prepare(w, s)
			w.run()
			await[Answered](t, &w.alice)
			await[Answered](t, &w.bob)
			w.alice.e.Do(0, Record)
			time.Sleep(time.Second)
			if c.later {
				m := s.only(t)
				m.mu.Lock()
				m.failed = full
				m.mu.Unlock()
				time.Sleep(2 * time.Second)
			}
			told := all[Recording](&w.alice)
			if len(told) == 0 || told[len(told)-1].On || !errors.Is(told[len(told)-1].Err, c.want) || len(told) > 2 {
				t.Errorf("%s: Alice was told %v", name, told)
			}
			theirs := all[PeerRecording](&w.bob)
			if c.later != (len(theirs) == 2) || c.later && theirs[1].On {
				t.Errorf("%s: Bob was told %v", name, theirs)
			}
			if _, over := find[Ended](&w.alice); over {
				t.Errorf("%s: the call has ended", name)
			}
			w.stop()
		})
	}
}

// A disk that takes its time to open a file holds nobody up, and where the recording was
// ended or the call is over by then, the file is closed.
func TestSlowRecorder(t *testing.T) {
	for name, then := range map[string]func(w *world){
		"ended":   func(w *world) { w.alice.e.Do(0, EndRecord) },
		"hung up": func(w *world) { w.alice.e.Do(0, Hangup) },
	} {
		synctest.Test(t, func(t *testing.T) {
			w, s := recorded(t, nil)
			s.opening = 3 * time.Second
			w.alice.e.Do(0, Record)
			time.Sleep(time.Second)
			then(w)
			time.Sleep(5 * time.Second)
			if m := s.only(t); !m.empty() {
				t.Errorf("%s: something was written, or it is open", name)
			}
			if told := all[PeerRecording](&w.bob); len(told) > 0 {
				t.Errorf("%s: Bob was told %v", name, told)
			}
			w.stop()
		})
	}
}
