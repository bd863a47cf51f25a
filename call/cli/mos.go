package cli

import (
	"time"

	"securecall/call"
)

// mos estimates how the call sounds to us, from 1 (nothing can be understood)
// to 4.4 (as good as G.711 gets): the E-model of ITU-T G.107 with its default
// values but for delay and loss, for G.711 with loss concealment (G.113,
// Appendix I: Ie 0, Bpl 25.1). 0: nothing was heard that could be judged.
func mos(s call.Stats) float64 {
	if s.Received == 0 {
		return 0
	}
	delay := milliseconds(s.RTT/2 + s.PlayoutDelay + 20*time.Millisecond)
	r := 93.2 - 0.024*delay - 95*s.Loss/(s.Loss+25.1)
	if delay > 177.3 {
		r -= 0.11 * (delay - 177.3)
	}
	r = min(max(r, 0), 100)
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
