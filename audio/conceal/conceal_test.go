package conceal

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"securecall/audio"
	"securecall/audio/speech"
)

const frame = audio.FrameSamples

// said is speech as it arrives.
func said() []int16 {
	pcm := speech.Samples()
	octets := make([]byte, len(pcm))
	audio.PCMU.Encode(octets, pcm)
	audio.PCMU.Decode(pcm, octets)
	return pcm
}

// tone is a sine of so many Hz, phase in radians.
func tone(hz, level, phase float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(level * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate+phase)))
	}
	return pcm
}

func whiteNoise(level float64, n int) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(level * r.NormFloat64()))
	}
	return pcm
}

// after returns what c gives for a gap of n samples after it heard pcm.
func after(pcm []int16, n int) []int16 {
	var c Concealer
	c.Heard(append([]int16(nil), pcm...))
	gap := make([]int16, n)
	c.Missing(gap)
	return gap
}

// rms is the root of the mean square.
func rms(pcm []int16) float64 {
	e := 0.0
	for _, s := range pcm {
		e += float64(s) * float64(s)
	}
	return math.Sqrt(e / float64(len(pcm)))
}

// correlation is from -1 to 1.
func correlation(a, b []int16) float64 {
	ab := 0.0
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
	}
	return ab / (float64(len(a))*rms(a)*rms(b) + 1e-9)
}

// steepest is the largest step between neighbours.
func steepest(pcm []int16) (step int) {
	for i := 1; i < len(pcm); i++ {
		step = max(step, abs(int(pcm[i])-int(pcm[i-1])))
	}
	return step
}

func abs(n int) int { return max(n, -n) }

// gaps calls f for a gap of n samples every 30 ms of the speech, with what was
// heard before, what stands in, and what is heard again after.
func gaps(n int, f func(at int, before, gap, again, clean []int16)) {
	pcm := said()
	for at := 4 * frame; at+n+2*frame < len(pcm); at += 30 * millisecond {
		var c Concealer
		before := append([]int16(nil), pcm[at-4*frame:at]...)
		c.Heard(before)
		gap := make([]int16, n)
		c.Missing(gap)
		clean := pcm[at+n : at+n+2*frame]
		again := append([]int16(nil), clean...)
		c.Heard(again)
		f(at, before, gap, again, clean)
	}
}

func TestSilenceBeforeAnything(t *testing.T) {
	gap := whiteNoise(1000, 480)
	new(Concealer).Missing(gap)
	if rms(gap) != 0 {
		t.Fatal("sound from nothing")
	}
}

func TestSilenceStaysSilence(t *testing.T) {
	if rms(after(make([]int16, 4000), 4000)) != 0 {
		t.Fatal("sound from silence")
	}
	var c Concealer
	pcm := said()
	c.Heard(pcm[len(pcm)-audio.SampleRate:])
	quiet := make([]int16, 4000)
	c.Missing(quiet)
	clear(quiet)
	c.Heard(quiet)
	if rms(quiet[frame:]) != 0 {
		t.Error("silence changed after the overlap")
	}
	c.Missing(quiet)
	if rms(quiet) != 0 {
		t.Error("sound from silence, speech long before")
	}
}

// An offset is neither speech nor noise: it goes on, and away.
func TestOffset(t *testing.T) {
	pcm := make([]int16, 4000)
	for i := range pcm {
		pcm[i] = 500
	}
	gap := after(pcm, 4000)
	if first := gap[0]; first < 450 || first > 550 {
		t.Errorf("500 goes on as %d", first)
	}
	if rms(gap[fade:]) != 0 {
		t.Error("and leaves noise behind")
	}
}

func TestToneGoesOnInPhase(t *testing.T) {
	for _, hz := range []float64{60, 100, 123, 200, 313, 440, 697, 1000, 1209, 1633, 2100, 3000, 3400} {
		whole := tone(hz, 8000, 1, 4000+frame)
		gap := after(whole[:4000], frame)
		if r := correlation(gap, whole[4000:]); r < 0.98 {
			t.Errorf("%.0f Hz: correlation %.3f with what was lost", hz, r)
		}
	}
}

func TestNeverLouder(t *testing.T) {
	gaps(10*frame, func(at int, before, gap, _, _ []int16) {
		// Speech that rises is loudest at its end: compare with that.
		last := max(rms(before[len(before)-frame:]), rms(before[len(before)-frame/2:]))
		for i := 0; i < len(gap); i += frame {
			if e := rms(gap[i : i+frame]); e > 1.19*last+8 { // 1.5 dB, and a step of µ-law
				t.Errorf("at %d: %.0f after %.0f, %d ms into the gap", at, e, last, i/millisecond)
			}
		}
	})
}

