package call

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/nat/memnet"
)

// quietFor tells whether a side hears nothing for a while but silence, which may have been
// through G.711.
func (s *side) quietFor(d time.Duration) bool {
	s.ear.mu.Lock()
	s.ear.heard = nil
	s.ear.mu.Unlock()
	time.Sleep(d)
	s.ear.mu.Lock()
	defer s.ear.mu.Unlock()
	for _, x := range s.ear.heard {
		if x != 0 && x != through(audio.PCMU, []int16{0})[0] {
			return false
		}
	}
	return len(s.ear.heard) > 0
}

// While a call is held nothing of either side is heard at the other, packets go on as
// before, and afterwards both are heard again; muting is another matter.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
		var seen watch
		w.net.SetTap(seen.tap)
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		w.alice.e.Do(0, Hold)
		w.alice.e.Do(0, Hold)
		if h := await[Held](t, &w.alice); !h.On {
			t.Error("not held")
		}
		time.Sleep(500 * time.Millisecond)
		if !w.alice.quietFor(time.Second) || !w.bob.quietFor(time.Second) {
			t.Error("somebody is heard while the call is held")
		}
		w.alice.e.Do(0, Mute)
		w.alice.e.Do(0, Unhold)
		time.Sleep(500 * time.Millisecond)
		if w.alice.quietFor(time.Second) || !w.bob.quietFor(time.Second) {
			t.Error("muted, and no longer held: Alice should hear Bob, and he nothing")
		}
		w.alice.e.Do(0, Unmute)
		time.Sleep(500 * time.Millisecond)
		if w.bob.quietFor(time.Second) {
			t.Error("Bob does not hear Alice again")
		}
		if held := all[Held](&w.alice); len(held) != 2 || held[1].On {
			t.Errorf("told %v", held)
		}
		if len(all[Held](&w.bob)) > 0 {
			t.Error("the other side is told of it")
		}
		w.stop()
		checkMedia(t, "Alice", seen.kinds[w.alice.addr])
		checkMedia(t, "Bob", seen.kinds[w.bob.addr])
	})
}

// A square wave at full scale is 0 dB, a sine 3 dB less, and half of it 6 dB less than
// that; silence is as quiet as it gets. It takes 100 ms.
func TestLevel(t *testing.T) {
	for _, n := range []int{audio.FrameSamples, audio.FrameSamples / 2} {
		var m meter
		if l := m.level(); l != Quietest {
			t.Errorf("at first %v", l)
		}
		phase := 0
		play := func(d time.Duration, wave func(i int) float64) float64 {
			for range int(d / audio.Duration(n)) {
				f := make(audio.Frame, n)
				for i := range f {
					f[i] = int16(wave(phase))
					phase++
				}
				m.add(f)
			}
			return m.level()
		}
		square := func(i int) float64 { return 32767 - 65534*float64(i/4%2) }
		sine := func(i int) float64 { return 32767 * math.Sin(2*math.Pi*float64(i)/16) }
		half := func(i int) float64 { return sine(i) / 2 }
		none := func(int) float64 { return 0 }
		for _, c := range []struct {
			wave func(int) float64
			want float64
		}{{square, 0}, {sine, -3.01}, {half, -9.03}, {none, Quietest}, {sine, -3.01}} {
			if l := play(levelTime, c.wave); math.Abs(l-c.want) > 0.05 {
				t.Errorf("frames of %d: %.2f dB, want %.2f", n, l, c.want)
			}
		}
		if l := play(60*time.Millisecond, none); math.Abs(l+6.99) > 0.05 {
			t.Errorf("frames of %d: %.2f dB of a sound that has just ended", n, l)
		}
		f := make(audio.Frame, n)
		if n := testing.AllocsPerRun(100, func() { m.add(f); m.level() }); n > 0 {
			t.Errorf("%.1f allocations", n)
		}
	}
}

func TestLevelsOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		loud := func(said, heard float64) bool { return said > -20 && said < 0 && heard > -20 && heard < 0 }
		if said, heard := w.alice.e.Levels(0); !loud(said, heard) {
			t.Errorf("%.1f and %.1f dB", said, heard)
		}
		if said, heard := w.bob.e.Levels(1); !loud(said, heard) {
			t.Errorf("%.1f and %.1f dB at the other end", said, heard)
		}
		w.alice.e.Do(0, Mute)
		time.Sleep(time.Second)
		if said, heard := w.alice.e.Levels(0); said != Quietest || heard < -20 {
			t.Errorf("muted, %.1f and %.1f dB", said, heard)
		}
		if said, heard := w.alice.e.Levels(2); said != Quietest || heard != Quietest {
			t.Error("a call that is not there has levels")
		}
		w.alice.e.Do(0, Hangup)
		w.alice.result(t)
		if said, heard := w.alice.e.Levels(0); said != Quietest || heard != Quietest {
			t.Errorf("after the call, %.1f and %.1f dB", said, heard)
		}
		w.stop()
	})
}
