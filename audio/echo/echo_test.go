package echo

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio"
)

const second = audio.SampleRate

// Issue: "echo return loss enhancement at least 30 dB far-end only", in rooms of
// every kind, once the room is known.
func TestFarEndOnly(t *testing.T) {
	for _, c := range []struct {
		name  string
		room  room
		after int // seconds
	}{
		{"dry, near", room{delay: 240, reverb: 0.02, gain: 0.5, noise: 3, seed: 1}, 1},
		{"office", room{delay: 800, reverb: 0.2, gain: 0.5, noise: 3, seed: 2}, 1},
		{"living room", room{delay: 1600, reverb: 0.3, gain: 0.8, noise: 3, seed: 3}, 1},
		{"late", room{delay: 3200, reverb: 0.2, gain: 0.3, noise: 3, seed: 4}, 2},
		{"overdriven loudspeaker", room{delay: 800, reverb: 0.2, gain: 0.5, noise: 3, clip: 9000, seed: 5}, 2},
		{"fast microphone", room{delay: 1000, reverb: 0.2, gain: 0.5, noise: 3, ppm: 200, seed: 6}, 9},
		{"slow microphone", room{delay: 1000, reverb: 0.2, gain: 0.5, noise: 3, ppm: -200, seed: 6}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			far := talk(float64(c.after)+6, 0)
			near := mix(c.room.echo(far), nil)
			canceller := New()
			out := run(canceller, far, near)
			from := c.after * second
			if erle := level(near[from:]) - level(out[from:]); erle < 30 {
				t.Errorf("%.1f dB after %d s: %+v", erle, c.after, canceller.Stats())
			}
		})
	}
}

// While both speak, the near end is heard and the echo is not, and afterwards the
// filter still knows the room.
func TestDoubleTalk(t *testing.T) {
	t.Parallel()
	r := room{delay: 800, reverb: 0.2, gain: 0.5, noise: 3, seed: 2}
	far, voice := talk(18, 0), other(18)
	clear(voice[:6*second])
	clear(voice[14*second:])
	near := mix(r.echo(far), voice)
	out := run(New(), far, near)
	var gone, kept float64
	both, n := voice[6*second:14*second], 0
	for i := 0; i+audio.FrameSamples <= len(both); i += audio.FrameSamples {
		said := both[i : i+audio.FrameSamples]
		heard := out[6*second+i:][:audio.FrameSamples]
		if level(said) < 45 {
			continue
		}
		n++
		d := make([]int16, len(said))
		for j := range d {
			d[j] = heard[j] - said[j]
		}
		kept += level(heard) - level(said)
		gone += min(35, level(said)-level(d))
	}
	if kept /= float64(n); kept < -2 || kept > 1 {
		t.Errorf("the near end is heard %+.1f dB louder", kept)
	}
	if gone /= float64(n); gone < 10 {
		t.Errorf("segmental signal-to-noise ratio of the near end: %.1f dB", gone)
	}
	if erle := level(near[15*second:]) - level(out[15*second:]); erle < 30 {
		t.Errorf("%.1f dB after both have spoken", erle)
	}
}

// Issue: "no change at all where there is no echo": with a headset, with a far end
// that is silent, and without a far end at all.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	voice, silence := other(10), make([]int16, 10*second)
	for name, far := range map[string][]int16{"headset": talk(10, 3000), "silent": silence} {
		near := mix(room{without: true, noise: 20, seed: 1}.echo(far), voice)
		if out := run(New(), far, near); !slices.Equal(out, near) {
			t.Errorf("%s: changed", name)
		}
	}
	c, out := New(), slices.Clone(voice)
	for i := 0; i+audio.FrameSamples <= len(out); i += audio.FrameSamples {
		c.Near(out[i : i+audio.FrameSamples])
	}
	if !slices.Equal(out, voice) {
		t.Error("nothing was played: changed")
	}
}

// A headset is plugged in: after a while nothing is changed any more.
func TestEchoEnds(t *testing.T) {
	t.Parallel()
	far := talk(30, 0)
	e := room{delay: 800, reverb: 0.1, gain: 0.5, noise: 3, seed: 2}.echo(far)
	n := room{without: true, noise: 3, seed: 2}.echo(far)
	copy(e[5*second:], n[5*second:])
	voice := other(30)
	clear(voice[:5*second])
	near := mix(e, voice)
	c := New()
	out := run(c, far, near)
	if last := 28 * second; c.Stats().Present || !slices.Equal(out[last:], near[last:]) {
		t.Errorf("changed 23 s after the last echo: %+v", c.Stats())
	}
}

