package shape_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio/shape"
)

const n, taps, block = 128, 64, 80

// A tone comes out with the gain of its frequency, and sooner than it would of any
// filter that delays all frequencies alike.
func TestGains(t *testing.T) {
	gains := make([]float64, n/2+1)
	for k := range gains {
		gains[k] = math.Cos(2 * math.Pi * float64(k) / (n / 2)) // +8.7 to -8.7 dB and back
	}
	for k := 4; k <= n/2-4; k += 4 {
		f := shape.New(n, taps, block, block)
		in, out := 0.0, 0.0
		for b := range 10 {
			x := make([]float64, block)
			for i := range x {
				x[i] = 1000 * math.Sin(2*math.Pi*float64(k*(b*block+i))/n)
			}
			before := slices.Clone(x)
			f.Apply(x, gains)
			if b < 2 {
				continue
			}
			for i := range x {
				in += before[i] * before[i]
				out += x[i] * x[i]
			}
		}
		if got := math.Log(out/in) / 2; math.Abs(got-gains[k]) > 0.05 {
			t.Errorf("bin %d: a gain of %.3f, not %.3f", k, got, gains[k])
		}
	}
	f := shape.New(n, taps, block, 2)
	x := make([]float64, block)
	x[10] = 1
	f.Apply(x, gains)
	early, all := 0.0, 0.0
	for i, v := range x {
		if all += v * v; i < 13 {
			early += v * v
		}
	}
	if early < 0.8*all || x[9] != 0 {
		t.Errorf("of an impulse %.2f of %.2f come in the first three samples", early, all)
	}
}

// Where everything passes, it is not changed by a bit; where it did not in the block
// before, it comes without a jump.
func TestPass(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, block)
	for i := range x {
		x[i] = math.Round(3000 * r.NormFloat64())
	}
	f := shape.New(n, taps, block, 20)
	y := slices.Clone(x)
	if f.Apply(y, nil); !slices.Equal(x, y) {
		t.Error("a new filter changes what it should let pass")
	}
	low := slices.Repeat([]float64{-2}, n/2+1)
	f.Apply(slices.Clone(x), low)
	y = slices.Clone(x)
	f.Apply(y, nil)
	if g := y[0] / x[0]; g < math.Exp(-2) || g > 0.2 {
		t.Errorf("it jumps from a gain of %.2f to %.2f", math.Exp(-2), g)
	}
	if !slices.Equal(x[20:], y[20:]) {
		t.Error("after a fade it still changes what it should let pass")
	}
	y = slices.Clone(x)
	if f.Apply(y, nil); !slices.Equal(x, y) {
		t.Error("a block later it still changes what it should let pass")
	}
}

func TestNoAllocations(t *testing.T) {
	f, x, gains := shape.New(n, taps, block, 20), make([]float64, block), make([]float64, n/2+1)
	if n := testing.AllocsPerRun(10, func() { f.Apply(x, gains) }); n != 0 {
		t.Errorf("%v allocations a block", n)
	}
}
