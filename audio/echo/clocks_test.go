package echo

import (
	"testing"

	"securecall/audio"
)

// A microphone whose clock is slower than the loudspeaker's: it gives fewer frames,
// and the lag as it is counted shrinks, here to nothing after a minute and a half.
// The echo is found and taken out all the same, and found again after a slip.
func TestLagShrinksForEver(t *testing.T) {
	t.Parallel()
	const ppm, length, slip = 200, 130 * second, 110 * second
	far := talk(length/second, 0)
	r := room{delay: 140, reverb: 0.02, gain: 0.5, noise: 3, ppm: ppm, seed: 6}
	echo := r.echo(far)
	r.delay += 1000
	copy(echo[slip:], r.echo(far)[slip:])
	near := mix(echo, nil)
	out := append([]int16(nil), near...)
	c := New()
	const n = audio.FrameSamples
	fed := 0
	for i := 0; i+n <= len(out); i += n {
		for ; float64(fed) < float64(i+n)*(1+ppm*1e-6) && fed+n <= len(far); fed += n {
			c.Far(far[fed : fed+n])
		}
		c.Near(out[i : i+n])
		c.Think()
	}
	for _, at := range []int{30 * second, 80 * second, 95 * second, 103 * second, 122 * second} {
		a, b := at, at+4*second
		if erle := level(near[a:b]) - level(out[a:b]); erle < 25 {
			t.Errorf("%.1f dB after %d s: %+v", erle, at/second, c.Stats())
		}
	}
}
