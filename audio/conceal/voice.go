package conceal

import "math"

const (
	// trend is how long a fall in level that the last two pitch periods show
	// is taken to go on, in samples.
	trend = 20 * millisecond

	// From here on in a gap, in samples, two pitch periods are repeated in
	// place of one: a single one, often enough repeated, hums.
	second = 20 * millisecond

	// The power of the last so many samples, and how much more than that of
	// the past it may be: a filter that meets its excitation anew may ring.
	powerOver = 20 * millisecond
	powerMost = 1.5

	// voicedFrom is the correlation of a pitch period with the one before it
	// from which on the excitation has no noise; at -1 it would be all noise.
	voicedFrom = 0.8
)

// voice continues speech: an excitation, repeated in the rhythm of the pitch
// and mixed with noise, through the spectral envelope of the last 20 ms.
type voice struct {
	envelope [order]float64      // predicts a sample from those before it
	memory   [order]float64      // the samples before it, the last one first
	cycles   [2 * maxLag]float64 // the excitation of the past, newest at the end
	period   int                 // of the pitch, in samples
	pitch    float64             // how much of the excitation is repeated,
	noise    float64             // and the level of the noise that fills it up
	fall     float64             // from sample to sample, during trend
	level    float64             // what fall has come to
	power    float64             // mean square of late,
	most     float64             // and the most that it may be
	said     int                 // samples since the past
	random   random
}

// start analyses the past, to continue from its end.
func (v *voice) start(p *past) {
	var x [len(p)]float64
	for i, s := range p {
		x[i] = float64(s)
	}
	var alike float64
	v.period, alike = pitch(x[:])
	v.pitch = min((1+alike)/(1+voicedFrom), 1)

	v.envelope = envelope(x[len(x)-windowLength:])
	e := 0.0
	for i := range v.cycles {
		v.cycles[i] = x[order+i] - v.predict(x[i:order+i])
		if i >= len(v.cycles)-windowLength {
			e += v.cycles[i] * v.cycles[i]
		}
	}
	v.noise = math.Sqrt(e / windowLength * (1 - v.pitch*v.pitch))
	for k := range v.memory {
		v.memory[k] = x[len(x)-1-k]
	}

	last := energy(x[len(x)-v.period:])
	before := energy(x[len(x)-2*v.period : len(x)-v.period])
	// The 1 is far below any sound, and keeps silence out of the quotient.
	v.fall = math.Pow(min((last+1)/(before+1), 1), 0.5/float64(v.period))
	v.level = 1
	v.power = last / float64(v.period)
	v.most = powerMost * max(v.power, energy(x[len(x)-powerOver:])/powerOver)
	v.said = 0
}

// predict is what the envelope makes of the samples x, the last one last.
func (v *voice) predict(x []float64) (s float64) {
	for k, a := range v.envelope {
		s += a * x[order-1-k]
	}
	return s
}

// next is the next sample of the continuation.
func (v *voice) next() float64 {
	repeat := v.period
	if v.said >= second {
		repeat = 2 * v.period // the same place in the period: no seam
	}
	s := v.pitch*v.cycles[len(v.cycles)-repeat+v.said%repeat] + v.noise*v.random.next()
	for k, a := range v.envelope {
		s += a * v.memory[k]
	}
	copy(v.memory[1:], v.memory[:])
	v.memory[0] = s

	if v.said < trend {
		v.level *= v.fall
	}
	v.said++
	v.power += (s*s - v.power) / powerOver
	if v.power > v.most {
		return v.level * s * math.Sqrt(v.most/v.power)
	}
	return v.level * s
}

// random is white noise of level 1, even between its bounds; its value is the
// state of a linear congruential generator (Numerical Recipes, Section 7.1).
// Nothing secret depends on it.
type random uint32

func (r *random) next() float64 {
	*r = *r*1664525 + 1013904223
	const root3 = 1.7320508075688772
	return float64(int32(*r)) * (root3 / (1 << 31))
}
