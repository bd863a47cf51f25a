package playout

import (
	"slices"
	"testing"
	"time"

	"securecall/audio"
)

// RFC 2198: what is lost and repeated k packets later is heard, once the delay
// has grown until the copies are in time; and it shrinks again when nothing is
// lost any more, the last frame of it after a minute.
func TestCopiesAreWaitedFor(t *testing.T) {
	t.Parallel()
	for _, copies := range []int{1, 3} {
		for _, share := range []float64{0.03, 0.1, 0.2} {
			l := newLine(uint64(copies))
			l.copies = copies
			clean := l.path
			l.path = l.lossy(l.path, share, 1)
			all := l.talk(0, 20*time.Second)
			l.play(all, 20*time.Second)
			s := l.b.Stats()
			gone := 0 // the packet and its copy
			for i, found := range l.found {
				if i > 5*50 && !found {
					gone++
				}
			}
			if least := time.Duration(copies) * frame; s.Delay < least || s.Delay > least+ms(30) {
				t.Errorf("%d later, loss %v: %+v", copies, share, s)
			}
			if most := 2*750*share*share + 6; float64(gone) > most {
				t.Errorf("%d later, loss %v: %d frames of 15 s not heard, more than %.0f: %+v", copies, share, gone, most, s)
			}
			if s.Late > 2 || s.Recovered < uint64(share*600) || s.Duplicated != 0 {
				t.Errorf("%d later, loss %v: %+v", copies, share, s)
			}
			l.begin, l.path, l.copies = l.begin.Add(20*time.Second), clean, 0
			l.play(l.talk(0, 90*time.Second), 90*time.Second)
			if s := l.b.Stats(); s.Delay > ms(11) {
				t.Errorf("%d later, nothing for 90 s: %+v", copies, s)
			}
		}
	}
}

// quietly lets two seconds pass in which all comes, and nothing is said.
func (l *line) quietly() (before Stats) {
	l.voice = make([]int16, 2*audio.SampleRate)
	before = l.run(2 * time.Second)
	l.voice, l.begin = voice, l.begin.Add(2*time.Second)
	return before
}

// The average of what comes creeps by a few ms, by the clocks and the schedulers of both
// ends. What is held may come to lack so much of the delay for copies, and the speech
// stays as it is.
func TestCreepMovesNothing(t *testing.T) {
	t.Parallel()
	l := newLine(1)
	l.copies = 1
	l.quietly()
	l.path = func(sent time.Duration) (time.Duration, bool) { return ms(0.05 * sent.Seconds()), false }
	l.path = l.lossy(l.path, 0.01, 1)
	before := l.b.Stats()
	if s := l.run(50 * time.Second); s.Stretched+s.Shrunk != before.Stretched+before.Shrunk || s.Recovered < 15 || s.Lost > 2 {
		t.Errorf("%+v", s)
	}
}

// Before the first word there is room for all copies that come; later for those of older
// packets only where so many fill something that they are worth it.
func TestFewOldCopiesMoveNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		when   string
		before int           // copies while nothing is said
		every  time.Duration // a packet is lost
		moved  bool
		lost   uint64 // for good, at most; one between the two
	}{
		{"from the beginning", 3, 7 * time.Second, false, 1},
		{"from the first word on, few", 0, 7 * time.Second, false, 3},
		{"from the first word on, many", 0, time.Second, true, 15},
	} {
		l := newLine(1)
		l.copies = c.before
		before := l.quietly()
		l.copies = 3
		l.path = func(sent time.Duration) (time.Duration, bool) { return 0, sent%c.every >= c.every-frame }
		s := l.run(20 * time.Second)
		if moved := s.Stretched+s.Shrunk > before.Stretched+before.Shrunk; moved != c.moved || s.Lost > c.lost {
			t.Errorf("%s: %+v", c.when, s)
		}
	}
}

// A loss that nothing makes good is no reason to wait.
func TestTrueLossIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for _, run := range []float64{1, 4} {
		l := newLine(3)
		l.path = l.lossy(l.path, 0.2, run)
		if s := l.run(time.Minute); s.Delay > ms(6) || s.Stretched+s.Shrunk != 0 || s.Late != 0 {
			t.Errorf("runs of %v: %+v", run, s)
		}
	}
}

// Copies where nothing is lost change nothing, not even if they come first.
func TestCopiesWithoutLoss(t *testing.T) {
	l := newLine(1)
	l.copies = 1
	l.path = l.uniform(ms(30), ms(12))
	all := l.talk(0, 20*time.Second)
	l.play(all, 20*time.Second)
	s := l.b.Stats()
	if s.Recovered > 20 || s.Late > 1 || s.Duplicated != 0 || s.Received < 995 || s.Delay > ms(46) {
		t.Errorf("%+v", s)
	}
}

// A copy overwrites nothing, and what is filled is what the copy holds.
func TestRecoverFillsHolesOnly(t *testing.T) {
	now := time.Unix(0, 0)
	b := New(Config{Min: ms(100)})
	repeat := func(v byte, n int) []byte { return slices.Repeat([]byte{v}, n) }
	linear := func(v byte) int16 {
		var pcm [1]int16
		audio.PCMU.Decode(pcm[:], []byte{v})
		return pcm[0]
	}
	b.Push(now, Packet{Seq: 1, Timestamp: 0, Payload: repeat(0x20, 160)})
	b.Recover(now, 80, 160, audio.PCMU, repeat(0x30, 160)) // half of it has come
	b.Recover(now, 80, 160, audio.PCMU, repeat(0x40, 160)) // nothing of it is missing
	b.Push(now, Packet{Seq: 3, Timestamp: 320, Payload: repeat(0x20, 160)})
	var heard []int16
	for range 12 {
		f := make(audio.Frame, audio.FrameSamples)
		now = now.Add(frame)
		b.Pop(now, f)
		heard = append(heard, f[:]...)
	}
	want := slices.Concat(slices.Repeat([]int16{linear(0x20)}, 160), slices.Repeat([]int16{linear(0x30)}, 80))
	if index(heard, want) < 0 {
		t.Error("what is heard is not the packet and then the copy")
	}
	if s := b.Stats(); s.Recovered != 1 || s.Received != 2 || s.Late+s.Duplicated+s.Refused != 0 {
		t.Errorf("%+v", s)
	}
}
