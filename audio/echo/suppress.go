package echo

import (
	"math"

	"securecall/audio/shape"
)

// A suppressor takes out what the filter leaves of the echo: what the room has
// beyond its tail, what the loudspeaker distorts, what is not learnt yet.
//
// It weighs each frequency (Wiener's rule), by a filter that delays nothing. What is
// weaker than the background of the near end stays: so the background does not come
// and go.
type suppressor struct {
	power [Bins]float64 // of the error, smoothed
	floor [Bins]float64 // of the near end's background
	least [Bins]float64 // of power, in the last second
	age   int           // blocks since least was begun
	leak  leak
	gain  [Bins]float64
	gains [Bins]float64 // their logarithms, smoothed
	shape *shape.Filter
}

const (
	taps      = 48
	leastGain = 0.01 // -40 dB
	most      = 16.0 // times what the residue seems to be, where only the far end speaks
	fewest    = 0.7  // and where both do
	onset     = 0.5  // of the old power that a block keeps
	forgets   = 100  // blocks after which the background may have grown
)

func newSuppressor() *suppressor {
	s := &suppressor{shape: shape.New(2*Block, taps, Block, Block)}
	for k := range s.gain {
		s.gain[k], s.least[k] = 1, math.Inf(1)
	}
	return s
}

// listen keeps track of the background: the least power of the last second or
// two, for a start.
func (s *suppressor) listen(c *filter) {
	for k := range s.power {
		p := abs2(c.e[k])
		s.power[k] = onset*s.power[k] + (1-onset)*p
		s.least[k] = min(s.least[k], s.power[k])
	}
	if s.age++; s.age >= forgets {
		s.age = 0
		for k := range s.floor {
			s.floor[k], s.least[k] = s.least[k], math.Inf(1)
		}
	}
}

// weigh works out the gains after a block: c holds the spectra of estimate and
// error.
func (s *suppressor) weigh(c *filter) {
	s.leak.hear(c)
	var residue [Bins]float64
	var all, echo float64
	for k := range residue {
		// The filter's own doubt is mostly four times too large: Kalman's rule counts
		// what is uncertain, not what is wrong.
		residue[k] = max(c.missed[k]/4, s.leak.at(k)*abs2(c.y[k]))
		all += s.power[k]
		echo += residue[k]
	}
	caution := cautious(all / (echo + 1e-6))
	for k := range s.gain {
		p := s.power[k] + 1e-6
		g := max(0, 1-caution*residue[k]/p)
		g = max(g, leastGain, math.Sqrt(min(1, s.floor[k]/p)))
		if g < s.gain[k] {
			s.gain[k] = g
		} else {
			s.gain[k] = 0.5*s.gain[k] + 0.5*g
		}
	}
}

// cautious is for how many times what it seems to be the residue is taken, when
// there is so many times as much in the error: where that is hardly more, nobody
// speaks at the near end who could be harmed.
func cautious(ratio float64) float64 {
	const alone, both = 3, 12.0
	switch {
	case ratio <= alone:
		return most
	case ratio >= both:
		return fewest
	}
	t := math.Log(ratio/alone) / math.Log(both/float64(alone))
	return most * math.Pow(fewest/most, t)
}

// apply filters a block in place.
func (s *suppressor) apply(e []float64) {
	for k, g := range s.gain {
		// Over neighbours, so that a short filter can follow.
		a, b := s.gain[max(0, k-1)], s.gain[min(Bins-1, k+1)]
		s.gains[k] = math.Log((a + 2*g + b) / 4)
	}
	s.shape.Apply(e, s.gains[:])
}
