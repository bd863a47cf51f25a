package echo

// A leak is how much of the estimated echo is left in the error, for each band:
// where their powers rise and fall together, it is echo that the filter has
// missed, whatever it believes itself (Valin, "On adjusting the learning rate in
// frequency domain echo cancellation with double-talk", IEEE Trans. Audio,
// Speech, Lang. Process. 15(3), 2007).
type leak struct {
	meanY, meanE [Bins]float64
	yy, ey       [bands]float64
	left         [bands]float64
}

const (
	bandwidth = 9 // bins: 450 Hz
	bands     = (Bins + bandwidth - 1) / bandwidth

	meanMemory = 0.9   // of the means, for one block
	leakMemory = 0.985 // of their variances
	leastLeak  = 0.004
)

// hear takes in the spectra of a block.
func (l *leak) hear(c *filter) {
	for b := range bands {
		l.yy[b] *= leakMemory
		l.ey[b] *= leakMemory
	}
	for k := range l.meanY {
		y, e := abs2(c.y[k]), abs2(c.e[k])
		dy, de := y-l.meanY[k], e-l.meanE[k]
		l.yy[k/bandwidth] += dy * dy
		l.ey[k/bandwidth] += dy * de
		l.meanY[k] += (1 - meanMemory) * dy
		l.meanE[k] += (1 - meanMemory) * de
	}
	for b := range bands {
		l.left[b] = leastLeak
		if l.yy[b] > 0 {
			l.left[b] = min(1, max(leastLeak, l.ey[b]/l.yy[b]))
		}
	}
}

// at is the share of the power of the estimate that is in the error at k.
func (l *leak) at(k int) float64 { return l.left[k/bandwidth] }
