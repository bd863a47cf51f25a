package echo

import (
	"securecall/audio"
	"securecall/audio/fft"
)

// A filter is the adaptive model of the room: what of the far end's sound comes
// back into the microphone.
//
// It is a Kalman filter for each frequency of a partitioned, overlap-save
// convolution (Kuech, Mabande, Enzner, "State-space architecture of the
// partitioned-block-based acoustic echo controller", ICASSP 2014). Its step size
// follows from how uncertain each coefficient is and from how much in the
// microphone is not echo; so it needs no detector of double talk: while the near
// end speaks, it learns little and forgets nothing.
type filter struct {
	fft *fft.FFT
	z   []complex128

	x        [Partitions][Bins]complex128 // spectra of the far sound, a ring
	at       int                          // the newest of x
	w        [Partitions][Bins]complex128
	doubt    [Partitions][Bins]float64 // variance of w
	noise    [Bins]float64             // power in the microphone that is no echo
	restless [Bins]float64             // how much of the room is another after a block

	missed [Bins]float64

	far         [2 * Block]float64
	echo, zeros [2 * Block]float64
	rest        [2 * Block]float64
	y, e        [Bins]complex128
	turn        int // of the partitions whose gradient is constrained next
	a, b        [2 * Block]float64
}

const (
	// Block is how many samples are worked on at a time: 10 ms.
	Block = audio.SampleRate / 100
	// Bins of a block's spectrum.
	Bins = Block + 1
	// Partitions of Block samples are the tail of the room: 130 ms.
	Partitions = 13

	steady      = 0.9997 // of a room, in one block, where nothing moves
	unsteady    = 0.995  // where much of the echo is missed
	firstDoubt  = 0.1    // of a room that is not known yet: its power
	noiseMemory = 0.6    // of a block, for the next one
	spread      = 3      // bins to each side
)

func newFilter() *filter {
	c := &filter{fft: fft.New(2 * Block), z: make([]complex128, 2*Block)}
	c.forget()
	return c
}

// forget makes the room an unknown one.
func (c *filter) forget() {
	for p := range c.w {
		for k := range c.w[p] {
			c.w[p][k], c.doubt[p][k] = 0, firstDoubt
		}
	}
	clear(c.noise[:])
	for k := range c.restless {
		c.restless[k] = 1 - steady*steady
	}
}

// hear takes in the next block of the far end's sound.
func (c *filter) hear(far []float64) {
	copy(c.far[:Block], c.far[Block:])
	copy(c.far[Block:], far)
	c.at = (c.at + Partitions - 1) % Partitions
	var unused [Bins]complex128
	c.fft.Both(c.z, c.far[:], c.zeros[:], c.x[c.at][:], unused[:])
}

// past is the far end's sound of p blocks ago.
func (c *filter) past(p int) *[Bins]complex128 { return &c.x[(c.at+p)%Partitions] }

// estimate returns what of near is echo.
func (c *filter) estimate() []float64 {
	clear(c.y[:])
	for p := range Partitions {
		x, w := c.past(p), &c.w[p]
		for k := range c.y {
			c.y[k] += x[k] * w[k]
		}
	}
	var unused [Bins]complex128
	c.fft.Back(c.z, c.y[:], unused[:], c.echo[:], c.b[:])
	return c.echo[Block:]
}

// learn takes the error, near without the estimate, and leaves the spectra of
// estimate and error in y and e, and in missed what of e is echo, as far as the
// filter knows.
func (c *filter) learn(err []float64) {
	clear(c.echo[:Block])
	copy(c.rest[Block:], err)
	c.fft.Both(c.z, c.echo[:], c.rest[:], c.y[:], c.e[:])
	clear(c.missed[:])
	for p := range Partitions {
		x, doubt := c.past(p), &c.doubt[p]
		for k := range x {
			// Half of each window is padding, so that half of the power of what is
			// uncertain is in the error.
			c.missed[k] += abs2(x[k]) * doubt[k] / 2
		}
	}
	var power, step [Bins]float64
	for k := range power {
		power[k] = abs2(c.e[k])
	}
	for k := range step {
		// Over neighbours, and no less than now: a gap in it by chance must not
		// teach what is no echo.
		near := 0.0
		for _, p := range power[max(0, k-spread):min(Bins, k+spread+1)] {
			near += p / (2*spread + 1)
		}
		c.noise[k] = max(near, noiseMemory*c.noise[k]+(1-noiseMemory)*near)
		step[k] = 1 / (c.missed[k] + c.noise[k] + 1e-3)
	}
	for p := range Partitions {
		x, w, doubt := c.past(p), &c.w[p], &c.doubt[p]
		for k := range x {
			gain := doubt[k] * step[k]
			re, im := real(x[k])*gain, -imag(x[k])*gain
			er, ei := real(c.e[k]), imag(c.e[k])
			w[k] += complex(re*er-im*ei, re*ei+im*er)
			// A vowel says the same again and again: half of what it seems to teach.
			keep := max(0, 1-gain*abs2(x[k])/4)
			doubt[k] = (1-c.restless[k])*keep*doubt[k] + c.restless[k]*(abs2(w[k])+1e-6)
		}
	}
	c.constrain()
}

// follow makes of how much of the estimate is left in the error how much the room
// is taken to change: where clocks differ or somebody walks about it is never
// the same for long.
func (c *filter) follow(l *leak) {
	for k := range c.restless {
		t := min(1, max(0, (l.at(k)-0.05)/0.25))
		steadiness := steady + t*(unsteady-steady)
		c.restless[k] = 1 - steadiness*steadiness
	}
}

// constrain makes two partitions linear again: of a circular convolution the
// second half belongs to the next partition. Two in a block are enough.
func (c *filter) constrain() {
	p, q := c.turn, (c.turn+1)%Partitions
	c.turn = (c.turn + 2) % Partitions
	c.fft.Back(c.z, c.w[p][:], c.w[q][:], c.a[:], c.b[:])
	clear(c.a[Block:])
	clear(c.b[Block:])
	c.fft.Both(c.z, c.a[:], c.b[:], c.w[p][:], c.w[q][:])
}

func abs2(z complex128) float64 { return real(z)*real(z) + imag(z)*imag(z) }
