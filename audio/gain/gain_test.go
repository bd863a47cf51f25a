package gain

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio"
	"securecall/audio/speech"
)

const frame = audio.FrameSamples

// active is the active speech level of ITU-T P.56, method B, in dB of full scale.
func active(pcm []int16) float64 {
	const thresholds = 15
	var counts, hangs [thresholds]int
	g := math.Exp(-1 / (0.03 * rate))
	p, q, square := 0.0, 0.0, 0.0
	for i := range hangs {
		hangs[i] = rate / 5
	}
	for _, v := range pcm {
		x := float64(v)
		square += x * x
		p = g*p + (1-g)*math.Abs(x)
		q = g*q + (1-g)*p
		for i := range counts {
			if q >= float64(int(1)<<i) {
				hangs[i] = 0
			}
			if hangs[i] < rate/5 {
				counts[i]++
				hangs[i]++
			}
		}
	}
	// Between the two thresholds where the level is 15.9 dB above.
	level, above := -100.0, 0.0
	for i, n := range counts {
		if n == 0 {
			break
		}
		l := 10*math.Log10(square/float64(n)) - 90.31
		a := l - (20*math.Log10(float64(int(1)<<i)) - 90.31)
		if a <= 15.9 {
			if i == 0 {
				return l
			}
			return level + (l-level)*(above-15.9)/(above-a)
		}
		level, above = l, a
	}
	return level
}

// talk is so many seconds of the synthetic voice, at an active level.
func talk(seconds int, level float64) []int16 {
	s := speech.Samples()
	gain := math.Pow(10, (level-active(s))/20)
	pcm := make([]int16, seconds*rate)
	for i := range pcm {
		pcm[i] = round(gain * float64(s[i%len(s)]))
	}
	return pcm
}

func round(v float64) int16 { return int16(max(-32768, min(32767, math.Round(v)))) }

// noise is white, of dB of full scale.
func noise(seconds int, dB float64) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, seconds*rate)
	for i := range pcm {
		pcm[i] = round(32768 * math.Pow(10, dB/20) * r.NormFloat64())
	}
	return pcm
}

// rumble is a car's: most of it below 150 Hz.
func rumble(seconds int, dB float64) []int16 {
	pcm := noise(seconds, dB+18)
	a, b := 0.0, 0.0
	for i, v := range pcm {
		a = 0.9*a + 0.1*float64(v)
		b = 0.8*b + 0.2*a
		pcm[i] = round(b)
	}
	return pcm
}

func mix(a, b []int16) []int16 {
	sum := slices.Clone(a)
	for i, v := range b {
		sum[i] = round(float64(a[i]) + float64(v))
	}
	return sum
}

// run lets a Control work on all of it and returns what goes out.
func run(c *Control, in []int16) []int16 {
	out := slices.Clone(in)
	for i := 0; i+frame <= len(out); i += frame {
		c.Near(out[i : i+frame])
	}
	return out
}

// power is in dB of full scale.
func power(pcm []int16) float64 {
	sum := 1e-9
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10*math.Log10(sum/float64(len(pcm))) - 90.31
}

// Whoever speaks softly or loudly is at the target within some seconds.
func TestReachesTheTarget(t *testing.T) {
	for _, c := range []struct{ level, after, want float64 }{
		{-45, 8, -26},
		{-38, 6, -26},
		{-34, 5, -26},
		{-16, 4, -26},
		{-12, 4, -24},
		{-55, 10, -35}, // as far as it goes
	} {
		in := talk(30, c.level)
		out := run(New(), in)
		from := int(c.after * rate)
		if got := active(out[from:]); math.Abs(got-c.want) > 2 {
			t.Errorf("speech of %v dB is at %.1f dB after %v s", c.level, got, c.after)
		}
		// Slowly: never more than 6 dB up or 16 dB down in a second.
		before := 0.0
		for i := 0; i+rate <= len(in); i += rate {
			now := power(out[i:i+rate]) - power(in[i:i+rate])
			if now-before > 6 || before-now > 16 {
				t.Errorf("speech of %v dB: the gain goes from %.1f to %.1f dB in a second", c.level, before, now)
			}
			before = now
		}
	}
}

// Somebody with a soft voice takes over, and somebody with a loud one.
func TestAnotherVoice(t *testing.T) {
	for _, c := range []struct{ first, then float64 }{{-18, -40}, {-40, -18}} {
		in := append(talk(20, c.first), talk(25, c.then)...)
		if got := active(run(New(), in)[35*rate:]); math.Abs(got-target) > near+1 {
			t.Errorf("speech of %v dB, and then of %v dB, is at %.1f dB after 15 s", c.first, c.then, got)
		}
	}
}