// Devices leave something out, or buffer anew: the echo comes sooner or later than
// before, and is found again.
func TestDelayJumps(t *testing.T) {
	t.Parallel()
	far := talk(20, 0)
	e := room{delay: 1000, reverb: 0.15, gain: 0.5, noise: 3, seed: 3}.echo(far)
	later := room{delay: 2400, reverb: 0.15, gain: 0.5, noise: 3, seed: 3}.echo(far)
	sooner := room{delay: 400, reverb: 0.15, gain: 0.5, noise: 3, seed: 3}.echo(far)
	copy(e[6*second:], later[6*second:])
	copy(e[13*second:], sooner[13*second:])
	near := mix(e, nil)
	out := run(New(), far, near)
	for _, at := range []int{4, 8, 15} {
		a, b := at*second, (at+2)*second
		if erle := level(near[a:b]) - level(out[a:b]); erle < 30 {
			t.Errorf("%.1f dB from %d to %d s", erle, at, at+2)
		}
	}
}

// A microphone that leaves something out, all at once or a little again and again, hears
// the echo as much sooner: the canceller goes on finding it.
func TestMicrophoneLeavesOut(t *testing.T) {
	t.Parallel()
	const n = audio.FrameSamples
	for name, missing := range map[string]func(frame int) bool{
		"200 ms":           func(i int) bool { return i >= 300 && i < 310 },
		"3 s":              func(i int) bool { return i >= 300 && i < 450 },
		"20 ms each 0.5 s": func(i int) bool { return i >= 300 && i < 600 && i%25 == 0 },
	} {
		far := talk(20, 0)
		near := mix(room{delay: 700, reverb: 0.15, gain: 0.5, noise: 3, seed: 3}.echo(far), nil)
		out := slices.Clone(near)
		c := New()
		for i := range len(far) / n {
			c.Far(far[i*n : (i+1)*n])
			if !missing(i) {
				c.Near(out[i*n : (i+1)*n])
			}
		}
		a, b := 16*second, 20*second
		if erle := level(near[a:b]) - level(out[a:b]); erle < 30 {
			t.Errorf("%s: %.1f dB: %+v", name, erle, c.Stats())
		}
	}
}

// A microphone whose clock is the faster one hears more samples than were played, in the end
// half a second more. The lag is counted anew before that, and the echo never comes back. The
// loudspeaker was opened late, so that it takes a minute and not an hour.
func TestFastMicrophoneForLong(t *testing.T) {
	t.Parallel()
	const n, fast = audio.FrameSamples, 300e-6
	far := talk(75, 0)
	near := mix(room{delay: 700, reverb: 0.15, gain: 0.5, noise: 3, ppm: -fast * 1e6, seed: 3}.echo(far), nil)
	out := slices.Clone(near)
	c := New()
	for range ringSize / 4 / n {
		c.Near(make([]int16, n))
	}
	played := 0
	for i := 0; i+n <= len(out); i += n {
		for played+n <= int(float64(i+n)*(1-fast)) {
			c.Far(far[played : played+n])
			played += n
		}
		c.Near(out[i : i+n])
		c.Think()
	}
	for from := 10 * second; from+second <= len(out); from += second {
		if erle := level(near[from:from+second]) - level(out[from:from+second]); erle < 25 && level(near[from:from+second]) > 50 {
			t.Errorf("%.1f dB after %d s: %+v", erle, from/second, c.Stats())
		}
	}
}

// Two goroutines hand in the sound, and are not in step: up to three frames of one
// come before those of the other.
func TestOutOfStep(t *testing.T) {
	t.Parallel()
	far := talk(10, 0)
	near := mix(room{delay: 1000, reverb: 0.15, gain: 0.5, noise: 3, seed: 3}.echo(far), nil)
	out := slices.Clone(near)
	c, r := New(), rand.New(rand.NewPCG(1, 1))
	const n = audio.FrameSamples
	played, heard := 0, 0
	for heard+n <= len(far) {
		if ahead := (played - heard) / n; played+n <= len(far) && ahead < 3 && (ahead <= -3 || r.IntN(2) == 0) {
			c.Far(far[played : played+n])
			played += n
		} else if ahead > -3 || played+n > len(far) {
			c.Near(out[heard : heard+n])
			heard += n
		}
	}
	if erle := level(near[4*second:]) - level(out[4*second:]); erle < 30 {
		t.Errorf("%.1f dB: %+v", erle, c.Stats())
	}
}

