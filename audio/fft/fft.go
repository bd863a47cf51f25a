// Package fft is the discrete Fourier transform that the canceller of echoes, the
// suppressor of noise and the filters of both work with.
package fft

import "math"

// An FFT is a discrete Fourier transform of n complex points, n a product of twos
// and fives: Stockham's, which sorts as it goes. It does not allocate after New, and
// holds what it works on: one call at a time.
type FFT struct {
	n       int
	factors []int
	w       []complex128 // the n roots of one
	tmp     []complex128
}

// New returns the transform of n points.
func New(n int) *FFT {
	f := &FFT{n: n, w: make([]complex128, n), tmp: make([]complex128, n)}
	for i := range f.w {
		sin, cos := math.Sincos(-2 * math.Pi * float64(i) / float64(n))
		f.w[i] = complex(cos, sin)
	}
	for _, p := range []int{5, 4, 2} {
		for n%p == 0 {
			f.factors = append(f.factors, p)
			n /= p
		}
	}
	if n != 1 {
		panic("fft: a length that is no product of twos and fives")
	}
	return f
}

// Transform is in place and unscaled.
func (f *FFT) Transform(x []complex128) {
	from, to := x, f.tmp
	n, stride := f.n, 1
	for _, p := range f.factors {
		n /= p
		switch p {
		case 2:
			f.radix2(to, from, n, stride)
		case 4:
			f.radix4(to, from, n, stride)
		case 5:
			f.radix5(to, from, n, stride)
		}
		stride *= p
		from, to = to, from
	}
	if len(f.factors)%2 == 1 {
		copy(x, f.tmp)
	}
}

func (f *FFT) radix2(to, from []complex128, m, stride int) {
	for j := range m {
		w := f.w[j*stride]
		x0, x1 := from[stride*j:][:stride], from[stride*(j+m):][:stride]
		y := to[stride*2*j:][:2*stride]
		y0, y1 := y[:stride], y[stride:][:stride]
		for q, a := range x0 {
			b := x1[q]
			y0[q] = a + b
			y1[q] = (a - b) * w
		}
	}
}

func (f *FFT) radix4(to, from []complex128, m, stride int) {
	for j := range m {
		w1, w2, w3 := f.w[j*stride], f.w[2*j*stride], f.w[3*j*stride]
		x0, x1 := from[stride*j:][:stride], from[stride*(j+m):][:stride]
		x2, x3 := from[stride*(j+2*m):][:stride], from[stride*(j+3*m):][:stride]
		y := to[stride*4*j:][:4*stride]
		y0, y1, y2, y3 := y[:stride], y[stride:][:stride], y[2*stride:][:stride], y[3*stride:][:stride]
		for q, a := range x0 {
			b, c, d := x1[q], x2[q], x3[q]
			even, odd := a+c, b+d
			a, b = a-c, b-d
			b = complex(imag(b), -real(b)) // times -i
			y0[q] = even + odd
			y1[q] = (a + b) * w1
			y2[q] = (even - odd) * w2
			y3[q] = (a - b) * w3
		}
	}
}

func (f *FFT) radix5(to, from []complex128, m, stride int) {
	fifth := f.n / 5
	for j := range m {
		for q := range stride {
			var x [5]complex128
			for i := range x {
				x[i] = from[stride*(j+i*m)+q]
			}
			for i := range x {
				sum := x[0]
				for k := 1; k < 5; k++ {
					sum += x[k] * f.w[i*k%5*fifth]
				}
				to[stride*(5*j+i)+q] = sum * f.w[i*j*stride]
			}
		}
	}
}

// Both transforms two real signals at once: a and b, of n points, become their
// spectra up to half the rate. z is for n points to work on.
func (f *FFT) Both(z []complex128, a, b []float64, as, bs []complex128) {
	for i := range z {
		z[i] = complex(a[i], b[i])
	}
	f.Transform(z)
	as[0], bs[0] = complex(real(z[0]), 0), complex(imag(z[0]), 0)
	for k := 1; k <= f.n/2; k++ {
		x, y := z[k], z[f.n-k]
		as[k] = complex((real(x)+real(y))/2, (imag(x)-imag(y))/2)
		bs[k] = complex((imag(x)+imag(y))/2, (real(y)-real(x))/2)
	}
}

// Back is the inverse of Both, scaled.
func (f *FFT) Back(z []complex128, as, bs []complex128, a, b []float64) {
	// The inverse by the same transform: conjugate before and after.
	h := f.n / 2
	for k := 0; k <= h; k++ {
		x, y := as[k], bs[k]
		z[k] = complex(real(x)-imag(y), -(imag(x) + real(y)))
		if k > 0 && k < h {
			z[f.n-k] = complex(real(x)+imag(y), imag(x)-real(y))
		}
	}
	f.Transform(z)
	scale := 1 / float64(f.n)
	for i := range z {
		a[i] = real(z[i]) * scale
		b[i] = -imag(z[i]) * scale
	}
}
