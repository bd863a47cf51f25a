package echo

import (
	"math"
	"slices"
)

// A skew is by how much the clocks of microphone and loudspeaker differ, from the
// lags that searches have found: a straight line through the last of them, whose
// slope is the median of those of all pairs (Theil and Sen), so that a search
// that was wrong does not count.
type skew struct {
	at     [lines]float64 // samples of Near
	lag    [lines]float64
	n      int
	slopes [lines * (lines - 1) / 2]float64
	rate   float64 // by which the lag grows, in samples per sample
}

const (
	lines     = 32      // searches: 8 s
	leastLine = 8       // fewer do not say
	fastest   = 1000e-6 // no clock is so far off
	slowest   = 10e-6   // and this makes no difference
)

// hear takes in a lag.
func (s *skew) hear(at, lag float64) {
	if s.n == lines {
		copy(s.at[:], s.at[1:])
		copy(s.lag[:], s.lag[1:])
		s.n--
	}
	s.at[s.n], s.lag[s.n] = at, lag
	if s.n++; s.n < leastLine {
		return
	}
	slopes := s.slopes[:0]
	for i := range s.n {
		for j := range i {
			slopes = append(slopes, (s.lag[i]-s.lag[j])/(s.at[i]-s.at[j]))
		}
	}
	slices.Sort(slopes)
	s.rate = slopes[len(slopes)/2]
	if r := math.Abs(s.rate); r < slowest || r > fastest {
		s.rate = 0
	}
}

// expect is the lag that a search should find at that time, if the line goes on,
// and by how much it may be off since the last; there has been one.
func (s *skew) expect(at float64) (lag, slack float64) {
	since := at - s.at[s.n-1]
	if s.n < leastLine {
		return s.lag[s.n-1] + s.rate*since, fastest * since
	}
	var lags [lines]float64
	for i := range s.n {
		lags[i] = s.lag[i] + s.rate*(at-s.at[i])
	}
	slices.Sort(lags[:s.n])
	return lags[s.n/2], fastest / 10 * since
}

// explains tells whether clocks that differ may have moved the lag by so much.
func (s *skew) explains(at, off float64) bool {
	if s.n == 0 {
		return false
	}
	_, slack := s.expect(at)
	return math.Abs(off) <= step+slack
}

// restart begins another line, beside the last one: what leaps is no drift. Where
// it leaps again and again the slope was none either.
func (s *skew) restart() {
	if s.n < leastLine {
		s.rate = 0
	}
	s.n = 0
}

// count takes note that all lags are counted as so much more.
func (s *skew) count(more float64) {
	for i := range s.n {
		s.lag[i] += more
	}
}

func (s *skew) forget() { s.n, s.rate = 0, 0 }

const (
	sincTaps   = 12
	sincPhases = 64
)

// sinc is a windowed sinc for each phase between two samples: row p interpolates
// p/sincPhases after the sample in its middle.
var sinc = func() (t [sincPhases + 1][sincTaps]float64) {
	for p := range t {
		sum := 0.0
		for i := range t[p] {
			x := float64(i-sincTaps/2+1) - float64(p)/sincPhases
			v := 1.0
			if x != 0 {
				v = math.Sin(math.Pi*x) / (math.Pi * x)
			}
			v *= 0.5 + 0.5*math.Cos(math.Pi*x/(sincTaps/2+1))
			t[p][i] = v
			sum += v
		}
		for i := range t[p] {
			t[p][i] /= sum
		}
	}
	return t
}()
