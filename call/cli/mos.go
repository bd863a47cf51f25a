package cli

import (
	"math"
	"time"

	"securecall/call"
)

// mos estimates how the call sounds to us, from 1 (nothing can be understood)
// to 4.4 (as good as G.711 gets): the E-model of ITU-T G.107 with its default
// values, but for pure delay (Idd) and for loss, of G.711 with concealment
// (G.113, Appendix I: Ie 0, Bpl 25.1). 0: nothing was heard that could be
// judged.
func mos(s call.Stats) float64 {
	if s.Received == 0 {
		return 0
	}
	r := 93.2 - 95*s.Loss/(s.Loss+25.1)
	// From one mouth to the other ear, with the frame that had to fill first.
	if delay := milliseconds(s.RTT/2 + s.PlayoutDelay + 20*time.Millisecond); delay > 100 {
		x := math.Log2(delay / 100)
		r -= 25 * (math.Pow(1+math.Pow(x, 6), 1./6) - 3*math.Pow(1+math.Pow(x/3, 6), 1./6) + 2)
	}
	r = min(max(r, 0), 100)
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
