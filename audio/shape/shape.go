// Package shape weighs the frequencies of sound without delaying it: what is left
// of an echo, and noise, are taken out by it.
package shape

import (
	"math"

	"securecall/audio/fft"
)

// A Filter is a short filter of minimum phase, of all that have its gains the one
// that answers soonest. It is another one for each block, and passes over from one
// to the next. It does not allocate after New.
type Filter struct {
	fft *fft.FFT
	z   []complex128

	taps, block int
	h, old      []float64 // newest sample last
	flat        bool      // h lets everything pass unchanged
	buf         []float64 // the samples before a block, and the block

	spectrum, unused, none []complex128
	cepstrum, rest, zeros  []float64
}

// New returns a Filter of so many taps for blocks of so many samples, an even
// number. Its gains are those of a transform of n points, up to half the rate: n/2+1
// of them. n is a product of twos and fives, and more than twice taps.
func New(n, taps, block int) *Filter {
	bins := n/2 + 1
	f := &Filter{
		fft: fft.New(n), z: make([]complex128, n),
		taps: taps, block: block,
		h: make([]float64, taps), old: make([]float64, taps),
		buf:      make([]float64, taps+block),
		spectrum: make([]complex128, bins), unused: make([]complex128, bins), none: make([]complex128, bins),
		cepstrum: make([]float64, n), rest: make([]float64, n), zeros: make([]float64, n),
	}
	f.pass()
	return f
}

// Apply filters a block in place. gains are natural logarithms of amplitudes; nil
// lets everything pass, bit for bit where the block before did too.
func (f *Filter) Apply(x, gains []float64) {
	wasFlat := f.flat
	f.h, f.old = f.old, f.h
	if gains == nil {
		f.pass()
	} else {
		f.design(gains)
	}
	copy(f.buf[f.taps:], x)
	if !f.flat || !wasFlat {
		f.convolve(x)
	}
	copy(f.buf[:f.taps], f.buf[f.block:])
}

func (f *Filter) pass() {
	clear(f.h)
	f.h[f.taps-1] = 1
	f.flat = true
}

// convolve works on two samples at a time, so that sums need not wait for one
// another.
func (f *Filter) convolve(x []float64) {
	old, h := f.old, f.h[:len(f.old)]
	step := 1 / float64(f.block)
	for n := 0; n+1 < f.block; n += 2 {
		at, next := f.buf[n+1:][:len(old)], f.buf[n+2:][:len(old)]
		var before0, now0, before1, now1 float64
		for m, w := range old {
			v, u := h[m], at[m]
			before0 += w * u
			now0 += v * u
			u = next[m]
			before1 += w * u
			now1 += v * u
		}
		t := float64(n+1) * step
		x[n] = before0 + t*(now0-before0)
		x[n+1] = before1 + (t+step)*(now1-before1)
	}
}

// design makes the filter of minimum phase that has the gains: its cepstrum is
// that of the gains, folded onto the future.
func (f *Filter) design(gains []float64) {
	f.flat = false
	for k, g := range gains {
		f.spectrum[k] = complex(g, 0)
	}
	f.fft.Back(f.z, f.spectrum, f.none, f.cepstrum, f.rest)
	half := len(f.cepstrum) / 2
	for i := 1; i < half; i++ {
		f.cepstrum[i] *= 2
	}
	clear(f.cepstrum[half+1:])
	f.fft.Both(f.z, f.cepstrum, f.zeros, f.spectrum, f.unused)
	for k, v := range f.spectrum {
		r := math.Exp(real(v))
		sin, cos := math.Sincos(imag(v))
		f.spectrum[k] = complex(r*cos, r*sin)
	}
	f.fft.Back(f.z, f.spectrum, f.none, f.cepstrum, f.rest)
	for m := range f.h {
		f.h[f.taps-1-m] = f.cepstrum[m]
	}
}
