package playout

import (
	"slices"
	"testing"
	"time"

	"securecall/audio"
)

// shift makes a path longer or shorter by d from a moment on.
func shift(at, d time.Duration) func(time.Duration) (time.Duration, bool) {
	return func(sent time.Duration) (time.Duration, bool) {
		if (sent > at) == (d > 0) {
			return max(d, -d), false
		}
		return 0, false
	}
}

// Where speech is stretched or shrunk it does not click: no step from sample to
// sample is larger than in the speech nearby.
func TestNoClicks(t *testing.T) {
	t.Parallel()
	for start := range 4 {
		for _, growing := range []bool{false, true} {
			l := newLine(1)
			l.from = start * 9000
			length := 30 * time.Second
			if growing {
				// A sender far too slow: every other second the delay must grow.
				l.ppm = 9000
			} else {
				l.path = shift(10*time.Second, -ms(300))
				length = 40 * time.Second // what came beside the new path is forgotten after 20
			}
			s := l.run(length)
			if growing && s.Stretched < ms(200) || !growing && s.Shrunk < ms(250) || s.Concealed > ms(20) {
				t.Fatalf("hardly stretched or shrunk, or concealed: %+v", s)
			}
			said, heard := steps(l.said), steps(l.heard)
			for i := range min(len(heard), len(said)) {
				// What is heard now was said at some moment up to 350 ms ago.
				if most := slices.Max(said[max(0, i-7) : i+1]); heard[i] > most*5/4+16 {
					t.Errorf("growing %v: a step of %d at %d ms, %d in the speech", growing, heard[i], i*50, most)
				}
			}
		}
	}
}

// steps is the largest step between neighbours in each 50 ms.
func steps(pcm []int16) []int {
	const n = audio.SampleRate / 20
	out := make([]int, len(pcm)/n)
	for i := range out {
		for j := max(1, i*n); j < (i+1)*n; j++ {
			out[i] = max(out[i], int(pcm[j])-int(pcm[j-1]), int(pcm[j-1])-int(pcm[j]))
		}
	}
	return out
}

// Speech that is shrunk or stretched is still the same speech: each piece of it
// is found again in what is heard.
func TestReshapedSpeechIsTheSpeech(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{ms(200), -ms(200)} {
		l := newLine(1)
		l.path = shift(10*time.Second, d)
		l.run(20 * time.Second)
		// From a second after the step on, where the delay still changes.
		for at := 10 * audio.SampleRate; at < 18*audio.SampleRate; at += 800 {
			piece := l.said[at : at+160]
			power := 0
			for _, s := range piece {
				power += int(s) * int(s) / len(piece)
			}
			if power < 250_000 || d > 0 && at < 11*audio.SampleRate {
				continue
			}
			if _, c := alike(piece, l.heard[at:at+3200], 2900); c < 0.8 {
				t.Errorf("step %v: what was said at sample %d is found with correlation %.2f only", d, at, c)
			}
		}
	}
}

// Pauses take most of the changes: where there are any, speech is hardly
// touched for a little too much delay.
func TestPausesGoFirst(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	l.voice = slices.Concat(voice[:8000], make([]int16, 4000))
	l.path = shift(10*time.Second, -ms(40))
	s := l.run(40 * time.Second)
	if s.Shrunk < ms(39) || s.Delay > ms(11) {
		t.Fatalf("%+v", s)
	}
	// A second of speech later one still hears it untouched, up to the pause.
	whole := 0
	for at := 0; at+8000 <= len(l.said); at += 12_000 {
		if index(l.heard, l.said[at+200:at+7800]) >= 0 {
			whole++
		}
	}
	if whole < 25 {
		t.Errorf("%d utterances are heard whole", whole)
	}
}

// What asked for more delay for a moment is not worth two changes in mid-speech: a frame
// too much stays for a minute, and then goes.
func TestAFrameTooMuchStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ call, delay time.Duration }{{70 * time.Second, ms(25)}, {110 * time.Second, ms(5)}} {
		l := newLine(1)
		l.path = func(sent time.Duration) (time.Duration, bool) {
			if sent > 10*time.Second && sent < 11*time.Second {
				return ms(20), false
			}
			return 0, false
		}
		if s := l.run(c.call); s.Delay < c.delay-ms(1) || s.Delay > c.delay+ms(1) {
			t.Errorf("after %v: %+v", c.call, s)
		}
	}
}

