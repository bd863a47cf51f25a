package device

import (
	"encoding/binary"
	"io"
	"math"
	"sync"

	"securecall/audio"
)

const (
	sincGrain = 512     // values tabled between two zero crossings, interpolated linearly
	keepTaps  = 1 << 16 // values of the filter to be kept, for all places together
)

// A lowpass is the filter of a resampler: a sinc under a Kaiser window.
type lowpass struct {
	zeros  int              // zero crossings on each side
	edge   float64          // where it is half closed, of half the lower rate
	kernel func() []float64 // one side of it, sincGrain values a zero crossing; computed once
}

// The filter for files may look as far ahead as it likes: 80 dB of attenuation,
// flat up to 3.58 kHz and closed from 4 kHz on.
//
// That for devices delays sound by 2 ms and is what a telephone's is (ITU-T
// G.712): flat up to 3.3 kHz, 0.2 dB down at 3.4 kHz, 15 dB at 4 kHz, and 68 dB or
// more from 4.4 kHz on, so that nothing folds into the band of speech.
var (
	fileLowpass = newLowpass(48, 0.947, 7.86)
	liveLowpass = newLowpass(15, 0.95, 6.76)
	noLowpass   = newLowpass(1, 1, 0) // between equal rates: each sample as it is
)

func newLowpass(zeros int, edge, beta float64) lowpass {
	return lowpass{zeros, edge, sync.OnceValue(func() []float64 { return kaiserSinc(zeros, beta) })}
}

// kaiserSinc is one side of a sinc under a Kaiser window.
func kaiserSinc(zeros int, beta float64) []float64 {
	kernel := make([]float64, zeros*sincGrain+1)
	kernel[0] = 1
	for i := 1; i < len(kernel); i++ {
		t := float64(i) / sincGrain
		sinc := math.Sin(math.Pi*t) / (math.Pi * t)
		u := t / float64(zeros)
		kernel[i] = sinc * bessel0(beta*math.Sqrt(max(0, 1-u*u))) / bessel0(beta)
	}
	return kernel
}

// bessel0 is the modified Bessel function of the first kind and order zero.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// A resampler turns samples of one rate into samples of another. It computes
// each from the input around it, at its exact place in time.
type resampler struct {
	kernel []float64
	narrow float64     // the filter's zero crossings, an input sample
	reach  int         // how many input samples the filter sees on each side of a place; a multiple of 4
	kept   [][]float32 // the filter for each place; nil where they are too many
	row    []float32   // the filter for the current place, where it is not kept

	buf     []float32 // input; 2 reach samples from at on are around the current place
	at      int
	place   int // between the two samples in the middle, in grids
	places  int // there are
	whole   int // input samples from one output to the next,
	rest    int // and places
	waiting int // input samples to take in before the next output
}

// newResampler's resampler gives its first sample for the first that it takes
// in: what it gives is reach input samples late.
func newResampler(from, to int, f lowpass) *resampler {
	if from == to {
		f = noLowpass
	}
	narrow := f.edge * min(1, float64(to)/float64(from))
	reach := (int(math.Ceil(float64(f.zeros)/narrow)) + 3) &^ 3
	grid := gcd(from, to)
	r := &resampler{
		kernel:  f.kernel(),
		narrow:  narrow,
		reach:   reach,
		row:     make([]float32, 2*reach),
		buf:     make([]float32, 8*reach),
		places:  to / grid,
		whole:   from / to,
		rest:    from % to / grid,
		waiting: 1,
	}
	r.keep()
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// taps is the filter for the current place between two input samples.
func (r *resampler) taps() []float32 {
	if r.kept == nil {
		r.compute(r.row, r.place)
		return r.row
	}
	return r.kept[r.place]
}

// compute writes the filter for a place to row.
func (r *resampler) compute(row []float32, place int) {
	off := float64(place) / float64(r.places)
	for i := range row {
		at := math.Abs(float64(i-r.reach+1)-off) * r.narrow * sincGrain
		n := int(at)
		if n >= len(r.kernel)-1 {
			row[i] = 0
			continue
		}
		frac := at - float64(n)
		row[i] = float32(r.narrow * (r.kernel[n] + frac*(r.kernel[n+1]-r.kernel[n])))
	}
}

// keep computes the filters for all places once, where they are few: for the
// usual rates.
func (r *resampler) keep() {
	if r.places*len(r.row) > keepTaps {
		return
	}
	r.kept = make([][]float32, r.places)
	for i := range r.kept {
		r.kept[i] = make([]float32, len(r.row))
		r.compute(r.kept[i], i)
	}
}

// take takes in one sample.
func (r *resampler) take(x float32) {
	if r.at++; r.at+2*r.reach > len(r.buf) {
		copy(r.buf, r.buf[r.at:])
		r.at = 0
	}
	r.buf[r.at+2*r.reach-1] = x
	r.waiting--
}

// give gives out one sample; it is called while nothing is waited for.
func (r *resampler) give() float32 {
	y := dot(r.taps(), r.buf[r.at:])
	r.waiting = r.whole
	if r.place += r.rest; r.place >= r.places {
		r.place -= r.places
		r.waiting++
	}
	return y
}

// dot is the scalar product of a, of a multiple of eight values, and as many of b.
// The sums are apart because each addition has to wait for the last of its own.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	for len(a) >= 8 && len(b) >= 8 {
		p, q := (*[8]float32)(a), (*[8]float32)(b)
		s0 += p[0]*q[0] + p[4]*q[4]
		s1 += p[1]*q[1] + p[5]*q[5]
		s2 += p[2]*q[2] + p[6]*q[6]
		s3 += p[3]*q[3] + p[7]*q[7]
		a, b = a[8:], b[8:]
	}
	return s0 + s1 + (s2 + s3)
}

// appendSample appends to raw, as 16-bit little-endian samples, what is due once
// x has been taken in.
func (r *resampler) appendSample(raw []byte, x int16) []byte {
	r.take(float32(x))
	for r.waiting == 0 {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(round(float64(r.give()))))
	}
	return raw
}

// round is x as a 16-bit sample.
func round(x float64) int16 {
	switch {
	case x > math.MaxInt16:
		return math.MaxInt16
	case x < math.MinInt16:
		return math.MinInt16
	}
	return int16(math.Floor(x + 0.5))
}

// A fileResampler resamples what is pulled out of it, to 8 kHz, and does not
// delay it.
type fileResampler struct {
	*resampler
	pull func() (float64, error) // the input, and its end or failure
	left int                     // counts down to the last output once the input has ended
	err  error                   // of pull
}

// newFileResampler resamples what pull gives at rate; pull's error is passed on
// when all before it has been given out.
func newFileResampler(rate int, pull func() (float64, error)) *fileResampler {
	r := newResampler(rate, audio.SampleRate, fileLowpass)
	r.waiting = r.reach + 1
	return &fileResampler{resampler: r, pull: pull, left: r.reach + 1}
}

// next returns the next sample at 8 kHz; beyond the end of the input there is
// silence.
func (r *fileResampler) next() (float64, error) {
	for r.waiting > 0 {
		x := 0.0
		if r.err == nil {
			x, r.err = r.pull()
		}
		if r.err != nil {
			x = 0
			r.left--
		}
		r.take(float32(x))
	}
	if r.left <= 0 {
		return 0, r.err
	}
	return float64(r.give()), nil
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
		f[i] = round(x)
	}
	return nil
}
