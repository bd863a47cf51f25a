// Package judge is for the programs that compare securecall's sound with that of
// others: recorded speech, and how far what is heard is from what was said.
package judge

import (
	"math"

	"securecall/audio"
)

const frame = audio.FrameSamples

// The measures compare what was heard with what was said, where something was
// said: in frames whose mean square, full scale being 1, is at least this.
const sounding = 1e-5

const (
	window = 256 // samples, 32 ms
	hop    = window / 2
	nbands = 24
)

// waves are the windowed cosines and sines of bins 8 to 103 (250 to 3220 Hz).
var waves = func() (w [4 * nbands][window][2]float64) {
	for k := range w {
		for i := range window {
			hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
			s, c := math.Sincos(2 * math.Pi * float64((8+k)*i) / window)
			w[k][i] = [2]float64{hann * c, hann * s}
		}
	}
	return
}()

// bands are the powers, in dB, of a window in 24 bands of equal width.
func bands(x []float64) (db [nbands]float64) {
	for k := range waves {
		re, im := 0.0, 0.0
		for i, v := range x[:window] {
			re += v * waves[k][i][0]
			im += v * waves[k][i][1]
		}
		db[k/4] += re*re + im*im
	}
	for k, p := range db {
		db[k] = 10 * math.Log10(p+1e-4)
	}
	return
}

// distance is the root mean square difference of two such, in dB.
func distance(a, b *[nbands]float64) float64 {
	e := 0.0
	for k := range a {
		e += (a[k] - b[k]) * (a[k] - b[k])
	}
	return math.Sqrt(e / nbands)
}

// Spectra hold the bands of every window of the reference, and how far the
// best that can be heard is from it, so that both are worked out once.
type Spectra struct {
	said, clean []float64
	bands       [][nbands]float64
	least       []float64 // distance of clean from said; negative: not sounding
}

// NewSpectra works on what was said and on the best that can be heard of it.
func NewSpectra(said, clean []float64) *Spectra {
	s := &Spectra{said: said, clean: clean}
	for i := 0; i+window <= len(said); i += hop {
		d := -1.0
		var a [nbands]float64
		if power(said[i:i+window]) >= sounding {
			a = bands(said[i : i+window])
			b := bands(clean[i : i+window])
			d = distance(&a, &b)
		}
		s.bands, s.least = append(s.bands, a), append(s.least, d)
	}
	return s
}

// LogSpectral is the mean log-spectral distance of heard, in dB, over windows
// of 32 ms, half overlapping, in which the reference sounds.
func (s *Spectra) LogSpectral(heard []float64) float64 {
	sum, n := 0.0, 0
	for w, d := range s.least {
		if d < 0 {
			continue
		}
		at := w * hop
		for i := at; i < at+window; i++ {
			if heard[i] != s.clean[i] {
				b := bands(heard[at : at+window])
				d = distance(&s.bands[w], &b)
				break
			}
		}
		sum += d
		n++
	}
	return sum / float64(n)
}

// WeightedSNR is the mean frequency-weighted segmental signal-to-noise ratio of heard,
// in dB, of the amplitudes of the bands in the same windows, each held within -10 to
// 35 dB and weighed by the amplitude to the power of 0.2 (Hu and Loizou, "Evaluation of
// objective quality measures for speech enhancement", IEEE Trans. Audio, Speech, Lang.
// Process. 16(1), 2008). Unlike SegmentalSNR it does not mind in which phase speech comes.
func (s *Spectra) WeightedSNR(heard []float64) float64 {
	sum, n := 0.0, 0.0
	for w, d := range s.least {
		if d < 0 {
			continue
		}
		b := bands(heard[w*hop : w*hop+window])
		ratios, weights := 0.0, 0.0
		for k, dB := range s.bands[w] {
			x, y := math.Pow(10, dB/20), math.Pow(10, b[k]/20)
			weight := math.Pow(x, 0.2)
			ratios += weight * max(-10, min(35, 20*math.Log10(x/(math.Abs(x-y)+1e-9))))
			weights += weight
		}
		sum += ratios / weights
		n++
	}
	return sum / n
}

// SegmentalSNR is the mean signal-to-noise ratio, in dB, of the 20 ms frames
// in which the reference sounds, each held within -10 to 35 dB. Nothing here
// changes the level, so none is fitted. It compares concealments with one
// another but not with silence, whose ratio is 0 dB where a guess at noise has
// less, and which leaves the frame after a gap as it came.
func SegmentalSNR(said, heard []float64) float64 {
	sum, n := 0.0, 0
	for i := 0; i+frame <= len(said); i += frame {
		s, e := 0.0, 0.0
		for j := i; j < i+frame; j++ {
			d := said[j] - heard[j]
			s += said[j] * said[j]
			e += d * d
		}
		if s/frame > sounding {
			sum += max(-10, min(35, 10*math.Log10(s/(e+1e-12))))
			n++
		}
	}
	return sum / float64(n)
}

// power is the mean square of x.
func power(x []float64) (p float64) {
	for _, v := range x {
		p += v * v
	}
	return p / float64(len(x))
}
