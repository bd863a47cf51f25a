package fft

import (
	"math"
	"math/cmplx"
)

// A Real is the transform of one real signal of n points, by a complex one of half as
// many: its even points are the real part of that, its odd ones the imaginary part.
type Real struct {
	half *FFT
	z    []complex128
	w    []complex128 // the first quarter of the n roots of one
}

// NewReal returns the transform of n points, four times a product of twos and fives.
func NewReal(n int) *Real {
	r := &Real{half: New(n / 2), z: make([]complex128, n/2), w: make([]complex128, n/4+1)}
	for k := range r.w {
		r.w[k] = cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n))
	}
	return r
}

// Forward makes of n points their spectrum up to half the rate, n/2+1 bins, unscaled.
func (r *Real) Forward(x []float64, spectrum []complex128) {
	h := len(r.z)
	for i := range r.z {
		r.z[i] = complex(x[2*i]/2, x[2*i+1]/2)
	}
	r.half.Transform(r.z)
	for k, w := range r.w {
		a, b := r.z[k], conj(r.z[(h-k)%h])
		even, odd := a+b, a-b
		odd = w * complex(imag(odd), -real(odd)) // divided by i
		spectrum[k], spectrum[h-k] = even+odd, conj(even-odd)
	}
}

// Back is the inverse of Forward, scaled.
func (r *Real) Back(spectrum []complex128, x []float64) {
	h := len(r.z)
	for k, w := range r.w {
		a, b := spectrum[k], conj(spectrum[h-k])
		even, odd := a+b, conj(w)*(a-b)
		odd = complex(-imag(odd), real(odd)) // times i
		// The inverse by the same transform: conjugate before and after.
		r.z[k] = conj(even + odd)
		if k > 0 {
			r.z[h-k] = even - odd
		}
	}
	r.half.Transform(r.z)
	scale := 0.5 / float64(h)
	for i, v := range r.z {
		x[2*i], x[2*i+1] = real(v)*scale, -imag(v)*scale
	}
}

func conj(z complex128) complex128 { return complex(real(z), -imag(z)) }
