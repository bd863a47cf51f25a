package main

import (
	"errors"
	"math"
	"math/bits"
	"math/cmplx"
	"slices"

	"securecall/audio"
)

const (
	window = 4000  // samples: half a second, about a word
	latest = 16000 // samples: the most that the whole may be late; speech that repeats itself would else fit twice
	slip   = 4000  // samples: how much sooner or later than the whole a window may be
	quiet  = 100   // RMS below which a window of SAID says nothing
	piece  = 80    // samples: 10 ms, what can be missing
	gone   = 100   // by how much the energy of a piece is less than it should be, where it is missing
)

// A match tells how alike two sounds are. Delays are in samples; those of
// the windows can differ, where a jitter buffer or a device has slipped.
type match struct {
	correlation        float64 // the median over the windows, of the best each
	delay, least, most int     // the median, the least and the most over the windows
	windows            int     // those in which SAID has something to say
	missing            int     // samples of pieces in these that are loud in SAID, and hardly there
}

// compare finds each window of said in heard, around the place where the
// whole of said fits best.
func compare(said, heard []float64) (match, error) {
	if len(said) < window || len(heard) < window {
		return match{}, errors.New("too short: half a second is the least that can be compared")
	}
	_, whole := find(said, pad(heard, 0, len(said)+latest)[:len(said)+latest])
	var correlations []float64
	var delays []int
	missing := 0
	for at := 0; at+window <= len(said); at += window {
		w := said[at : at+window]
		if energy(w) < quiet*quiet*window {
			continue
		}
		from := max(0, at+whole-slip)
		to := min(len(heard), at+whole+window+slip)
		if to-from < window {
			correlations, delays = append(correlations, 0), append(delays, whole)
			missing += holes(w, make([]float64, window))
			continue // heard ends before it
		}
		c, lag := find(w, heard[from:to])
		missing += holes(w, heard[from+lag:from+lag+window])
		correlations, delays = append(correlations, c), append(delays, from+lag-at)
	}
	if len(delays) == 0 {
		return match{}, errors.New("nothing is said: all is quiet")
	}
	slices.Sort(correlations)
	slices.Sort(delays)
	n := len(delays)
	return match{correlations[n/2], delays[n/2], delays[0], delays[n-1], n, missing}, nil
}

// holes is how many samples of said, in whole pieces, are loud there and hardly there in heard,
// beside how loud all of it is: a median hides them.
func holes(said, heard []float64) (samples int) {
	gain := energy(heard) / energy(said)
	for i := 0; i+piece <= len(said); i += piece {
		own := energy(said[i : i+piece])
		if own > 9*quiet*quiet*piece && energy(heard[i:i+piece]) <= own*gain/gone {
			samples += piece
		}
	}
	return samples
}

// find returns the greatest normalised correlation of part with a piece of
// whole, and where that piece begins.
func find(part, whole []float64) (best float64, at int) {
	size := 1 << bits.Len(uint(len(part)+len(whole)))
	a, b := make([]complex128, size), make([]complex128, size)
	for i, x := range part {
		a[i] = complex(x, 0)
	}
	for i, x := range whole {
		b[i] = complex(x, 0)
	}
	transform(a)
	transform(b)
	for i := range a { // the correlation, conjugated so as to come back by the same transform
		a[i] = a[i] * cmplx.Conj(b[i])
	}
	transform(a)

	own := energy(part)
	there := energy(whole[:len(part)])
	for lag := range len(whole) - len(part) + 1 {
		if lag > 0 {
			there += whole[lag+len(part)-1]*whole[lag+len(part)-1] - whole[lag-1]*whole[lag-1]
		}
		if there < own/1e4 {
			continue // 40 dB below: silence, in which rounding would correlate
		}
		if c := real(a[lag]) / float64(size) / math.Sqrt(own*there); c > best {
			best, at = c, lag
		}
	}
	return best, at
}

// transform is the discrete Fourier transform in place; len(a) is a power of two.
func transform(a []complex128) {
	shift := 64 - bits.Len(uint(len(a))-1)
	for i := range a {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			a[i], a[j] = a[j], a[i]
		}
	}
	for half := 1; half < len(a); half *= 2 {
		turn := make([]complex128, half)
		for k := range turn {
			turn[k] = cmplx.Rect(1, -math.Pi*float64(k)/float64(half))
		}
		for start := 0; start < len(a); start += 2 * half {
			for k := range half {
				x, y := a[start+k], a[start+k+half]*turn[k]
				a[start+k], a[start+k+half] = x+y, x-y
			}
		}
	}
}

// level is how loud sound is, and its loudest tenth of a second, in dBov; of
// nothing it is -127, the least that RFC 6464 has a number for.
func level(sound []float64) (all, loudest float64) {
	const piece = audio.SampleRate / 10
	dBov := func(x []float64) float64 {
		return max(-127, 10*math.Log10(energy(x)/float64(max(1, len(x)))/(1<<30)))
	}
	all, loudest = dBov(sound), -127
	for ; len(sound) >= piece; sound = sound[piece:] {
		loudest = max(loudest, dBov(sound[:piece]))
	}
	return all, loudest
}

func energy(s []float64) (sum float64) {
	for _, x := range s {
		sum += x * x
	}
	return sum
}

// pad returns s with silence around it.
func pad(s []float64, before, after int) []float64 {
	return append(append(make([]float64, before, before+len(s)+after), s...), make([]float64, after)...)
}
