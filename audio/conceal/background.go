package conceal

import "math"

const (
	// piece is how much is judged at once, in samples.
	piece = 10 * millisecond

	// loudest is the most that background noise may be, in mean square: 50 dB
	// below full scale. What is louder for long is music rather than noise.
	loudest = 1 << 30 / 1e5
)

// background is the noise that remains when nobody speaks: the power of the
// quietest pieces heard, and how alike their neighbouring samples are.
type background struct {
	power float64 // mean square
	tilt  float64 // correlation of neighbours: towards 1 dull, below 0 sharp

	// of the piece that is being heard
	n                 int
	sum, own, product float64
	before            float64 // the sample before

	// of the noise that is being made
	level, last float64
	random      random
}

// hear takes note of a sample as it arrived.
func (b *background) hear(s int16) {
	x := float64(s)
	b.sum += x
	b.own += x * x
	b.product += x * b.before
	b.before = x
	if b.n++; b.n == piece {
		b.judge()
	}
}

// judge ends a piece. The power follows a quieter one at once, and otherwise
// grows by 2 dB a second, so that words hardly raise it from pause to pause.
func (b *background) judge() {
	mean := b.sum / piece
	power := max(b.own/piece-mean*mean, 0) // an offset is no noise
	most := min(b.power*1.005+0.05, loudest)
	if power <= most {
		b.power = power
		if power > 0 {
			tilt := (b.product/piece - mean*mean) / power
			b.tilt += (max(-0.9, min(tilt, 0.9)) - b.tilt) / 4
		}
	} else {
		b.power = most
	}
	b.level = math.Sqrt(b.power * (1 - b.tilt*b.tilt))
	b.n, b.sum, b.own, b.product = 0, 0, 0, 0
}

// next is the next sample of noise like it.
func (b *background) next() float64 {
	if b.power == 0 {
		return 0
	}
	b.last = b.tilt*b.last + b.level*b.random.next()
	return b.last
}
