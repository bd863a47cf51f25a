package progress

import (
	"math"
	"slices"
	"testing"

	"securecall/audio"
)

// made is how a sound goes on for so many samples.
func made(s *Sound, n int) []int16 {
	pcm := make([]int16, n)
	for at := 0; at < n; at += audio.FrameSamples {
		s.Fill(audio.Frame(pcm[at : at+audio.FrameSamples]))
	}
	return pcm
}

// ITU-T E.180/Q.35: one tone of 400 to 450 Hz, which sounds for 0.67 to 1.5 s and is silent
// for 3 to 5 s; -10 dBm0.
func TestRingback(t *testing.T) {
	pcm := made(Ringback(), 2*period)
	if !slices.Equal(pcm[:period], pcm[period:]) {
		t.Error("it does not come again as it was")
	}
	tone, rest := pcm[:on], pcm[on:period]
	if loud := slices.ContainsFunc(rest, func(v int16) bool { return v != 0 }); loud || len(rest) != 4*audio.SampleRate {
		t.Error("it is not silent for 4 s")
	}
	turns, power := 0, 0.0
	for i := ramp; i < len(tone)-ramp; i++ {
		if tone[i-1] < 0 && tone[i] >= 0 {
			turns++
		}
		power += float64(tone[i]) * float64(tone[i])
	}
	seconds := float64(len(tone)-2*ramp) / audio.SampleRate
	if hz := float64(turns) / seconds; math.Abs(hz-425) > 2 {
		t.Errorf("a tone of %.0f Hz", hz)
	}
	full := math.MaxInt16 / math.Sqrt2
	if level := 20*math.Log10(math.Sqrt(power/float64(len(tone)-2*ramp))/full) + 3.17; math.Abs(level+10) > 0.5 {
		t.Errorf("a level of %.1f dBm0", level)
	}
}

// A ring has two notes, is louder than the tone and begins and ends without a click.
func TestRing(t *testing.T) {
	ring, tone := made(Ring(), period), made(Ringback(), period)
	if slices.Max(ring) <= slices.Max(tone) {
		t.Error("it is no louder than the tone that the caller hears")
	}
	for name, pcm := range map[string][]int16{"ring": ring, "tone": tone} {
		for _, edge := range []int{0, on - 1} {
			if v := pcm[edge]; v < -300 || v > 300 {
				t.Errorf("%s: sample %d is %d", name, edge, v)
			}
		}
	}
	rises := func(pcm []int16) (n int) {
		for i := 1; i < len(pcm); i++ {
			if pcm[i-1] < 0 && pcm[i] >= 0 {
				n++
			}
		}
		return n
	}
	first, second := rises(ring[ringTurn*2:ringTurn*3]), rises(ring[ringTurn*3:ringTurn*4])
	if first == second {
		t.Errorf("both notes turn %d times in 50 ms", first)
	}
}

func TestFillAllocatesNothing(t *testing.T) {
	s, f := Ring(), make(audio.Frame, audio.FrameSamples)
	if n := testing.AllocsPerRun(100, func() { s.Fill(f) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
