package conceal

import (
	"math"

	"securecall/audio"
)

const (
	// The pitch is sought between 200 and 59 Hz. A higher voice is found at a
	// multiple of its period, which serves as well.
	minLag = audio.SampleRate / 200
	maxLag = 17 * millisecond

	// compared is how much of the past a lag is judged by, in samples: little,
	// since the end of the past is what is to be continued.
	compared = 10 * millisecond

	// order is that of the linear prediction: two for each formant of the
	// telephone band and four for the slope of the whole.
	order = 12

	// windowLength is how much the prediction is worked out from, in samples.
	windowLength = 20 * millisecond
)

// pitch returns the lag, from minLag to maxLag, at which the end of x looks
// most like what was before it, and how alike it is then: from -1 to 1.
// len(x) is at least compared + maxLag.
func pitch(x []float64) (lag int, alike float64) {
	end := x[len(x)-compared:]
	own := energy(end)
	at := len(x) - compared - minLag
	other := energy(x[at : at+compared])
	lag, alike = minLag, -1
	for l := minLag; l <= maxLag; l++ {
		at = len(x) - compared - l
		both := dot(end, x[at:])
		// The 1 is far below any sound, and keeps silence out of the quotient.
		if a := both / math.Sqrt(own*other+1); a > alike {
			lag, alike = l, a
		}
		if l < maxLag { // the energy one sample further back
			gone := x[at+compared-1]
			other += x[at-1]*x[at-1] - gone*gone
		}
	}
	return lag, alike
}

// dot is the sum of the products; b is at least as long as a. The four sums do
// not wait for one another.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, s := range a {
		s0 += s * b[i]
	}
	return s0 + s1 + s2 + s3
}

// energy is the sum of the squares.
func energy(x []float64) float64 { return dot(x, x) }

// window weighs the samples of the linear prediction: it rises over 18 ms, so
// that the newest speech counts most, and falls over the last 2.
var window = func() (w [windowLength]float64) {
	const rise = windowLength * 9 / 10
	for i := range w {
		at := float64(i) + 0.5
		if at < rise {
			w[i] = math.Sin(math.Pi / 2 * at / rise)
		} else {
			w[i] = math.Cos(math.Pi / 2 * (at - rise) / (windowLength - rise))
		}
	}
	return
}()

// envelope returns the coefficients by which the last order samples, the
// newest first, best predict the next: by autocorrelation and the recursion of
// Levinson and Durbin, which give a stable filter. len(x) is windowLength.
func envelope(x []float64) (a [order]float64) {
	var w [windowLength]float64
	for i, s := range x {
		w[i] = s * window[i]
	}
	var r [order + 1]float64
	for lag := range r {
		r[lag] = dot(w[lag:], w[:])
	}
	// White noise 40 dB down, and the 1 for silence, keep the recursion well
	// conditioned whatever comes.
	r[0] += r[0]*1e-4 + 1

	left := r[0]
	for i := range a {
		k := r[i+1]
		for j, c := range a[:i] {
			k -= c * r[i-j]
		}
		k /= left
		left *= 1 - k*k
		before := a
		a[i] = k
		for j := range i {
			a[j] -= k * before[i-1-j]
		}
	}
	// Each pole a little inward: a formant must not ring on by itself.
	const inward = 0.995
	g := 1.0
	for i := range a {
		g *= inward
		a[i] *= g
	}
	return a
}