// Whatever comes, what goes out is finite, bounded, and good again afterwards.
func TestHostileSound(t *testing.T) {
	t.Parallel()
	r := room{delay: 800, reverb: 0.1, gain: 0.5, noise: 3, seed: 2}
	far := talk(20, 0)
	e := r.echo(far)
	near := mix(e, nil)
	for i := 8 * second; i < 10*second; i++ { // full scale, both ways
		near[i] = int16(32767 - 65535*(i/37%2))
		far[i] = int16(32767 - 65535*(i/91%2))
	}
	for i := 10 * second; i < 11*second; i++ { // nothing but an offset
		near[i], far[i] = -32768, 32767
	}
	copy(e, r.echo(far))
	copy(near[12*second:], mix(e, nil)[12*second:])
	out := run(New(), far, near)
	if erle := level(near[16*second:]) - level(out[16*second:]); erle < 25 {
		t.Errorf("%.1f dB afterwards", erle)
	}
}

func FuzzCanceller(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(160))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		c := New()
		pcm := make([]int16, n)
		for len(b) > 2 {
			for i := range pcm {
				pcm[i] = int16(binary.LittleEndian.Uint16(b[i%(len(b)-1):])) * int16(i%3)
			}
			if b[0]%2 == 0 {
				c.Far(pcm)
			} else {
				c.Near(pcm)
			}
			b = b[1:]
		}
		for p := range c.filter.w {
			for k, w := range c.filter.w[p] {
				if v := abs2(w) + c.filter.doubt[p][k]; math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("a coefficient is %v, of variance %v", w, c.filter.doubt[p][k])
				}
			}
		}
	})
}

func TestNoAllocations(t *testing.T) {
	far := talk(10, 0)
	near := mix(room{delay: 800, reverb: 0.1, gain: 0.5, noise: 3, seed: 2}.echo(far), nil)
	c := New()
	run(c, far, near)
	i := 0
	if n := testing.AllocsPerRun(100, func() {
		c.Far(far[i : i+audio.FrameSamples])
		c.Near(near[i : i+audio.FrameSamples])
		i += audio.FrameSamples
	}); n != 0 || !c.Stats().Present {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkCanceller(b *testing.B) {
	far := talk(10, 0)
	near := mix(room{delay: 800, reverb: 0.1, gain: 0.5, noise: 3, seed: 2}.echo(far), nil)
	c := New()
	run(c, far, near)
	frame := make([]int16, audio.FrameSamples)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		copy(frame, near[i:])
		c.Far(far[i : i+audio.FrameSamples])
		c.Near(frame)
		i = (i + audio.FrameSamples) % (len(far) - audio.FrameSamples)
	}
}

// A sound server that has run dry for a moment goes on a few samples off: the echo
// comes a millisecond sooner or later than before, or a frame, now and then. That is no drift of
// clocks, and the room is still known.
func TestLagSteps(t *testing.T) {
	t.Parallel()
	for _, step := range []int{-7, 8, 160, -250} {
		far := talk(15, 0)
		// Nobody speaks for four seconds, in which what was taken for drift shows.
		clear(far[8*second : 12*second])
		r := room{delay: 1000, reverb: 0.2, gain: 0.5, noise: 3, seed: 3}
		e := r.echo(far)
		r.delay += step
		copy(e[5*second:], r.echo(far)[5*second:])
		near := mix(e, nil)
		c := New()
		out := run(c, far, near)
		for _, at := range []float64{4, 6, 7, 12, 13, 14} {
			a, b := int(at*second), int((at+1)*second)
			if erle := level(near[a:b]) - level(out[a:b]); erle < 25 {
				t.Errorf("a step of %d samples: %.1f dB at %.1f s: %+v", step, erle, at, c.Stats())
			}
		}
	}
}
