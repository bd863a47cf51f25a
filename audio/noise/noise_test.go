package noise

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"securecall/audio/fft"
)

// After two seconds a steady background is 12 dB weaker and more in pauses, and
// what is said is nearer to what it was.
func TestBackgrounds(t *testing.T) {
	clean := talk(20)
	quiet := pauses(clean)
	for _, c := range []struct {
		name   string
		weaker float64 // dB, in pauses
		nearer float64 // dB
	}{
		{"white", 12, 2.5},
		{"pink", 12, 2},
		{"car", 12, 0.3},
		{"babble", 0.5, 0.2},
	} {
		for _, snr := range []float64{20, 10, 5} {
			t.Run(fmt.Sprint(c.name, " ", snr), func(t *testing.T) {
				t.Parallel()
				heard := mix(clean, backgrounds[c.name](len(clean)), voice-snr)
				out := run(heard)
				weaker := level(only(heard, quiet, 2)) - level(only(out, quiet, 2))
				before, after := distance(clean, heard, 2), distance(clean, out, 2)
				t.Logf("%.1f dB weaker, distance %.2f -> %.2f", weaker, before, after)
				if weaker < c.weaker {
					t.Errorf("%.1f dB weaker in pauses", weaker)
				}
				if snr == 10 && before-after < c.nearer {
					t.Errorf("what is said is %.2f dB off, and was %.2f dB", after, before)
				}
			})
		}
	}
}

// Where there is no background nothing is changed, bit for bit.
func TestNoBackground(t *testing.T) {
	clean := talk(20)
	loud, offset, rings := slices.Clone(clean), slices.Clone(clean), make([]int16, len(clean))
	for i := range clean {
		loud[i] = round(2 * float64(clean[i]))
		offset[i] += 500
		if i/second%5 == 0 {
			rings[i] = round(8000 * math.Sin(2*math.Pi*440*float64(i)/second))
		}
	}
	digits := make([]int16, len(clean))
	for i := range digits {
		if i/(second/10)%2 == 0 {
			digits[i] = round(4000*math.Sin(2*math.Pi*770*float64(i)/second) + 4000*math.Sin(2*math.Pi*1336*float64(i)/second))
		}
	}
	var hasty []int16
	for i, silent := range pauses(clean) {
		if !silent {
			hasty = append(hasty, clean[i])
		}
	}
	for i := range hasty {
		// In a room whose walls answer.
		hasty[i] = round(1.4*float64(hasty[i]) + 0.2*float64(hasty[max(0, i-500)]) + 0.1*float64(hasty[max(0, i-900)]))
	}
	hasty = hasty[:len(hasty)/frame*frame]
	for name, in := range map[string][]int16{
		"speech": clean, "without pauses": hasty, "loud speech": loud, "with an offset": offset, "silence": make([]int16, len(clean)),
		"with a background of -68 dB": mix(clean, white(len(clean)), -68),
		"ringing":                     rings, "digits": digits,
	} {
		if out := run(in); !slices.Equal(out, in) {
			t.Errorf("%s: changed", name)
		}
	}
}

// A background that ends: nothing is changed any more.
func TestBackgroundEnds(t *testing.T) {
	clean := talk(20)
	w := white(len(clean))
	clear(w[8*second:])
	in := mix(clean, w, -40)
	if out := run(in); level(out[4*second:8*second]) > level(in[4*second:8*second])-0.1 || !slices.Equal(out[12*second:], in[12*second:]) {
		t.Error("four seconds after the background has ended it is still changed")
	}
}

// A background becomes louder or weaker at once: two seconds later it is known.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		from, to float64 // dB of full scale
		after    float64 // seconds
	}{{-100, -40, 2}, {-50, -30, 2}, {-45, -39, 2}, {-30, -50, 0.3}} {
		w := white(10 * second)
		for i := range w {
			if i < 5*second {
				w[i] *= math.Pow(10, (c.from-c.to)/20)
			}
		}
		in := mix(make([]int16, len(w)), w, c.to)
		out := run(in)
		at := int((5 + c.after) * second)
		weaker := level(in[at:at+second/2]) - level(out[at:at+second/2])
		if weaker < 12 || weaker > reduction+1 {
			t.Errorf("from %v to %v dB: %.1f dB weaker after %v s", c.from, c.to, weaker, c.after)
		}
	}
}

