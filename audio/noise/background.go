package noise

import (
	"math"
	"slices"
)

// A background is how loud it is at each frequency while nobody speaks: some times the
// least power of the last second and a half, during which speech leaves each
// frequency free at some time (Martin, "Noise power spectral density estimation based
// on optimal smoothing and minimum statistics", IEEE Trans. Speech Audio Process.
// 9(5), 2001). A tracker of what is likely to be no speech, beside it, made no
// difference that could be measured.
type background struct {
	level   [bins]float64 // power, rather too little: speech is harmed less by that
	present bool          // there is one

	past  [blur][bins]float64 // powers, a ring
	at    int
	mean  [bins]float64
	lows  [parts][bins]float64 // the least means, a ring
	turn  int                  // the newest of lows
	age   int                  // its blocks
	older [bins]float64        // the least of lows but for the newest
	loud  [bins]float64        // what a flattened power is in the sound
}

const (
	blur  = 6   // blocks, 60 ms, of a mean: a gap in speech is hardly longer
	parts = 8   // of the last second and a half
	part  = 20  // blocks, 200 ms
	bias  = 1.9 // times the least mean: 2 dB less than what noise has
	least = 0.1 // power of a bin: that of rounding to 16 bits

	low = 1 // the first bin that counts as sound: below it is an offset

	// A background whose level is above enter, in dB of full scale, is one (of -65 dB)
	// if it is even; below leave it is none.
	enter = -67.0
	leave = -70.0

	// Speech without a background leaves gaps too, but no two are alike. Even in the
	// quarter of the frequencies in which they are most alike, the fourth of eight parts
	// is 4.5 dB and more above the least; with a background 20 dB weaker than the speech
	// it is mostly less than 3 dB.
	fourth = 3
	even   = 3.5
)

func (b *background) begin() {
	for k := range b.level {
		b.level[k] = least
		w := math.Pi * float64(k) / (bins - 1)
		b.loud[k] = 1 / (1 + flat*flat - 2*flat*math.Cos(w))
	}
}

// hear takes in the powers of a block.
func (b *background) hear(power *[bins]float64) {
	b.average(power)
	newest := &b.lows[b.turn]
	for k := range newest {
		newest[k] = min(newest[k], b.mean[k])
		b.level[k] = max(least, bias*min(newest[k], b.older[k]))
	}
	if b.age++; b.age == part {
		b.age = 0
		b.judge()
		b.next()
	}
}

// average works out the mean of the last powers, over neighbours too.
func (b *background) average(power *[bins]float64) {
	b.past[b.at] = *power
	b.at = (b.at + 1) % blur
	sum := b.past[0]
	for i := range b.past[1:] {
		for k, p := range &b.past[i+1] {
			sum[k] += p
		}
	}
	for k, p := range sum {
		b.mean[k] = (sum[max(k, 1)-1] + 2*p + sum[min(k+1, bins-1)]) / (4 * blur)
	}
}

// next begins a part.
func (b *background) next() {
	b.turn = (b.turn + 1) % parts
	for k := range b.older {
		b.lows[b.turn][k] = math.Inf(1)
		b.older[k] = math.Inf(1)
		for i := range b.lows {
			b.older[k] = min(b.older[k], b.lows[i][k])
		}
	}
}

// judge tells, whenever a part is complete, whether there is a background.
func (b *background) judge() {
	sum := 0.0
	for k := low; k < bins; k++ {
		sum += b.level[k] * b.loud[k]
	}
	dB := 10 * math.Log10(sum/(bins-1)/(1<<30))
	if b.present {
		b.present = dB > leave
	} else {
		b.present = dB > enter && b.unevenness() < even
	}
}

// unevenness is by how much the fourth of the parts is above the least, in dB, where
// that is least.
func (b *background) unevenness() float64 {
	var above [bins - low]float64
	for k := range above {
		var lows [parts]float64
		for i := range b.lows {
			lows[i] = b.lows[i][low+k] + least
		}
		slices.Sort(lows[:])
		above[k] = 10 * math.Log10(lows[fourth]/lows[0])
	}
	slices.Sort(above[:])
	return above[len(above)/4]
}