// A hum after a louder hiss: the hiss, through the filter of the hum, would be
// loud again.
func TestNeverLouderThanTheLast(t *testing.T) {
	hiss := whiteNoise(3000, 4000)
	worst := 0.0
	for n := frame; n < 2*maxLag; n += 16 {
		for hz := 100.0; hz < 3600; hz *= 1.2 {
			hum := tone(hz, 500, 0.5, n)
			gap := after(append(hiss[:4000-n:4000-n], hum...), 4*frame)
			for i := 0; i < len(gap); i += frame {
				worst = max(worst, rms(gap[i:i+frame])/rms(hum[n-frame:]))
			}
		}
	}
	if worst > 1.8 {
		t.Errorf("%.1f times as loud as the hum", worst)
	}
}

func TestFadesOut(t *testing.T) {
	gaps(20*frame, func(at int, before, gap, _, _ []int16) {
		last := rms(before[len(before)-frame:])
		for _, f := range []struct {
			ms int
			db float64
		}{{60, -10}, {100, -20}, {200, -30}} {
			e := rms(gap[f.ms*millisecond:][:frame])
			if e > last*math.Pow(10, f.db/20)+8 {
				t.Errorf("at %d: %.0f after %.0f, %d ms into the gap", at, e, last, f.ms)
			}
		}
	})
}

// No step at either end of a gap that speech itself does not make.
func TestNoClicks(t *testing.T) {
	for _, n := range []int{frame / 2, frame, 3 * frame, 8 * frame} {
		gaps(n, func(at int, before, gap, again, clean []int16) {
			near := before[len(before)-2*frame:]
			step := abs(int(gap[0]) - int(near[len(near)-1]))
			if most := steepest(near); step > most+most/4+16 {
				t.Errorf("%d at %d: begins with a step of %d, steepest before %d", n, at, step, most)
			}
			joined := append([]int16{gap[n-1]}, again[:6*millisecond]...)
			most := max(steepest(near), steepest(clean[:frame]))
			if step := steepest(joined); step > most+most/4+16 {
				t.Errorf("%d at %d: ends with a step of %d, steepest around %d", n, at, step, most)
			}
		})
	}
}

// Past the overlap, which grows with the gap, not a sample is touched.
func TestOverlap(t *testing.T) {
	for _, o := range []struct{ gap, overlap int }{{1, 12}, {frame, 16}, {5 * frame, 32}, {100 * frame, 42}} {
		changed := 0
		gaps(o.gap, func(_ int, _, _, again, clean []int16) {
			for i := range again {
				if again[i] != clean[i] {
					changed = max(changed, i+1)
				}
			}
		})
		// The last of them may differ by less than a half.
		if changed > o.overlap || changed < o.overlap*3/4 {
			t.Errorf("gap of %d: %d samples changed, overlap %d", o.gap, changed, o.overlap)
		}
	}
}

func TestSquareWaves(t *testing.T) {
	for _, half := range []int{1, 2, 3, 7, 20, 40, 50, 68, 200} {
		whole := make([]int16, 4000+frame)
		for i := range whole {
			whole[i] = math.MaxInt16
			if i/half%2 == 1 {
				whole[i] = math.MinInt16
			}
		}
		var c Concealer
		c.Heard(whole[:4000])
		gap := make([]int16, frame)
		c.Missing(gap)
		// Periods beyond the lowest pitch cannot be known.
		if r := correlation(gap, whole[4000:]); 2*half <= maxLag && r < 0.8 {
			t.Errorf("half period %d: correlation %.3f with what was lost", half, r)
		}
		c.Heard(whole[4000:])
		for range 20 {
			c.Missing(gap)
		}
		if e := rms(gap); e > math.Sqrt(loudest)+1 {
			t.Errorf("half period %d: %.0f is left after 400 ms", half, e)
		}
	}
}

// Noise lies under a long gap, as loud and as dull as the background was, and
// never loud.
func TestBackground(t *testing.T) {
	for _, level := range []float64{10, 50, 5000} {
		var c Concealer
		// Half a second of speech in every second, for 20.
		noise, pcm := whiteNoise(level, 20*audio.SampleRate), said()
		for i := range noise {
			noise[i] /= 2
			if i > 0 {
				noise[i] += noise[i-1] / 2
			}
		}
		want := min(rms(noise), math.Sqrt(loudest))
		for i := range noise {
			if i%audio.SampleRate < audio.SampleRate/2 {
				noise[i] = int16(max(-32768, min(int(noise[i])+int(pcm[i%len(pcm)]), 32767)))
			}
		}
		c.Heard(noise)
		gap := make([]int16, audio.SampleRate)
		c.Missing(gap)
		got := rms(gap[fade:])
		if got < want/2 || got > want*1.12 {
			t.Errorf("background %.1f: %.1f under a gap", want, got)
		}
		if r := correlation(gap[fade+1:], gap[fade:len(gap)-1]); level < 5000 && (r < 0.2 || r > 0.6) {
			t.Errorf("neighbours correlate by %.2f, and by 0.4 before", r)
		}
	}
}