// What is said after a pause is heard from its first 10 ms on.
func TestOnsets(t *testing.T) {
	clean := talk(20)
	quiet := pauses(clean)
	for name, b := range backgrounds {
		out := run(mix(clean, b(len(clean)), voice-15))
		sum, n := 0.0, 0
		for i := 3 * second; i+2*Block <= len(clean); i += Block {
			if said := level(clean[i : i+Block]); said > voice-6 && slices.Contains(quiet[i-Block:i], true) {
				sum += level(out[i:i+Block]) - said
				n++
			}
		}
		if lost := -sum / float64(n); n < 3 || lost > 2 {
			t.Errorf("%s: %.1f dB of the first 10 ms of %d onsets are lost", name, lost, n)
		}
	}
}

// A background does not stay as loud as it was for long after what was said.
func TestPausesBegin(t *testing.T) {
	clean := talk(20)
	for i := range clean {
		if i%(3*second) > 2*second {
			clean[i] = 0
		}
	}
	in := mix(clean, white(len(clean)), voice-15)
	out := run(in)
	for i := 5*second + second/4; i < len(in); i += 3 * second {
		if weaker := level(in[i:i+second/10]) - level(out[i:i+second/10]); weaker < 12 {
			t.Errorf("a quarter of a second after %d s of speech the background is %.1f dB weaker", i/second, weaker)
		}
	}
}

// What is left of a background sounds as it did: its spectrum has the same shape,
// and no bin stands out for a moment, which would be musical noise.
func TestCharacter(t *testing.T) {
	in := mix(make([]int16, 12*second), pink(12*second), -40)
	out := run(in)
	f := fft.NewReal(span)
	var x [span]float64
	var s [bins]complex128
	moments := func(pcm []int16, k int) (mean, square float64) {
		n := 0.0
		for i := 3 * second; i+span <= len(pcm); i += span {
			for j := range x {
				x[j] = float64(pcm[i+j]) * math.Pow(math.Sin(math.Pi*float64(j)/span), 2)
			}
			f.Forward(x[:], s[:])
			p := real(s[k])*real(s[k]) + imag(s[k])*imag(s[k])
			mean, square, n = mean+p, square+p*p, n+1
		}
		return mean / n, square / n
	}
	for k := 8; k < 110; k += 6 {
		p0, q0 := moments(in, k)
		p1, q1 := moments(out, k)
		if weaker := 10 * math.Log10(p0/p1); math.Abs(weaker-reduction) > 2 {
			t.Errorf("bin %d: %.1f dB weaker", k, weaker)
		}
		if more := q1 / (p1 * p1) / (q0 / (p0 * p0)); more > 1.6 {
			t.Errorf("bin %d: the kurtosis is %.2f times what it was", k, more)
		}
	}
}

// Digits are heard through a background as they were; a tone that does not end is
// taken for a hum.
func TestTones(t *testing.T) {
	tone := func(pcm []int16, hz float64) float64 {
		var re, im float64
		for i, v := range pcm {
			sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / second)
			re, im = re+float64(v)*cos, im+float64(v)*sin
		}
		return 20 * math.Log10(math.Hypot(re, im)/float64(len(pcm)))
	}
	digits, hum := make([]int16, 8*second), make([]int16, 8*second)
	for i := range digits {
		if i/(second/10)%2 == 0 && i > 3*second {
			digits[i] = round(3000*math.Sin(2*math.Pi*770*float64(i)/second) + 3000*math.Sin(2*math.Pi*1336*float64(i)/second))
		}
		hum[i] = round(3000 * math.Sin(2*math.Pi*440*float64(i)/second))
	}
	in := mix(digits, white(len(digits)), -45)
	out := run(in)
	for i := 4 * second; i+second/5 < len(in); i += second / 5 {
		for _, hz := range []float64{770, 1336} {
			if d := tone(out[i:i+second/10], hz) - tone(in[i:i+second/10], hz); math.Abs(d) > 1.5 {
				t.Errorf("a digit's %v Hz at %d ms: %+.1f dB", hz, i*1000/second, d)
			}
		}
	}
	out = run(hum)
	if !slices.Equal(out[:second], hum[:second]) {
		t.Error("a tone of a second is changed")
	}
	if d := level(hum[4*second:]) - level(out[4*second:]); d < 13 || d > 16 {
		t.Errorf("a hum is %.1f dB weaker", d)
	}
}

