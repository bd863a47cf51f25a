package fft

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

func TestFFT(t *testing.T) {
	for _, n := range []int{2, 4, 5, 10, 80, 160, 2048, 4096} {
		r := rand.New(rand.NewPCG(1, 2))
		a, b := make([]float64, n), make([]float64, n)
		for i := range a {
			a[i], b[i] = r.NormFloat64(), r.NormFloat64()
		}
		f, z := New(n), make([]complex128, n)
		as, bs := make([]complex128, n/2+1), make([]complex128, n/2+1)
		f.Both(z, a, b, as, bs)
		for k := 0; k <= n/2; k += max(1, n/16) {
			var wantA, wantB complex128
			for i := range a {
				w := cmplx.Rect(1, -2*math.Pi*float64(i*k%n)/float64(n))
				wantA += complex(a[i], 0) * w
				wantB += complex(b[i], 0) * w
			}
			if n%2 == 0 && (cmplx.Abs(as[k]-wantA) > 1e-9*float64(n) || cmplx.Abs(bs[k]-wantB) > 1e-9*float64(n)) {
				t.Fatalf("%d points, bin %d: %v %v, want %v %v", n, k, as[k], bs[k], wantA, wantB)
			}
		}
		if n%2 != 0 {
			continue
		}
		a2, b2 := make([]float64, n), make([]float64, n)
		f.Back(z, as, bs, a2, b2)
		for i := range a {
			if math.Abs(a[i]-a2[i]) > 1e-9 || math.Abs(b[i]-b2[i]) > 1e-9 {
				t.Fatalf("%d points: sample %d comes back as %v, %v", n, i, a2[i], b2[i])
			}
		}
	}
}

func TestReal(t *testing.T) {
	for _, n := range []int{4, 8, 20, 128, 160, 256} {
		r := rand.New(rand.NewPCG(1, 2))
		x, zeros, back := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		got, want, unused := make([]complex128, n/2+1), make([]complex128, n/2+1), make([]complex128, n/2+1)
		f := NewReal(n)
		f.Forward(x, got)
		New(n).Both(make([]complex128, n), x, zeros, want, unused)
		for k := range want {
			if cmplx.Abs(got[k]-want[k]) > 1e-9*float64(n) {
				t.Fatalf("%d points, bin %d: %v, want %v", n, k, got[k], want[k])
			}
		}
		f.Back(got, back)
		for i := range x {
			if math.Abs(x[i]-back[i]) > 1e-9 {
				t.Fatalf("%d points: sample %d comes back as %v, not %v", n, i, back[i], x[i])
			}
		}
	}
}
