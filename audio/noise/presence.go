package noise

// A presence is how likely speech is at each frequency: where both it and what is
// about it are louder than the background. A single bin is so by chance, and would be
// heard as musical noise (Cohen, "Optimal speech enhancement under signal presence
// uncertainty using log-spectral amplitude estimator", IEEE Signal Process. Lett.
// 9(4), 2002).
type presence struct {
	ratio  [bins]float64 // to the background, over neighbours and the last blocks
	sums   [bins + 1]float64
	speech [bins]float64
}

const (
	beside = 1    // bins to each side that are neighbours
	about  = 30   // and those that are about them
	fades  = 0.85 // of a ratio, in a block
)

// judge returns how likely speech is, from 0 to 1.
func (s *presence) judge(power, background *[bins]float64) *[bins]float64 {
	for k, p := range power {
		s.sums[k+1] = s.sums[k] + min(loudest, p/background[k])
	}
	for k := range s.speech {
		// At once up, so that no onset is lost.
		r := s.mean(k, beside)
		s.ratio[k] = max(r, fades*s.ratio[k]+(1-fades)*r)
		s.speech[k] = likely(s.ratio[k], 1.2, 3) * likely(s.mean(k, about), 2.2, 3.5)
	}
	return &s.speech
}

// mean is that of the ratios of bins no further from k than reach.
func (s *presence) mean(k, reach int) float64 {
	from, to := max(0, k-reach), min(bins, k+reach+1)
	return (s.sums[to] - s.sums[from]) / float64(to-from)
}

// likely is 0 below from, and 1 above to.
func likely(r, from, to float64) float64 {
	return max(0, min(1, (r-from)/(to-from)))
}
