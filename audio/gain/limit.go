package gain

import "math"

// A limiter keeps what is amplified within the scale, by turning it down for a moment.
// It sees a peak in advance only within its block; what is louder from the block's
// first sample on it turns down at once.
type limiter struct {
	factor float64 // at the end of the last block
	room   [Block]float64
}

const (
	most    = 32000         // amplitude: both laws of G.711 reach it
	attack  = 1. / 40       // of the factor, by which it goes down in a sample: 5 ms
	release = 1. / rate * 5 // and up again: 200 ms
)

// apply amplifies a block by a factor that goes from one value to another.
func (l *limiter) apply(pcm []int16, from, to float64) {
	step := (to - from) / Block
	next := math.Inf(1)
	for i := Block - 1; i >= 0; i-- {
		amplitude := math.Abs(float64(pcm[i])) * (from + step*float64(i+1))
		next = min(next+attack, most/max(most, amplitude))
		l.room[i] = next
	}
	for i, v := range pcm {
		l.factor = min(1, l.factor+release, l.room[i])
		pcm[i] = int16(math.Round(float64(v) * (from + step*float64(i+1)) * l.factor))
	}
}
