package echo

import (
	"math"
	"math/rand/v2"

	"securecall/audio"
	"securecall/audio/speech"
)

// A room is a loudspeaker, a microphone and what is between them.
type room struct {
	delay   int     // samples from Far to the first sound in the microphone
	reverb  float64 // seconds until it is 60 dB weaker
	gain    float64 // of the echo
	clip    float64 // amplitude to which the loudspeaker bends; 0: none
	ppm     float64 // by which the microphone's clock is fast
	noise   float64 // RMS in the microphone
	seed    uint64
	without bool // a headset: no echo
}

// response is direct sound and exponentially decaying noise (Polack's model).
func (r room) response() []float64 {
	n := max(1, int(r.reverb*audio.SampleRate))
	h := make([]float64, n)
	g := rand.New(rand.NewPCG(r.seed, 7))
	for i := range h {
		h[i] = 0.3 * g.NormFloat64() * math.Pow(10, -3*float64(i)/float64(n))
	}
	h[0] = 1
	sum := 0.0
	for _, v := range h {
		sum += v * v
	}
	for i := range h {
		h[i] *= r.gain / math.Sqrt(sum)
	}
	return h
}

// echo is what the microphone hears of far.
func (r room) echo(far []int16) []float64 {
	out := make([]float64, len(far))
	g := rand.New(rand.NewPCG(r.seed, 8))
	for i := range out {
		out[i] = r.noise * g.NormFloat64()
	}
	if r.without {
		return out
	}
	h := r.response()
	played := make([]float64, len(far))
	for i, v := range far {
		played[i] = float64(v)
		if r.clip > 0 {
			played[i] = r.clip * math.Tanh(played[i]/r.clip)
		}
	}
	wet := make([]float64, len(far))
	for j, v := range h {
		past := played[:max(0, len(far)-r.delay-j)]
		to := wet[len(far)-len(past):]
		for i, s := range past {
			to[i] += v * s
		}
	}
	for i := range out {
		at := float64(i) * (1 + r.ppm*1e-6)
		n := int(at)
		if n+1 < len(wet) {
			f := at - float64(n)
			out[i] += wet[n]*(1-f) + wet[n+1]*f
		}
	}
	return out
}

// talk is the synthetic voice, for that many seconds, from a place in it on.
func talk(seconds float64, from int) []int16 {
	s := speech.Samples()
	pcm := make([]int16, int(seconds*audio.SampleRate))
	for i := range pcm {
		pcm[i] = s[(from+i)%len(s)]
	}
	return pcm
}

// other is a voice that says something else: backwards, and faster.
func other(seconds float64) []int16 {
	s := speech.Samples()
	pcm := make([]int16, int(seconds*audio.SampleRate))
	for i := range pcm {
		at := float64(i) * 1.13
		n := int(at)
		pcm[i] = s[(len(s)*1000-n)%len(s)]
	}
	return pcm
}

func mix(echo []float64, near []int16) []int16 {
	pcm := make([]int16, len(echo))
	for i, v := range echo {
		if near != nil {
			v += float64(near[i])
		}
		pcm[i] = round(v)
	}
	return pcm
}

// run lets a Canceller work on all of it and returns what goes out.
func run(c *Canceller, far, near []int16) []int16 {
	out := append([]int16(nil), near...)
	const n = audio.FrameSamples
	for i := 0; i+n <= len(far); i += n {
		c.Far(far[i : i+n])
		c.Near(out[i : i+n])
		c.Think()
	}
	return out
}

// level is the power of pcm in dB.
func level(pcm []int16) float64 {
	sum := 1e-9
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}
