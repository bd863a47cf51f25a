package stretch_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio"
	"securecall/audio/speech"
	"securecall/audio/stretch"
)

// tone is a voice of a fixed pitch: a period of n samples, with harmonics.
func tone(length, n int) []int16 {
	pcm := make([]int16, length)
	for i := range pcm {
		x := 2 * math.Pi * float64(i) / float64(n)
		pcm[i] = int16(4000*math.Sin(x) + 3000*math.Sin(2*x+1) + 2000*math.Sin(3*x+2))
	}
	return pcm
}

// Whole periods are found, wherever one looks, forwards and backwards.
func TestFindsThePitchPeriod(t *testing.T) {
	for n := stretch.MinJump; n <= stretch.MaxJump; n++ {
		pcm := tone(1000, n)
		for at := 200; at < 300; at += 17 {
			jump, likeness := stretch.Find(pcm, at, stretch.MinJump, stretch.MaxJump)
			if jump%n != 0 || likeness < 0.999 {
				t.Fatalf("period %d: jump %d, likeness %.4f", n, jump, likeness)
			}
			jump, likeness = stretch.Find(pcm, at, -stretch.MaxJump, -stretch.MinJump)
			if jump%n != 0 || likeness < 0.999 {
				t.Fatalf("period %d: jump %d, likeness %.4f", n, jump, likeness)
			}
		}
	}
}

// A splice by a whole period of a periodic sound cannot be heard: what comes
// out is the sound going on.
func TestSpliceOfAPeriodicSound(t *testing.T) {
	for _, n := range []int{20, 53, 80, 128} {
		pcm := tone(1000, n)
		for _, sign := range []int{-1, 1} {
			jump, likeness := stretch.Find(pcm, 240, min(sign*stretch.MinJump, sign*stretch.MaxJump), max(sign*stretch.MinJump, sign*stretch.MaxJump))
			out := make(audio.Frame, audio.FrameSamples)
			stretch.Splice(out[:], pcm, 200, 40, jump, likeness)
			for i, s := range out {
				if d := int(s) - int(pcm[200+i]); d < -30 || d > 30 {
					t.Fatalf("period %d, jump %d: sample %d is off by %d", n, jump, i, d)
				}
			}
			// What follows the splice goes on from there.
			if !slices.Equal(out[40+stretch.Overlap:], pcm[240+jump+stretch.Overlap:360+jump]) {
				t.Fatalf("period %d: the rest is not what comes jump samples further on", n)
			}
		}
	}
}

// Noise keeps its power where it is spliced, as speech does that is not voiced.
func TestSpliceKeepsThePower(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var before, after float64
	for range 300 {
		pcm := make([]int16, 600)
		for i := range pcm {
			pcm[i] = int16(r.NormFloat64() * 3000)
		}
		jump, likeness := stretch.Find(pcm, 200, stretch.MinJump, stretch.MaxJump)
		var out [stretch.Overlap]int16
		stretch.Splice(out[:], pcm, 200, 0, jump, likeness)
		for i, s := range out {
			after += float64(s) * float64(s)
			before += (float64(pcm[200+i])*float64(pcm[200+i]) + float64(pcm[200+jump+i])*float64(pcm[200+jump+i])) / 2
		}
	}
	if dB := 10 * math.Log10(after/before); math.Abs(dB) > 0.5 {
		t.Errorf("the power changes by %.2f dB", dB)
	}
}

// Speech, spliced where and how it is found best, has no step between samples
// that is larger than those it had.
func TestNoClicks(t *testing.T) {
	pcm := speech.Samples()
	for at := 400; at+600 < len(pcm); at += 97 {
		for _, r := range [][2]int{{-stretch.MaxJump, -stretch.MinJump}, {stretch.MinJump, stretch.MaxJump}} {
			jump, likeness := stretch.Find(pcm, at, r[0], r[1])
			out := make(audio.Frame, audio.FrameSamples)
			stretch.Splice(out[:], pcm, at, 0, jump, likeness)
			had, has := 0, 0
			for i := at - 200; i < at+400; i++ {
				had = max(had, step(pcm[i], pcm[i+1]))
			}
			for i := range len(out) - 1 {
				has = max(has, step(out[i], out[i+1]))
			}
			has = max(has, step(pcm[at-1], out[0]), step(out[len(out)-1], pcm[at+len(out)+jump]))
			if has > had*5/4+8 {
				t.Errorf("at %d, jump %d, likeness %.2f: a step of %d, in the speech %d", at, jump, likeness, has, had)
			}
		}
	}
}

func step(a, b int16) int { return max(int(a)-int(b), int(b)-int(a)) }

// What no speech is: silence, full-scale square waves, a constant. Nothing
// overflows, and what is constant stays so.
func TestAnySound(t *testing.T) {
	for name, at := range map[string]func(i int) int16{
		"silence":  func(int) int16 { return 0 },
		"constant": func(int) int16 { return math.MinInt16 },
		"square": func(i int) int16 {
			if i/7%2 == 0 {
				return math.MinInt16
			}
			return math.MaxInt16
		},
		"one click": func(i int) int16 { return map[bool]int16{true: math.MaxInt16}[i == 300] },
		"onset":     func(i int) int16 { return int16(max(0, i-280) * 10) },
	} {
		pcm := make([]int16, 700)
		for i := range pcm {
			pcm[i] = at(i)
		}
		for _, r := range [][2]int{{-stretch.MaxJump, -stretch.MinJump}, {stretch.MinJump, stretch.MaxJump}, {0, 0}} {
			jump, likeness := stretch.Find(pcm, 280, r[0], r[1])
			if jump < r[0] || jump > r[1] || !(likeness >= -1 && likeness <= 1) {
				t.Errorf("%s: jump %d, likeness %v", name, jump, likeness)
			}
			out := make(audio.Frame, audio.FrameSamples)
			stretch.Splice(out[:], pcm, 280, 0, jump, likeness)
			if name == "silence" || name == "constant" {
				if !slices.Equal(out[:], pcm[:len(out)]) || likeness != 1 {
					t.Errorf("%s: it does not stay so; likeness %v", name, likeness)
				}
			}
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	pcm := speech.Samples()[:1000]
	out := make(audio.Frame, audio.FrameSamples)
	if n := testing.AllocsPerRun(100, func() {
		jump, likeness := stretch.Find(pcm, 200, stretch.MinJump, stretch.MaxJump)
		stretch.Splice(out[:], pcm, 200, 0, jump, likeness)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFindAndSplice(b *testing.B) {
	pcm := speech.Samples()[8000:9000]
	out := make(audio.Frame, audio.FrameSamples)
	b.ReportAllocs()
	for b.Loop() {
		jump, likeness := stretch.Find(pcm, 200, stretch.MinJump, stretch.MaxJump)
		stretch.Splice(out[:], pcm, 200, 0, jump, likeness)
	}
}
