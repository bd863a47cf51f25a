package main

import (
	"math"
	"math/rand/v2"

	"securecall/audio"
)

// A room is a loudspeaker, a microphone and what is between them.
type room struct {
	name   string
	delay  int     // samples, of devices and air
	reverb float64 // seconds until it is 60 dB weaker
	gain   float64 // of the echo
	clip   float64 // amplitude to which the loudspeaker bends; 0: none
	noise  float64 // RMS in the microphone
}

var rooms = []room{
	{name: "dry, 30 ms", delay: 240, reverb: 0.02, gain: 0.5, noise: 3},
	{name: "office, 100 ms", delay: 800, reverb: 0.2, gain: 0.5, noise: 3},
	{name: "living room, 200 ms", delay: 1600, reverb: 0.3, gain: 0.7, noise: 3},
	{name: "office, 400 ms", delay: 3200, reverb: 0.2, gain: 0.3, noise: 3},
	{name: "overdriven loudspeaker", delay: 800, reverb: 0.2, gain: 0.5, clip: 9000, noise: 3},
	{name: "noisy office", delay: 800, reverb: 0.2, gain: 0.5, noise: 30},
}

// most is what can be asked for at most, if another takes out theirs dB: what a
// loudspeaker distorts no linear filter can take out.
func (r room) most(theirs float64) float64 {
	if r.clip > 0 {
		return theirs
	}
	return math.Inf(1)
}

// response is direct sound and exponentially decaying noise (Polack's model).
func (r room) response(g *rand.Rand) []float64 {
	h := make([]float64, int(r.reverb*audio.SampleRate))
	sum := 0.0
	for i := range h {
		h[i] = 0.3 * g.NormFloat64() * math.Pow(10, -3*float64(i)/float64(len(h)))
		if i == 0 {
			h[i] = 1
		}
		sum += h[i] * h[i]
	}
	for i := range h {
		h[i] *= r.gain / math.Sqrt(sum)
	}
	return h
}

// microphone is what it hears of far, of near and of itself.
func (r room) microphone(far, near []int16) []int16 {
	g := rand.New(rand.NewPCG(1, 2))
	sum := make([]float64, len(far))
	played := make([]float64, len(far))
	for i, v := range far {
		played[i] = float64(v)
		if r.clip > 0 {
			played[i] = r.clip * math.Tanh(played[i]/r.clip)
		}
		sum[i] = float64(near[i]) + r.noise*g.NormFloat64()
	}
	for j, v := range r.response(g) {
		for i := r.delay + j; i < len(sum); i++ {
			sum[i] += v * played[i-r.delay-j]
		}
	}
	pcm := make([]int16, len(sum))
	for i, v := range sum {
		pcm[i] = int16(max(-32768, min(32767, math.Round(v))))
	}
	return pcm
}