// Nothing comes later than it came.
func TestNoDelay(t *testing.T) {
	clean := talk(20)
	in := mix(clean, white(len(clean)), voice-15)
	out := run(in)
	best, at := 0.0, 0
	for lag := -20; lag <= 20; lag++ {
		sum := 0.0
		for i := 3 * second; i < len(in)-20; i++ {
			sum += float64(clean[i]) * float64(out[i+lag])
		}
		if sum > best {
			best, at = sum, lag
		}
	}
	if at < -1 || at > 1 {
		t.Errorf("it comes %d samples later", at)
	}
}

// Whatever comes, what goes out is good again afterwards.
func TestHostileSound(t *testing.T) {
	in := mix(make([]int16, 20*second), white(20*second), -40)
	for i := 4 * second; i < 7*second; i++ {
		in[i] = int16(32767 - 65535*(i/37%2))
	}
	for i := 7 * second; i < 9*second; i++ {
		in[i] = -32768
	}
	clear(in[9*second : 11*second])
	out := run(in)
	if weaker := level(in[14*second:]) - level(out[14*second:]); weaker < 12 {
		t.Errorf("%.1f dB weaker afterwards", weaker)
	}
	// What fills the scale is weakened, and does not wrap around.
	for i := 4 * second; i < 7*second; i++ {
		if in[i] > 0 != (out[i] > 0) && (out[i] > 20000 || out[i] < -20000) {
			t.Fatalf("sample %d: %d became %d", i, in[i], out[i])
		}
	}
}

// How the sound is cut up makes no difference, and what is left over is not touched.
func TestFrames(t *testing.T) {
	in := mix(talk(4), white(4*second), -40)
	want := run(in)
	s, got := New(), slices.Clone(in)
	for i := 0; i < len(got); i += Block {
		s.Near(got[i : i+Block])
	}
	if !slices.Equal(got, want) {
		t.Error("frames of 10 ms give another sound than frames of 20 ms")
	}
	rest := []int16{1, -2, 3}
	if s.Near(rest); !slices.Equal(rest, []int16{1, -2, 3}) {
		t.Errorf("less than a block was changed: %v", rest)
	}
}

// E1 of Abramowitz and Stegun, table 5.1.
func TestLogMMSE(t *testing.T) {
	for v, e1 := range map[float64]float64{0.1: 1.8229240, 0.5: 0.5597736, 1: 0.2193839, 2: 0.0489005, 5: 0.0011483} {
		if got := 2 * math.Log(logMMSE(v)); math.Abs(got-e1) > 0.01 {
			t.Errorf("E1(%v) is %v, not %v", v, got, e1)
		}
	}
}

func FuzzSuppressor(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(160))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		s := New()
		pcm := make([]int16, n)
		for range 40 {
			for len(b) > 2 {
				for i := range pcm {
					pcm[i] = int16(binary.LittleEndian.Uint16(b[i%(len(b)-1):])) * int16(i%3)
				}
				s.Near(pcm)
				b = b[1:]
			}
			s.Near(pcm)
		}
		for k, v := range s.background.level {
			if !(v >= least && v < 1e12) {
				t.Fatalf("the background of bin %d is %v", k, v)
			}
			if c := s.gain.clean[k]; !(c >= 0 && c <= loudest) {
				t.Fatalf("the clean power of bin %d is %v", k, c)
			}
		}
	})
}

func TestNoAllocations(t *testing.T) {
	in := mix(talk(5), white(5*second), -40)
	s := New()
	s.Near(slices.Clone(in))
	i := 0
	if n := testing.AllocsPerRun(100, func() {
		s.Near(in[i : i+frame])
		i += frame
	}); n != 0 || !s.background.present {
		t.Errorf("%v allocations a frame", n)
	}
}

// BenchmarkSuppressor works on frames of 20 ms.
func BenchmarkSuppressor(b *testing.B) {
	for name, dB := range map[string]float64{"noisy": -40, "clean": -100} {
		b.Run(name, func(b *testing.B) {
			in := mix(talk(10), white(10*second), dB)
			s := New()
			s.Near(slices.Clone(in))
			pcm := make([]int16, frame)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				copy(pcm, in[i:])
				s.Near(pcm)
				i = (i + frame) % (len(in) - frame)
			}
		})
	}
}
