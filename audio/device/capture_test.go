package device

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

// Pieces of any size become frames, and no sample is lost on the way.
func TestCaptureReframes(t *testing.T) {
	var want, got []int16
	c := newCapture("default")
	c.last = time.Now()
	for i := range 200 {
		var piece []int16
		for range i * 97 % 331 {
			piece = append(piece, int16(len(want)+len(piece)))
		}
		want = append(want, piece...)
		c.push(littleEndian(piece))
		for c.n >= audio.FrameSamples {
			f := make(audio.Frame, audio.FrameSamples)
			if err := c.ReadFrame(f); err != nil {
				t.Fatal(err)
			}
			got = append(got, f[:]...)
		}
	}
	if len(want)-len(got) >= audio.FrameSamples || !slices.Equal(got, want[:len(got)]) {
		t.Errorf("%d samples came out of %d, or others", len(got), len(want))
	}
}

// A first piece that is a little too short does not make all of the call late:
// what is always left over is dropped, once. A little more or less is not.
func TestCaptureCatchesUp(t *testing.T) {
	for first, want := range map[int]int{audio.FrameSamples - 8: 0, worthwhile: 0, worthwhile - 1: worthwhile - 1} {
		synctest.Test(t, func(t *testing.T) {
			c := newCapture("default")
			f := make(audio.Frame, audio.FrameSamples)
			for range 100 { // it is still being switched on
				if err := c.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the second time after a pause
				c.push(make([]byte, 2*first))
				for range 2 * steady {
					time.Sleep(audio.FrameDuration)
					c.push(make([]byte, 2*audio.FrameSamples))
					if err := c.ReadFrame(f); err != nil {
						t.Fatal(err)
					}
				}
				if c.n != want {
					t.Errorf("a first piece of %d: %d samples are left over for ever", first, c.n)
				}
				c.n = 0
				time.Sleep(falter + audio.FrameDuration)
			}
		})
	}
}

// A piece that comes to wait for the next delivery is left out where nobody speaks; else
// only in the first second of sound.
func TestCaptureDoesNotJumpInMidWord(t *testing.T) {
	const odd = audio.FrameSamples - 60 // samples; what fills no frame
	for _, c := range []struct {
		name   string
		before int // frames before the odd piece
		spoken int // frames with words
		sample int16
		want   int // samples that wait
	}{
		{"a quiet room", 100, 600, loud - 1, 0},
		{"words", 100, 600, loud, odd},
		{"words, below zero", 100, 600, -loud, odd},
		{"words in the first second", 10, 600, loud, 0},
		{"a breath", 100, 550, loud, odd},
		{"words that are over", 100, 400, loud, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newCapture("default")
			f := make(audio.Frame, audio.FrameSamples)
			said := c.sample
			deliver := func(n int) {
				pcm := make([]int16, n)
				for i := range pcm {
					pcm[i] = said
				}
				m.push(littleEndian(pcm))
			}
			m.forget()
			for i := range 600 {
				if i == c.spoken {
					said = 0
				}
				time.Sleep(audio.FrameDuration)
				deliver(audio.FrameSamples)
				if i == c.before {
					deliver(odd)
				}
				if err := m.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
			}
			if m.n != c.want {
				t.Errorf("%s: %d samples wait for good, and not %d", c.name, m.n, c.want)
			}
		})
	}
}

// What nobody has read is dropped, oldest first.
func TestCaptureDropsTheOldest(t *testing.T) {
	for _, piece := range []int{1, 80, 160, 441, longest, longest + 5000} {
		synctest.Test(t, func(t *testing.T) {
			c := newCapture("default")
			last := int16(0)
			for range 2*(unread+longest)/piece + 3 {
				time.Sleep(apart)
				last = pushCount(c, last, piece)
			}
			if most := unread + min(piece, longest); c.n > most {
				t.Errorf("pieces of %d: %d samples wait", piece, c.n)
			}
			checkCount(t, c, last)
		})
	}
}

// What a machine that stood still for a moment delivers at once, in pieces, is all there:
// its reader stood still too, and what is dropped is missing to the echo canceller.
func TestCaptureKeepsALump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("default")
		last := int16(0)
		for range 10 {
			last = pushCount(c, last, audio.FrameSamples)
		}
		if c.n != 10*audio.FrameSamples {
			t.Errorf("%d samples of 1600 are left", c.n)
		}
		for range 10 {
			last = pushCount(c, last, audio.FrameSamples)
		}
		checkCount(t, c, last)
		if c.n != len(c.buf) {
			t.Errorf("%d samples wait", c.n)
		}
		time.Sleep(apart)
		last = pushCount(c, last, audio.FrameSamples)
		checkCount(t, c, last)
		if c.n != unread+audio.FrameSamples {
			t.Errorf("%d samples wait, although they had a reader", c.n)
		}
	})
}

