package noise

import "math"

// A gain is what each frequency is weighed by.
//
// The a-priori SNR is decision-directed, and the gain has the least mean square error
// of the logarithm of the amplitude (Ephraim and Malah, "Speech enhancement using a
// minimum mean-square error log-spectral amplitude estimator", IEEE Trans. Acoust.,
// Speech, Signal Process. 33(2), 1985). The less likely speech is, the nearer it is to
// the floor, at which a background sounds as it did.
type gain struct {
	clean [bins]float64 // power after weighing, as a ratio to the background
	log   [bins]float64
	out   [points/2 + 1]float64
}

const (
	directed = 0.6  // of the a-priori SNR is that of the block before
	leastSNR = 0.01 // a priori
	loudest  = 1000 // ratio to the background

	floor = -reduction * math.Ln10 / 20
)

// weigh returns the gains as natural logarithms, at half the resolution.
func (g *gain) weigh(power, background, speech *[bins]float64) []float64 {
	for k, p := range power {
		ratio := min(loudest, p/background[k])
		prior := max(leastSNR, directed*g.clean[k]+(1-directed)*(ratio-1))
		w := prior / (1 + prior)
		a := min(1, w*logMMSE(w*ratio))
		g.clean[k] = a * a * ratio
		g.log[k] = floor
		if speech[k] > 0 {
			g.log[k] += speech[k] * max(0, math.Log(a)-floor)
		}
	}
	for i := range g.out {
		k := 2 * i
		g.out[i] = (g.log[max(1, k)-1] + 2*g.log[k] + g.log[min(k+1, bins-1)]) / 4
	}
	return g.out[:]
}

// logMMSE is exp(E1(v)/2), where E1 is the exponential integral.
func logMMSE(v float64) float64 {
	x := v * fine
	i := int(x)
	if i >= len(table)-1 {
		return 1
	}
	return table[i] + (x-float64(i))*(table[i+1]-table[i])
}

const fine = 64 // steps of the table for a difference of one

// table holds logMMSE; at zero, where there is no bound, what makes the first step
// right in its middle.
var table = func() (t [6*fine + 1]float64) {
	for i := range t {
		t[i] = math.Exp(e1(float64(i)/fine) / 2)
	}
	t[0] = 2*math.Exp(e1(0.5/fine)/2) - t[1]
	return t
}()

// e1 is the exponential integral by its series, for arguments up to 6.
func e1(x float64) float64 {
	const euler = 0.57721566490153286
	sum, term := -euler-math.Log(x), 1.0
	for n := 1.0; n < 50; n++ {
		term *= -x / n
		sum -= term / n
	}
	return sum
}