// events is a course of heard and missing blocks: positive lengths are heard,
// negative ones missing.
var events = []int{3000, -160, 5, -800, 11, -1, 1200, -2000, 900, -160, 40, -40, 160, -320, 1000}

func TestHoweverSplit(t *testing.T) {
	play := func(most int) []int16 {
		var c Concealer
		pcm := said()[2000:]
		at := 0
		for _, e := range events {
			for end := at + abs(e); at < end; {
				n := min(end-at, most)
				if e > 0 {
					c.Heard(pcm[at : at+n])
				} else {
					c.Missing(pcm[at : at+n])
				}
				at += n
			}
		}
		return pcm[:at]
	}
	want := play(1 << 20)
	for _, most := range []int{1, 7, 80, 160, 480} {
		got := play(most)
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in blocks of %d: sample %d is %d, was %d", most, i, got[i], want[i])
				break
			}
		}
	}
}

func TestNothingToHear(t *testing.T) {
	var c, d Concealer
	pcm := said()[:4000]
	c.Heard(pcm)
	d.Heard(pcm)
	a, b := make([]int16, 3*frame), make([]int16, 3*frame)
	c.Missing(a)
	for i := 0; i < len(b); i += frame {
		d.Missing(b[i : i+frame])
		d.Heard(nil)
		d.Missing(nil)
	}
	if correlation(a, b) < 0.999999 {
		t.Fatal("an empty block ends a gap")
	}
}

func TestNoAllocation(t *testing.T) {
	var c Concealer
	pcm := said()
	at := 0
	n := testing.AllocsPerRun(500, func() {
		c.Heard(pcm[at : at+frame])
		c.Missing(pcm[at+frame : at+3*frame])
		c.Heard(pcm[at+3*frame : at+4*frame])
		at = (at + 4*frame) % (len(pcm) - 4*frame)
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzConcealer(f *testing.F) {
	f.Add([]byte{0x01, 0xff, 0x7f, 0x80, 0x20, 0x03, 0xa0, 0x02, 0x80, 0x60})
	f.Add([]byte("any course of blocks, and any samples in them"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Concealer
		var block [512]int16
		for i := 0; i+1 < len(b) && i < 200; i += 2 {
			pcm := block[:int(b[i])*2]
			if b[i+1]&1 == 0 {
				c.Missing(pcm)
				continue
			}
			// A square wave, noise, an offset or silence, of some level.
			level := int16(1) << (b[i+1] >> 4)
			for j := range pcm {
				switch b[i+1] >> 1 & 3 {
				case 0:
					pcm[j] = (level - 1) * int16(1-2*(j/int(1+b[i]%90)%2))
				case 1:
					pcm[j] = int16(uint16(j+1)*uint16(40503+int(b[i]))) / max(level, 1)
				case 2:
					pcm[j] = -level
				case 3:
					pcm[j] = 0
				}
			}
			c.Heard(pcm)
		}
		for k, m := range c.voice.memory {
			if math.IsNaN(m) || math.Abs(m) > 1e7 {
				t.Fatalf("memory %d is %v", k, m)
			}
		}
		c.Missing(block[:])
		c.Missing(block[:])
		c.Missing(block[:])
		if e := rms(block[:]); !(e <= 2*math.Sqrt(loudest)) {
			t.Fatalf("%.0f is left after a long gap", e)
		}
		c.Heard(make([]int16, 8*fade))
		c.Missing(block[:])
		if e := rms(block[:]); e != 0 {
			t.Fatalf("%.3f stays after silence", e)
		}
	})
}

func BenchmarkHeard(b *testing.B) {
	b.ReportAllocs()
	var c Concealer
	pcm := said()[4000 : 4000+frame]
	for b.Loop() {
		c.Heard(pcm)
	}
}

func BenchmarkHeardAfterGap(b *testing.B) {
	b.ReportAllocs()
	var c Concealer
	c.Heard(said()[:4000])
	c.Missing(make([]int16, 2*frame))
	pcm := make([]int16, frame)
	for b.Loop() {
		d := c
		d.Heard(pcm)
	}
}

// BenchmarkMissing takes frames of a gap, 20 ms each.
func BenchmarkMissing(b *testing.B) {
	for _, n := range []int{1, 2, 4, 20} {
		b.Run(fmt.Sprintf("frame-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var c Concealer
			c.Heard(said()[:4000])
			pcm := make([]int16, frame)
			for range n - 1 {
				c.Missing(pcm)
			}
			for b.Loop() {
				d := c
				d.Missing(pcm)
			}
		})
	}
}
