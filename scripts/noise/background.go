package main

import (
	"math"
	"math/rand/v2"

	"securecall/audio"
)

// A background is what is heard besides the speech.
type background struct {
	name   string
	steady bool // it can be told from speech by being always there
	make   func(n int, said []int16) []float64
}

var backgrounds = []background{
	{"white", true, func(n int, _ []int16) []float64 { return white(n) }},
	{"car", true, func(n int, _ []int16) []float64 { return car(n) }},
	{"fan with a hum", true, func(n int, _ []int16) []float64 { return fan(n) }},
	{"street", false, func(n int, _ []int16) []float64 { return street(n) }},
	{"babble of eight", false, babble},
}

func white(n int) []float64 {
	r := rand.New(rand.NewPCG(3, 1))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
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

// car rumbles: most of it is below 150 Hz, and something of it everywhere.
func car(n int) []float64 {
	x, low := white(n), lowpass(lowpass(white(n), 100), 400)
	for i := range x {
		x[i] = 0.03*x[i] + 2*low[i]
	}
	return x
}

// fan is wind, and a motor at 120 Hz with harmonics.
func fan(n int) []float64 {
	x := lowpass(white(n), 800)
	for i := range x {
		for h := 1; h <= 5; h++ {
			x[i] += 0.15 / float64(h) * math.Sin(2*math.Pi*120*float64(h*i)/audio.SampleRate+float64(h))
		}
	}
	return x
}

// street is pink, and comes and goes: by 6 dB, once in three seconds.
func street(n int) []float64 {
	x, w := make([]float64, n), white(n)
	for _, hz := range []float64{40, 160, 640, 2560} {
		for i, v := range lowpass(append([]float64(nil), w...), hz) {
			x[i] += v / math.Sqrt(hz)
		}
	}
	for i := range x {
		x[i] *= math.Pow(10, 0.15*math.Sin(2*math.Pi*float64(i)/(3*audio.SampleRate)))
	}
	return x
}

// babble is eight voices at once: parts of what was said, some of them backwards.
func babble(n int, said []int16) []float64 {
	x := make([]float64, n)
	for voice := range 8 {
		for i := range x {
			at := (i + voice*len(said)/8 + 5*second) % len(said)
			if voice%2 == 1 {
				at = len(said) - 1 - at
			}
			x[i] += float64(said[at])
		}
	}
	return x
}