// pushCount pushes n samples that count on from last.
func pushCount(c *capture, last int16, n int) int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		last++
		pcm[i] = last
	}
	c.push(littleEndian(pcm))
	return last
}

func checkCount(t *testing.T, c *capture, last int16) {
	t.Helper()
	for i, x := range c.buf[:c.n] {
		if want := last - int16(c.n-1-i); x != want {
			t.Fatalf("sample %d of %d is %d, want %d", i, c.n, x, want)
		}
	}
}

// Issue 2, part 6: "until its answered arrives not one sample of the microphone
// is sent". Nor after it, of those from before.
func TestCaptureForgetsWhatNobodyListenedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("default")
		for range 10 {
			c.push(bytes.Repeat([]byte{7, 0}, audio.FrameSamples))
		}
		f := make(audio.Frame, audio.FrameSamples)
		if err := c.ReadFrame(f); err != nil || !slices.Equal(f, frameOf()) {
			t.Errorf("heard %d, %v", f[0], err)
		}
		c.push(bytes.Repeat([]byte{8, 0}, audio.FrameSamples))
		if err := c.ReadFrame(f); err != nil || f[0] != 8 || f[159] != 8 {
			t.Errorf("and then %d, %v", f[0], err)
		}
	})
	// What comes first was recorded before, but for its end.
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("default")
		c.forget()
		time.Sleep(5 * time.Millisecond)
		last := pushCount(c, 0, 1000)
		checkCount(t, c, last)
		if most := audio.Samples(5 * time.Millisecond); c.n != most {
			t.Errorf("%d samples, and of the %d ms since then there are %d", c.n, 5, most)
		}
	})
}

// A sound server that stands still for a second, and then delivers that second: silence
// has stood in for most of it, and all that follows would be later by that if it were
// heard as well.
func TestCaptureIsHeardOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("default")
		c.release = func() {}
		samples := 0
		f := make(audio.Frame, audio.FrameSamples)
		begin := time.Now()
		read := func() {
			if err := c.ReadFrame(f); err != nil {
				t.Fatal(err)
			}
			samples += len(f)
		}
		for range 50 {
			time.Sleep(audio.FrameDuration)
			c.push(make([]byte, 2*audio.FrameSamples))
			read()
		}
		for stood := time.Now(); time.Since(stood) < time.Second; {
			read()
		}
		for range 50 {
			c.push(make([]byte, 2*audio.FrameSamples))
		}
		for c.n >= audio.FrameSamples {
			read()
		}
		if late := audio.Duration(samples) - time.Since(begin); late > audio.FrameDuration {
			t.Errorf("what follows is heard %v later", late)
		}
	})
}

// A device that delivers nothing more is silent for a while, and then lost, with a
// hint.
func TestCaptureStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("headset")
		loud := bytes.Repeat([]byte{7, 0}, audio.FrameSamples)
		c.push(loud)
		f := make(audio.Frame, audio.FrameSamples)
		if err := c.ReadFrame(f); err != nil { // forgets what was before
			t.Fatal(err)
		}
		c.push(loud)
		if err := c.ReadFrame(f); err != nil || f[0] != 7 {
			t.Fatal(f[0], err)
		}
		begin := time.Now()
		var err error
		for frames := 0; err == nil; frames++ {
			f[0] = 1
			switch err = c.ReadFrame(f); {
			case err != nil:
			case !slices.Equal(f, frameOf()):
				t.Fatal("it is not silent")
			case frames == 0 && time.Since(begin) != falter, frames > 0 && time.Since(begin) != falter+time.Duration(frames)*audio.FrameDuration:
				t.Fatalf("frame %d came after %v", frames, time.Since(begin))
			}
		}
		var e *Error
		if !errors.As(err, &e) || e.Spec != "headset" || e.File || e.Hint == "" {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(begin); took < stall || took > stall+audio.FrameDuration {
			t.Errorf("that took %v", took)
		}
	})
}

func TestCaptureEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := 0
		lost, closed := newCapture("a"), newCapture("b")
		for _, c := range []*capture{lost, closed} {
			c.release = func() { released++ }
		}
		ends := make(chan error)
		for _, c := range []*capture{lost, closed} {
			go func() {
				f := make(audio.Frame, audio.FrameSamples)
				ends <- c.ReadFrame(f)
			}()
		}
		synctest.Wait()
		lost.end.lose(errGone)
		lost.end.lose(errStalled)
		if err := <-ends; !errors.Is(err, errGone) {
			t.Errorf("lost: %v", err)
		}
		closed.Close()
		closed.Close()
		if err := <-ends; !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		lost.Close()
		if released != 2 {
			t.Errorf("released %d times", released)
		}
	})
}

// What opens too late is released, and nobody waits for it.
func TestWithinGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		released := 0
		begin := time.Now()
		_, err := within(time.Second, func() (int, error) {
			time.Sleep(time.Minute)
			return 7, nil
		}, func(v int) { released += v })
		if err == nil || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if released != 7 {
			t.Error("it was not released")
		}
	})
}

func BenchmarkCapture(b *testing.B) {
	c := newCapture("default")
	raw := make([]byte, 2*audio.FrameSamples)
	b.ReportAllocs()
	for b.Loop() {
		f := make(audio.Frame, audio.FrameSamples)
		c.push(raw)
		if err := c.ReadFrame(f); err != nil {
			b.Fatal(err)
		}
	}
}

// A microphone that is still being switched on gives silence at the pace of
// sound, and one that never comes on is lost.
func TestStartingMicrophoneIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("slow")
		c.release = func() {}
		begin := time.Now()
		f := make(audio.Frame, audio.FrameSamples)
		for n := range 50 {
			f[0] = 1
			if err := c.ReadFrame(f); err != nil || !slices.Equal(f, frameOf()) {
				t.Fatalf("frame %d: %v, %v", n, f[0], err)
			}
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("50 frames of silence took %v", took)
		}
		c.push(bytes.Repeat([]byte{7, 0}, audio.FrameSamples))
		if err := c.ReadFrame(f); err != nil || f[0] != 7 {
			t.Errorf("after the first sound: %d, %v", f[0], err)
		}
		var lost *Error
		var err error
		for begin = time.Now(); err == nil; err = c.ReadFrame(f) {
		}
		if took := time.Since(begin); !errors.As(err, &lost) || took < stall || took > stall+audio.FrameDuration {
			t.Errorf("a device that stops: %v after %v", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newCapture("dead")
		c.release = func() {}
		begin := time.Now()
		f := make(audio.Frame, audio.FrameSamples)
		var err error
		for err == nil {
			err = c.ReadFrame(f)
		}
		var lost *Error
		if took := time.Since(begin); !errors.As(err, &lost) || took < stall || took > stall+time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A device that delivers 20 ms at once, in pieces, the first one of them short: at
// first each frame is completed by the next delivery only, 20 ms after most of it was
// there; soon by its own. What was recorded is counted, so that a sample says when.
func TestCaptureWaitsForNoDelivery(t *testing.T) {
	for _, pieces := range [][]int{{160}, {1, 79, 1, 79}, {80, 80}, {159, 1}, {161, 159}} {
		for _, first := range []int{1, 40, 79, 80, 120, 159, 160} {
			synctest.Test(t, func(t *testing.T) {
				c := newCapture("default")
				c.release = func() {}
				var next atomic.Int32
				deliver := func(n int) {
					pcm := make([]int16, n)
					for i := range pcm {
						pcm[i] = int16(next.Add(1))
					}
					c.push(littleEndian(pcm))
				}
				waits := make(chan int, 200) // samples between a frame's last and the newest
				go func() {
					f := make(audio.Frame, audio.FrameSamples)
					for c.ReadFrame(f) == nil {
						if f[159] != 0 {
							waits <- int(int16(next.Load()) - f[159])
						}
					}
					close(waits)
				}()
				synctest.Wait()
				deliver(first)
				for range 100 {
					time.Sleep(audio.FrameDuration)
					for _, n := range pieces {
						deliver(n)
						synctest.Wait() // the reader is as quick as can be
					}
				}
				c.Close()
				all := []int{}
				for w := range waits {
					all = append(all, w)
				}
				// The newest when a frame is complete is its own last, or a piece more.
				for i, w := range all[len(all)-40:] {
					if w >= worthwhile+2 {
						t.Fatalf("pieces %v, %d at first: %d samples wait behind frame %d of the last", pieces, first, w, i)
					}
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.n >= worthwhile+2 {
					t.Errorf("pieces %v, %d at first: %d samples wait for the next delivery", pieces, first, c.n)
				}
			})
		}
	}
}