// What is near the target is not changed, bit for bit, nor is what is no speech.
func TestUnchanged(t *testing.T) {
	beeps := make([]int16, 20*rate)
	for i := range beeps {
		beeps[i] = int16(1000 * math.Sin(2*math.Pi*440*float64(i)/rate))
	}
	paused := talk(60, -26)
	for i := range paused {
		if i/(3*rate)%2 == 1 {
			paused[i] = 0
		}
	}
	for name, in := range map[string][]int16{
		"-26 dB": talk(60, -26), "-28.5 dB": talk(60, -28.5), "-23.5 dB": talk(60, -23.5),
		"with a background":            mix(talk(60, -26), noise(60, -50)),
		"with pauses and a background": mix(paused, noise(60, -40)),
		"silence":                      make([]int16, 10*rate),
		"soft noise":                   noise(20, -55), "noise": noise(20, -40), "loud noise": noise(20, -15),
		"rumble": rumble(60, -40), "loud rumble": rumble(60, -15),
		"noise that begins": append(make([]int16, 10*rate), noise(20, -40)...),
		"noise that ends":   append(noise(20, -40), make([]int16, 10*rate)...),
		"a tone":            beeps,
	} {
		if c := New(); !slices.Equal(run(c, in), in) {
			t.Errorf("%s: changed: %.1f dB, speech is at %.1f dB after %.1f s", name, c.gain, c.level.speech(), c.level.heard/100)
		}
	}
}

// Two seconds of a noise, and it is no speech: nothing moves while only it is heard.
func TestNoiseIsNoSpeech(t *testing.T) {
	for name, in := range map[string][]int16{"white": noise(20, -40), "rumble": rumble(20, -25)} {
		var l level
		speech := 0
		for i := 0; i < len(in); i += Block {
			if l.hear(in[i:i+Block]) && i > 5*rate/2 {
				speech++
			}
		}
		if speech > 20 || l.heard > 0 {
			t.Errorf("%s: %d blocks are taken for speech, and %.1f s count", name, speech, l.heard/100)
		}
	}
}

// A long pause after soft speech: the background is as it was, and no louder than it
// may become.
func TestPauses(t *testing.T) {
	for _, background := range []float64{-70, -58} {
		soft := talk(30, -42)
		clear(soft[:5*rate/2])
		clear(soft[9*rate/2 : 25*rate]) // the target is not yet reached
		in := mix(soft, noise(30, background))
		out := run(New(), in)
		a := power(out[5*rate:6*rate]) - power(in[5*rate:6*rate])
		b := power(out[23*rate:24*rate]) - power(in[23*rate:24*rate])
		if a < 1 || math.Abs(a-b) > 0.1 {
			t.Errorf("in a pause the background goes from %+.1f to %+.1f dB", a, b)
		}
		if got := power(out[20*rate : 21*rate]); got > loudest+1 {
			t.Errorf("a background of %v dB is raised to %.1f dB", background, got)
		}
	}
}

// Somebody shouts where the gain is high: nothing is clipped, and the gain is soon
// what it was.
func TestShout(t *testing.T) {
	in := talk(20, -40)
	shout := talk(20, -12)
	copy(in[12*rate:12*rate+rate/2], shout[rate:])
	in[12*rate] = 32767 // without a warning
	c := New()
	out := run(c, in)
	peak := 0.0
	for i, v := range out {
		peak = max(peak, math.Abs(float64(v)))
		if (v > 0) != (in[i] > 0) && v != 0 && in[i] != 0 {
			t.Fatalf("sample %d: %d became %d", i, in[i], v)
		}
	}
	if peak > most || peak < most/2 {
		t.Errorf("it reaches %.0f", peak)
	}
	// Limited, not clipped: few samples stand at the limit.
	at := 0
	for _, v := range out[12*rate : 13*rate] {
		if v > most-10 || v < -most+10 {
			at++
		}
	}
	if at > 100 {
		t.Errorf("%d samples stand at the limit", at)
	}
	if got := active(out[15*rate:]); math.Abs(got-target) > 3 {
		t.Errorf("three seconds later it is at %.1f dB", got)
	}
}

// A peak is prepared for: the gain goes down to it in some samples.
func TestLimiter(t *testing.T) {
	l := limiter{factor: 1}
	pcm := slices.Repeat([]int16{1000}, Block)
	pcm[60] = 20000
	l.apply(pcm, 10, 10)
	for i := 1; i < 60; i++ {
		if d := float64(pcm[i-1]-pcm[i]) / 10000; d > 0.03 || d < 0 {
			t.Errorf("sample %d: down by %.3f of the gain at once", i, d)
		}
	}
	if pcm[0] != 10000 || pcm[59] > 3500 || pcm[60] != most {
		t.Errorf("1000 became %d, and 20000 became %d", pcm[0], pcm[60])
	}
}

