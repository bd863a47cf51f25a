package echo

import "math"

// A slip is when the echo comes a little sooner or later than before, all at once:
// a sound server that ran dry for a moment goes on some samples off. The room is
// the same, and is not learnt anew: what it was known to be is laid beside the
// microphone again, where it fits now.
type slip struct {
	known, new model   // new is the younger one, which may know of a slip already
	heard, err float64 // energy of the microphone since the last search, and what the filter left of it

	near, echo [slipBlocks * Block]float64 // the last of the microphone, and what the room would make of it
}

// A model of the room is what the filter knew when it was a good one.
type model struct {
	w     [Partitions][Bins]complex128
	doubt [Partitions][Bins]float64
	left  float64 // of the energy, then; 0: it never was
}

const (
	slipBlocks = 26        // of them the first and the last four are for the shift: 180 ms are compared
	slipMost   = 4 * Block // samples: two frames
	slipGood   = 0.1       // of the energy is left: the room is known
	slipWorse  = 3         // times what was left: something has happened
	slipBetter = 0.5       // of what the filter leaves now, at most, where it has slipped to
)

// hear takes in a block of the microphone.
func (s *slip) hear(near []float64) {
	copy(s.near[:], s.near[len(near):])
	copy(s.near[len(s.near)-len(near):], near)
}

// judge takes in the energy of a block before and after the filter.
func (s *slip) judge(near, err float64) {
	s.heard += near
	s.err += err
}

// fits tells whether the filter has known the room since the last search.
func (s *slip) fits() bool { return s.heard > 0 && s.err < slipGood*s.heard }

// remember keeps the filter if it fits, and begins to judge anew.
func (s *slip) remember(f *filter) {
	if s.fits() {
		s.known = s.new
		s.new = model{f.w, f.doubt, s.err / s.heard}
	}
	s.heard, s.err = 0, 0
}

func (s *slip) forget() { s.known.left, s.new.left, s.heard, s.err = 0, 0, 0, 0 }

// slipped looks for the room as it was known, at about so many samples later than
// it is taken to be now, and follows it there.
func (c *Canceller) slipped(around float64) bool {
	s := &c.slip
	if s.known.left == 0 || c.heard < slipBlocks*Block || s.err <= slipWorse*s.known.left*s.heard {
		return false
	}
	c.recall(&c.filter.w, 0)
	now := min(s.compare(0), energy(s.near[slipMost:len(s.near)-slipMost]))
	c.recall(&s.known.w, around)
	defer c.realign()
	least, at := math.Inf(1), 0
	var lefts [2*slipMost + 1]float64
	for off := -slipMost; off <= slipMost; off++ {
		left := s.compare(off)
		lefts[off+slipMost] = left
		if left < least {
			least, at = left, off
		}
	}
	if least > slipBetter*now || at == -slipMost || at == slipMost {
		return false
	}
	// Between samples, by the parabola through the least.
	a, b := lefts[at-1+slipMost], lefts[at+1+slipMost]
	off := around + float64(at) + (a-b)/(2*(a+b-2*least))
	c.drift += off
	if !c.skew.explains(float64(c.heard), off) {
		c.skew.restart()
		c.search.forget()
	}
	c.filter.w, c.filter.doubt = s.known.w, s.known.doubt
	s.new = s.known
	return true
}

// recall works out what a room would have made of the last blocks, were the echo
// later by off, and leaves the filter as it is but for what it has heard last.
func (c *Canceller) recall(w *[Partitions][Bins]complex128, off float64) {
	kept := c.filter.w
	c.filter.w = *w
	for p := slipBlocks + Partitions; p >= 1; p-- {
		c.drifted(c.far[:], c.lag-ahead+p*Block, c.drift+off)
		c.filter.hear(c.far[:])
		if p <= slipBlocks {
			copy(c.slip.echo[(slipBlocks-p)*Block:], c.filter.estimate())
		}
	}
	c.filter.w = kept
}

// compare returns the energy of what is left of the microphone if the echo is later
// by off.
func (s *slip) compare(off int) (left float64) {
	for i := slipMost; i < len(s.near)-slipMost; i++ {
		d := s.near[i] - s.echo[i-off]
		left += d * d
	}
	return left
}
