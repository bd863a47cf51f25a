// Package stretch makes speech a little longer or shorter without changing its
// pitch: time-scale modification by waveform similarity overlap-add (WSOLA:
// Verhelst and Roelands, ICASSP 1993), one splice at a time.
//
// A splice leaves the sound at one place and goes on at another that looks
// alike, a pitch period or a few later (which makes it shorter) or earlier
// (longer), and cross-fades from one to the other. Where and how often is the
// caller's business; so there is no state here, no I/O and no allocation.
package stretch

import (
	"math"

	"securecall/audio"
)

// Overlap is how many samples a splice cross-fades and Find compares: 10 ms.
const Overlap = audio.SampleRate / 100

// MinJump and MaxJump bound the pitch periods of speech, in samples: 2.5 ms
// (a child's 400 Hz) to 16 ms (a deep voice's 62.5 Hz).
const (
	MinJump = audio.SampleRate / 400
	MaxJump = audio.SampleRate * 2 / 125
)

// Find looks for the jump from low to high samples, both of the same sign or
// zero, after which pcm goes on most like it does at: it compares the Overlap
// samples at at with those at at+jump. likeness is their normalised
// correlation, from -1 to 1; two silences are alike.
//
// All of pcm[at+low:at+high+Overlap] and pcm[at:at+Overlap] must be there, and
// low <= high.
func Find(pcm []int16, at, low, high int) (jump int, likeness float64) {
	here := pcm[at : at+Overlap]
	// Every second sample at every second jump first: speech at 8 kHz has
	// little above 2 kHz that would tell one pitch period from another.
	best := math.Inf(-1)
	for j := low; j <= high; j += 2 {
		if s := score(product(here, pcm[at+j:at+j+Overlap], 2)); s > best {
			jump, best = j, s
		}
	}
	coarse, best := jump, math.Inf(-1)
	for j := max(low, coarse-1); j <= min(high, coarse+1); j++ {
		if s := score(product(here, pcm[at+j:at+j+Overlap], 1)); s > best {
			jump, best = j, s
		}
	}
	energy, _ := product(here, here, 1)
	switch {
	case energy > 0:
		likeness = max(-1, min(1, best/math.Sqrt(float64(energy))))
	case best == 0 && quietAt(pcm[at+jump:at+jump+Overlap]):
		likeness = 1
	}
	return jump, likeness
}

// product is the inner product of a and b, and b's with itself, over every
// step'th sample.
func product(a, b []int16, step int) (ab, bb int64) {
	b = b[:len(a)]
	for i := 0; i < len(a); i += step {
		x, y := int64(a[i]), int64(b[i])
		ab += x * y
		bb += y * y
	}
	return ab, bb
}

// score grows with the correlation of a and b; a is the same in all that are
// compared.
func score(ab, bb int64) float64 {
	if bb == 0 {
		return 0
	}
	return float64(ab) / math.Sqrt(float64(bb))
}

func quietAt(pcm []int16) bool {
	for _, s := range pcm {
		if s != 0 {
			return false
		}
	}
	return true
}

// Splice fills dst with the sound that starts at pcm[from] and jumps after at
// samples: dst[:at] is what is there, then Overlap samples fade over to what
// is jump samples further on, and the rest comes from there. So it uses up
// len(dst)+jump samples of pcm for len(dst) samples of sound.
//
// likeness is Find's: the cross-fade keeps the power of two sounds that are
// that much alike. at+Overlap must not exceed len(dst).
func Splice(dst, pcm []int16, from, at, jump int, likeness float64) {
	copy(dst[:at], pcm[from:])
	alike := max(0, min(1, likeness))
	out, in := pcm[from+at:], pcm[from+at+jump:]
	for i := range Overlap {
		b := fade[i]
		a := 1 - b
		gain := 1 / math.Sqrt(a*a+b*b+2*alike*a*b)
		s := gain * (a*float64(out[i]) + b*float64(in[i]))
		dst[at+i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(s))))
	}
	copy(dst[at+Overlap:], pcm[from+at+jump+Overlap:])
}

// fade rises from 0 to 1 as half a period of a cosine does.
var fade = func() (f [Overlap]float64) {
	for i := range f {
		f[i] = 0.5 - 0.5*math.Cos(math.Pi*(float64(i)+0.5)/Overlap)
	}
	return f
}()