// What a canceller leaves of the far end's speech does not count, in whichever order
// the two ends hand in their sound; this end's own speech does.
func TestEchoDoesNotCount(t *testing.T) {
	far := talk(30, -20)
	echo := make([]int16, len(far))
	for i := 1200; i < len(echo); i++ {
		echo[i] = far[i-1200] / 12 // -42 dB
	}
	c := New()
	for i := 0; i+frame <= len(far); i += frame {
		c.Far(far[i : i+frame])
		c.Near(echo[i : i+frame])
	}
	if c.gain != 0 || c.level.heard > 50 {
		t.Errorf("an echo of -42 dB is taken for %.1f s of speech, and raised by %.1f dB", c.level.heard/100, c.gain)
	}
	soft := talk(30, -42)
	quiet := make([]int16, frame)
	for i := 0; i+frame <= len(soft); i += frame {
		c.Far(quiet)
		c.Near(soft[i : i+frame])
	}
	if got := active(soft[10*rate:]); math.Abs(got-target) > 2 {
		t.Errorf("soft speech after it is at %.1f dB", got)
	}
}

// Whatever comes, what goes out stays within the scale, and is good again afterwards.
func TestHostileSound(t *testing.T) {
	in := talk(40, -40)
	for i := 10 * rate; i < 13*rate; i++ {
		in[i] = int16(32767 - 65535*(i/37%2))
	}
	for i := 13 * rate; i < 15*rate; i++ {
		in[i] = -32768
	}
	out := run(New(), in)
	for i, v := range out {
		if v < -most && in[i] >= -most || v > most && in[i] <= most || v > 0 && in[i] < 0 || v < 0 && in[i] > 0 {
			t.Fatalf("sample %d: %d became %d", i, in[i], v)
		}
	}
	if got := active(out[30*rate:]); math.Abs(got-target) > 3 {
		t.Errorf("15 s afterwards speech is at %.1f dB", got)
	}
	offset := talk(20, -26)
	for i := range offset {
		offset[i] += 2000
	}
	if !slices.Equal(run(New(), offset), offset) {
		t.Error("an offset makes speech near the target be changed")
	}
}

// How the sound is cut up makes no difference, and what is left over is not touched.
func TestFrames(t *testing.T) {
	in := talk(10, -40)
	want := run(New(), in)
	c, got := New(), slices.Clone(in)
	for i := 0; i < len(got); i += Block {
		c.Near(got[i : i+Block])
	}
	if !slices.Equal(got, want) {
		t.Error("frames of 10 ms give another sound than frames of 20 ms")
	}
	rest := []int16{1, -2, 3}
	if c.Near(rest); !slices.Equal(rest, []int16{1, -2, 3}) {
		t.Errorf("less than a block was changed: %v", rest)
	}
}

func FuzzControl(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(160))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		c := New()
		run(c, talk(4, -45)) // the gain is up
		pcm, in := make([]int16, n), make([]int16, n)
		for len(b) > 2 {
			for i := range in {
				in[i] = int16(binary.LittleEndian.Uint16(b[i%(len(b)-1):])) * int16(i%3)
			}
			copy(pcm, in)
			if b[0]%4 == 0 {
				c.Far(pcm)
			}
			c.Near(pcm)
			for i, v := range pcm {
				if v > 0 && in[i] < 0 || v < 0 && in[i] > 0 {
					t.Fatalf("%d became %d", in[i], v)
				}
			}
			b = b[1:]
		}
		if !(c.gain >= mostDown && c.gain <= mostUp) || !(c.level.envelope >= 0 && c.level.heard <= long) {
			t.Fatalf("%+v", c)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	in := talk(10, -40)
	c := New()
	run(c, in)
	i := 0
	if n := testing.AllocsPerRun(100, func() {
		c.Far(in[i : i+frame])
		c.Near(in[i : i+frame])
		i += frame
	}); n != 0 || c.gain == 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// BenchmarkControl works on frames of 20 ms.
func BenchmarkControl(b *testing.B) {
	for _, level := range []float64{-40, -26} {
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			in := talk(10, level)
			c := New()
			run(c, in)
			pcm := make([]int16, frame)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				copy(pcm, in[i:])
				c.Near(pcm)
				i = (i + frame) % (len(in) - frame)
			}
		})
	}
}