// Packets that are late now and then are concealed. The delay grows for them once
// what that has lost was worth it: soon where two in a hundred are late, for five in a
// thousand after a minute, and for two in a thousand after four.
func TestFewLatePacketsMoveNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ every, call, moved time.Duration }{
		{20 * time.Second, 20 * time.Minute, 0},
		{8 * time.Second, time.Minute, 0},
		{8 * time.Second, 5 * time.Minute, ms(20)},
		{4 * time.Second, 40 * time.Second, 0},
		{4 * time.Second, 90 * time.Second, ms(20)},
		{time.Second, 20 * time.Second, ms(20)},
	} {
		l := newLine(1)
		l.path = func(sent time.Duration) (time.Duration, bool) {
			if sent > 5*time.Second && sent%c.every < frame {
				return ms(20), false
			}
			return 0, false
		}
		s := l.run(c.call)
		if moved := s.Delay - ms(5); moved < c.moved-ms(1) || moved > c.moved+ms(2) {
			t.Errorf("every %v, after %v: %+v", c.every, c.call, s)
		}
	}
}

// A machine that stands still once, or a path, and lets all go at once says nothing about the
// packets that follow: the delay stays where it is. Again and again it is worth waiting for.
func TestPauseMovesNothing(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{ms(60), ms(100), ms(160), ms(220)} {
		for _, every := range []time.Duration{time.Hour, time.Second} {
			if every == time.Second && pause > ms(160) {
				continue // an outage, each of which is forgotten
			}
			l := newLine(1)
			l.path = func(sent time.Duration) (time.Duration, bool) {
				if since := (sent - 8*time.Second) % every; sent >= 8*time.Second && since < pause {
					return pause - since, false
				}
				return 0, false
			}
			moved := l.run(20*time.Second).Delay - ms(5)
			if stays := moved.Abs() <= ms(1); stays != (every == time.Hour) {
				t.Errorf("%v every %v: the delay has moved by %v", pause, every, moved)
			}
		}
	}
}

// What is begun is finished: the delay that packets had does, but one that has left it does
// not stop short of the next, where it would have moved for nothing.
func TestNoMoveStopsHalfWay(t *testing.T) {
	t.Parallel()
	some := false
	for phase := 1.0; phase < 20; phase++ {
		l := newLine(1)
		l.phase = ms(phase)
		before := l.run(5 * time.Second)
		l.begin = l.begin.Add(5 * time.Second)
		l.copies = 1
		after := l.run(10 * time.Second)
		moved := (after.Delay - before.Delay).Abs()
		some = some || moved > frame/2
		if moved%frame > ms(2.5) && moved%frame < frame-ms(0.5) {
			t.Errorf("phase %v ms: the delay has moved by %v", phase, moved)
		}
	}
	if !some {
		t.Error("nothing has moved")
	}
}

// Before the first word the delay is in whole frames, with room for copies; once there are
// words, one that has come to lack some of that does.
func TestWhatIsHeldDoesOnlyInSpeech(t *testing.T) {
	for silent, want := range map[bool]int{true: 2 * audio.FrameSamples, false: 280} {
		a := arrivals{frame: audio.FrameSamples}
		for n := range 100 {
			a.add(audio.Duration(n*a.frame), 0, 0, false, silent)
		}
		a.weigh(224, 4000, 280, false)
		if a.grow != want {
			t.Errorf("nothing was said: %v: the delay is to be %d", silent, a.grow)
		}
	}
}

// What copies had to spare before the first word is not taken from them after a minute.
func TestRoomForCopiesStays(t *testing.T) {
	t.Parallel()
	for phase := 1.0; phase < 20; phase += 0.5 {
		l := newLine(1)
		l.phase, l.copies = ms(phase), 1
		before := l.quietly()
		if after := l.run(100 * time.Second); after.Shrunk != before.Shrunk || after.Stretched != before.Stretched {
			t.Errorf("phase %v ms: %+v", phase, after)
		}
	}
}

// To stay is never worth more than nothing: what it costs later counts from the first.
func TestNoDebtOfRegret(t *testing.T) {
	a := arrivals{frame: audio.FrameSamples}
	for n := range 100 {
		a.add(audio.Duration(n*a.frame), 0, 0, false, false)
		a.worthIt(-moveWorth)
	}
	if a.regret != 0 {
		t.Errorf("%v", a.regret)
	}
}

// What was paid for is paid for: a delay that has grown, and shrunk again when there was
// no reason any more, does not grow for the next few late packets.
func TestRegretEnds(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	l.path = func(sent time.Duration) (time.Duration, bool) {
		often := sent > 5*time.Second && sent < 100*time.Second && sent%(4*time.Second) < frame
		few := sent >= 230*time.Second && sent < 238*time.Second && sent%(4*time.Second) < frame
		if often || few {
			return ms(20), false
		}
		return 0, false
	}
	if s := l.run(250 * time.Second); s.Stretched > ms(23) || s.Shrunk < ms(17) || s.Delay > ms(8) {
		t.Errorf("%+v", s)
	}
}
