package echo

import (
	"math"

	"securecall/audio/fft"
)

// A search finds how much later than the far end's sound its echo comes, by the
// phase of their cross-correlation (Knapp and Carter, "The generalized
// correlation method for estimation of time delay", 1976), at half the rate.
type search struct {
	fft    *fft.FFT
	z      []complex128
	far    [searchFar]float64      // newest last
	near   [2 * searchNear]float64 // what is looked at, and what has come since
	looked [searchFar]float64      // the first of near, then zeros
	x, y   []complex128            // spectra
	cross  []complex128            // of the last seconds
	lags   [2][searchFar]float64
	fill   int // of near

	lag      int // where the peak was
	repeated int // how often in a row
}

const (
	searchFar  = 4096           // at 4 kHz: 1 s
	searchNear = 25 * Block / 2 // 250 ms
	reachBack  = searchFar - searchNear

	memory   = 0.7 // of a search, for the next
	distinct = 7.0 // times the rest: a peak that is none by chance
	agreeing = 4   // samples by which peaks may differ and be the same
	certain  = 2   // such peaks in a row
)

func newSearch() *search {
	return &search{
		fft: fft.New(searchFar), z: make([]complex128, searchFar),
		x: make([]complex128, searchFar/2+1), y: make([]complex128, searchFar/2+1), cross: make([]complex128, searchFar/2+1),
	}
}

// add takes in a block of the microphone and tells whether it is time to find.
func (s *search) add(near []float64) bool {
	n := len(near) / 2
	for i := range n {
		s.near[s.fill+i] = (near[2*i] + near[2*i+1]) / 2
	}
	s.fill += n
	return s.fill >= searchNear
}

// over is by how many samples, at the full rate, more has come than find looks at.
func (s *search) over() int { return 2 * (s.fill - searchNear) }

// skip goes on without finding: what has come since belongs to the next.
func (s *search) skip() { s.fill = copy(s.near[:], s.near[searchNear:s.fill]) }

// forget drops what was heard before.
func (s *search) forget() {
	clear(s.cross)
	s.repeated = 0
}

// find returns the lag in samples at the full rate; negative: none is clear. far
// is the sound of a second: of it the last was played when the last of
// the microphone that is looked at was recorded, but for the lag.
func (s *search) find(far []float64) float64 {
	const fill = searchNear // always, since cross adds up
	defer s.skip()
	for i := range s.far {
		s.far[i] = (far[2*i] + far[2*i+1]) / 2
	}
	energy := 0.0
	for _, v := range s.far {
		energy += v * v
	}
	if energy < 100*searchFar {
		return -1
	}
	copy(s.looked[:fill], s.near[:fill])
	s.fft.Both(s.z, s.far[:], s.looked[:], s.x, s.y)
	loud := 0.0
	for k := range s.x {
		loud += abs2(s.x[k])
	}
	loud /= float64(len(s.x))
	for k := range s.cross {
		c := complex(0, 0)
		if abs2(s.x[k]) > loud/1000 && k > 0 {
			c = s.y[k] * complex(real(s.x[k]), -imag(s.x[k]))
			if a := math.Sqrt(abs2(c)); a > 1e-3 {
				c = complex(real(c)/a, imag(c)/a)
			} else {
				c = 0
			}
		}
		s.cross[k] = memory*s.cross[k] + c
	}
	clear(s.y)
	s.fft.Back(s.z, s.cross, s.y, s.lags[0][:], s.lags[1][:])
	// near[0] was recorded when far[searchFar-fill] was played, but for the lag.
	sum, best, at := 0.0, 0.0, 0
	for i := range s.lags[0] {
		v := s.lags[0][i]
		sum += v * v
		lag := (searchFar - fill + i) % searchFar // circular
		if lag <= reachBack && v > best {
			best, at = v, lag
		}
	}
	if best < distinct*math.Sqrt(sum/searchFar) {
		s.repeated = 0
		return -1
	}
	if d := at - s.lag; d > agreeing || d < -agreeing {
		s.lag, s.repeated = at, 0
	}
	s.lag = at
	if s.repeated++; s.repeated < certain {
		return -1
	}
	// Between samples, by the parabola through the peak.
	i := (at + fill) % searchFar
	a, b := s.lags[0][(i+searchFar-1)%searchFar], s.lags[0][(i+1)%searchFar]
	return 2*float64(at) + (b-a)/(2*best-a-b)
}
