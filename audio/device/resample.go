package device

import (
	"io"
	"math"
	"sync"

	"securecall/audio"
)

// The low-pass filter of the resampler is a sinc under a Kaiser window. These
// numbers give 80 dB of attenuation, flat up to 3.58 kHz and closed from 4 kHz
// on, at 8 kHz out.
const (
	sincZeros  = 48    // zero crossings on each side
	sincGrain  = 512   // values tabled between two of them, interpolated linearly
	sincEdge   = 0.947 // where the filter is half closed, of half the lower rate
	kaiserBeta = 7.86
	keepTaps   = 1 << 16 // values of the filter to be kept, for all places together
)

// A resampler turns samples of any rate into samples at 8 kHz. It computes
// each from the input around it, at its exact place in time.
type resampler struct {
	pull func() (float64, error) // the input, and its end or failure

	rate   int         // of the input, Hz
	narrow float64     // the filter's zero crossings, an input sample
	reach  int         // how many input samples the filter sees on each side
	grid   int         // the places between two input samples are multiples of this, in 1/8000
	kept   [][]float64 // the filter for each; nil where they are too many
	row    []float64   // the filter for the current place, where it is not kept

	buf     []float64 // input; 2 reach + 1 samples from at on are around the current place
	at      int
	part    int   // the place between the middle and the next input sample, in 1/8000
	waiting int   // input samples to take in before the next output
	left    int   // counts down to the last output once the input has ended
	err     error // of pull
}

// newResampler resamples what pull gives at rate; pull's error is passed on
// when all before it has been given out.
func newResampler(rate int, pull func() (float64, error)) *resampler {
	narrow := sincEdge * min(1, float64(audio.SampleRate)/float64(rate))
	reach := int(math.Ceil(sincZeros / narrow))
	r := &resampler{
		pull:    pull,
		rate:    rate,
		narrow:  narrow,
		reach:   reach,
		grid:    gcd(rate, audio.SampleRate),
		row:     make([]float64, 2*reach+1),
		buf:     make([]float64, 4*(2*reach+1)),
		waiting: reach + 1,
		left:    reach + 1,
	}
	if rate != audio.SampleRate {
		r.keep()
	}
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// next returns the next sample at 8 kHz.
func (r *resampler) next() (float64, error) {
	if r.rate == audio.SampleRate {
		return r.pull()
	}
	for ; r.waiting > 0; r.waiting-- {
		r.shift()
	}
	if r.left <= 0 {
		return 0, r.err
	}
	sum := 0.0
	line := r.buf[r.at : r.at+2*r.reach+1]
	for i, tap := range r.taps() {
		sum += line[i] * tap
	}
	r.part += r.rate
	r.waiting = r.part / audio.SampleRate
	r.part %= audio.SampleRate
	return sum, nil
}

// taps is the filter for the current place between two input samples.
func (r *resampler) taps() []float64 {
	if r.kept == nil {
		r.compute(r.row, r.part)
		return r.row
	}
	return r.kept[r.part/r.grid]
}

// compute writes the filter for a place, in 1/8000, to row.
func (r *resampler) compute(row []float64, part int) {
	kernel := sincKernel()
	off := float64(part) / audio.SampleRate
	for i := range row {
		at := math.Abs(float64(i-r.reach)-off) * r.narrow * sincGrain
		n := int(at)
		if n >= len(kernel)-1 {
			row[i] = 0
			continue
		}
		frac := at - float64(n)
		row[i] = r.narrow * (kernel[n] + frac*(kernel[n+1]-kernel[n]))
	}
}

// keep computes the filters for all places once, where they are few: for the
// usual rates.
func (r *resampler) keep() {
	places := audio.SampleRate / r.grid
	if places*len(r.row) > keepTaps {
		return
	}
	r.kept = make([][]float64, places)
	for i := range r.kept {
		r.kept[i] = make([]float64, len(r.row))
		r.compute(r.kept[i], i*r.grid)
	}
}

// shift takes in one input sample; beyond the end there is silence.
func (r *resampler) shift() {
	x := 0.0
	if r.err == nil {
		x, r.err = r.pull()
	}
	if r.err != nil {
		x = 0
		r.left--
	}
	if r.at++; r.at+2*r.reach+1 > len(r.buf) {
		copy(r.buf, r.buf[r.at:])
		r.at = 0
	}
	r.buf[r.at+2*r.reach] = x
}

// sincKernel is one side of the filter, sincGrain values a zero crossing; it
// is computed once, and not changed.
var sincKernel = sync.OnceValue(func() []float64 {
	kernel := make([]float64, sincZeros*sincGrain+1)
	kernel[0] = 1
	for i := 1; i < len(kernel); i++ {
		t := float64(i) / sincGrain
		sinc := math.Sin(math.Pi*t) / (math.Pi * t)
		u := t / sincZeros
		kernel[i] = sinc * bessel0(kaiserBeta*math.Sqrt(max(0, 1-u*u))) / bessel0(kaiserBeta)
	}
	return kernel
})

// bessel0 is the modified Bessel function of the first kind and order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// fillFrame fills f from next, with silence behind the last sample; only
// where there was none at all is it an error.
func fillFrame(f audio.Frame, next func() (float64, error)) error {
	for i := range f {
		x, err := next()
		if err != nil {
			if i == 0 || err != io.EOF {
				return err
			}
			clear(f[i:])
			return nil
		}
		f[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(x))))
	}
	return nil
}
