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
	fft *fft.Real

	taps, block, fade int
	h, old            []float64 // newest sample last
	flat              bool      // h lets everything pass unchanged
	buf               []float64 // the samples before a block, and the block

	spectrum []complex128
	cepstrum []float64
}

// New returns a Filter of so many taps for blocks of so many samples, an even number;
// in the first fade of them, even too, it passes over from the block before. Its gains are those of a transform of n points, up to half the rate: n/2+1
// of them. n is four times a product of twos and fives, and at least twice taps.
func New(n, taps, block, fade int) *Filter {
	f := &Filter{
		fft:  fft.NewReal(n),
		taps: taps, block: block, fade: fade,
		h: make([]float64, taps), old: make([]float64, taps),
		buf:      make([]float64, taps+block),
		spectrum: make([]complex128, n/2+1), cepstrum: make([]float64, n),
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
	h := f.h
	old := f.old[:len(h)]
	step := 1 / float64(f.fade)
	for n := 0; n < f.fade; n += 2 {
		at, next := f.buf[n+1:][:len(h)], f.buf[n+2:][:len(h)]
		var before0, now0, before1, now1 float64
		for m, v := range h {
			w, u := old[m], at[m]
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
	for n := f.fade; n < f.block; n += 2 {
		at, next := f.buf[n+1:][:len(h)], f.buf[n+2:][:len(h)]
		var now0, now1 float64
		for m, v := range h {
			now0 += v * at[m]
			now1 += v * next[m]
		}
		x[n], x[n+1] = now0, now1
	}
}

// design makes the filter of minimum phase that has the gains: its cepstrum is
// that of the gains, folded onto the future.
func (f *Filter) design(gains []float64) {
	f.flat = false
	for k, g := range gains {
		f.spectrum[k] = complex(g, 0)
	}
	f.fft.Back(f.spectrum, f.cepstrum)
	half := len(f.cepstrum) / 2
	for i := 1; i < half; i++ {
		f.cepstrum[i] *= 2
	}
	clear(f.cepstrum[half+1:])
	f.fft.Forward(f.cepstrum, f.spectrum)
	for k, v := range f.spectrum {
		r := math.Exp(real(v))
		sin, cos := math.Sincos(imag(v))
		f.spectrum[k] = complex(r*cos, r*sin)
	}
	f.fft.Back(f.spectrum, f.cepstrum)
	for m := range f.h {
		f.h[f.taps-1-m] = f.cepstrum[m]
	}
}
