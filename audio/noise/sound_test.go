package noise

import (
	"math"
	"math/rand/v2"

	"securecall/audio"
	"securecall/audio/fft"
	"securecall/audio/speech"
)

const (
	second = audio.SampleRate
	frame  = audio.FrameSamples
	voice  = -26.0 // dB of full scale, of speech with its pauses
)

// talk is so many seconds of the synthetic voice, at voice.
func talk(seconds int) []int16 {
	s := speech.Samples()
	gain := math.Pow(10, (voice-level(s))/20)
	pcm := make([]int16, seconds*second)
	for i := range pcm {
		pcm[i] = round(gain * float64(s[i%len(s)]))
	}
	return pcm
}

// Backgrounds, of a power of one.
var backgrounds = map[string]func(n int) []float64{"white": white, "pink": pink, "car": car, "babble": babble}

func white(n int) []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func pink(n int) []float64 {
	x := make([]float64, n)
	for _, hz := range []float64{40, 160, 640, 2560} {
		for i, v := range lowpass(white(n), hz) {
			x[i] += v / math.Sqrt(hz)
		}
	}
	return unit(x)
}

func car(n int) []float64 {
	x, low := white(n), lowpass(lowpass(white(n), 100), 400)
	for i := range x {
		x[i] = 0.03*x[i] + 2*low[i]
	}
	return unit(x)
}

// babble is eight voices at once.
func babble(n int) []float64 {
	s := speech.Samples()
	x := make([]float64, n)
	for v := range 8 {
		for i := range x {
			at := int(float64(i)*(0.8+0.05*float64(v))) + v*len(s)/8
			x[i] += float64(s[at%len(s)])
		}
	}
	return unit(x)
}

// lowpass weakens what is above a frequency in Hz by 6 dB an octave.
func lowpass(x []float64, hz float64) []float64 {
	a := math.Exp(-2 * math.Pi * hz / audio.SampleRate)
	y := 0.0
	for i, v := range x {
		y = a*y + (1-a)*v
		x[i] = y
	}
	return x
}

func unit(x []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	for i := range x {
		x[i] /= math.Sqrt(sum / float64(len(x)))
	}
	return x
}

// mix adds a background of dB of full scale to clean.
func mix(clean []int16, background []float64, dB float64) []int16 {
	gain := 32768 * math.Pow(10, dB/20)
	pcm := make([]int16, len(clean))
	for i, v := range clean {
		pcm[i] = round(float64(v) + gain*background[i])
	}
	return pcm
}

func round(v float64) int16 { return int16(max(-32768, min(32767, math.Round(v)))) }

// run lets a new Suppressor work on all of it and returns what goes out.
func run(in []int16) []int16 {
	s, out := New(), append([]int16(nil), in...)
	for i := 0; i+frame <= len(out); i += frame {
		s.Near(out[i : i+frame])
	}
	return out
}

// level is the power of pcm in dB of full scale.
func level(pcm []int16) float64 {
	sum := 1e-9
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))/(1<<30))
}

// pauses tells which samples of clean are in a pause, and have been for 100 ms.
func pauses(clean []int16) []bool {
	quiet, silent := make([]bool, len(clean)), 0
	for i, v := range clean {
		if silent++; v > 8 || v < -8 {
			silent = 0
		}
		quiet[i] = silent > second/10
	}
	return quiet
}

// only returns the samples of pcm that are chosen, from a second on.
func only(pcm []int16, chosen []bool, from int) (out []int16) {
	for i := from * second; i < len(pcm); i++ {
		if chosen[i] {
			out = append(out, pcm[i])
		}
	}
	return out
}

// distance is the mean log-spectral distance in dB of out from clean, from a second
// on, in windows of 32 ms where clean is louder than -50 dB, in bands of 125 Hz of
// the telephone's.
func distance(clean, out []int16, from int) float64 {
	f := fft.NewReal(span)
	bands := func(pcm []int16) (dB [26]float64) {
		var x [span]float64
		var s [bins]complex128
		for i, v := range pcm {
			x[i] = float64(v) * (0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/span))
		}
		f.Forward(x[:], s[:])
		for b := range dB {
			sum := 100.0
			for _, v := range s[8+4*b : 12+4*b] {
				sum += real(v)*real(v) + imag(v)*imag(v)
			}
			dB[b] = 10 * math.Log10(sum)
		}
		return dB
	}
	sum, n := 0.0, 0.0
	for i := from * second; i+span <= len(clean); i += span / 2 {
		if level(clean[i:i+span]) < -50 {
			continue
		}
		a, b := bands(clean[i:i+span]), bands(out[i:i+span])
		e := 0.0
		for k := range a {
			e += (a[k] - b[k]) * (a[k] - b[k]) / float64(len(a))
		}
		sum += math.Sqrt(e)
		n++
	}
	return sum / n
}
