// Package echo takes the far end's sound, which the loudspeaker has played, out
// of what the microphone hears: an acoustic echo canceller for mono speech.
//
// It is a machine without clock, goroutine or lock, does no I/O, does not
// allocate after New and adds no delay. A search (delay.go) finds how much later
// the echo comes, an adaptive filter (filter.go) learns the room and subtracts
// the echo, a suppressor (suppress.go) takes out what is left. Until an echo has
// been found, and again when there has been none for a while, as with a headset,
// nothing at all is changed.
//
// Left out: more than one loudspeaker; and rates other than 8 kHz, for which Block and
// the constants of the search would have to grow with the rate.
package echo

import "math"

// A Canceller belongs to one loudspeaker and one microphone. Its owner serialises
// the calls.
//
// Samples are counted: the n'th of Far is played a certain time before the n'th
// of Near is recorded, whenever they are handed in. Where a device leaves
// something out that time changes, and is searched for anew.
type Canceller struct {
	search   *search
	filter   *filter
	suppress *suppressor

	ring   [ringSize]int16 // what was played
	played int64           // samples, from the beginning
	heard  int64           // samples of Near
	begun  bool
	base   int64 // of played, when heard was 0
	due    bool  // a search is

	lag    int // of the echo, in samples; -1: not known
	skew   skew
	slip   slip
	drift  float64 // of the lag since it was found, in samples
	other  float64 // lag that the last search found, if it was another
	doubts int     // searches in a row that found that
	missed int     // searches in a row that found none, while there was no echo

	near, err float64 // energy in the microphone, and of that what is no echo; of the last seconds
	present   bool    // there is an echo
	absent    int     // blocks with far sound since one showed an echo

	far, in, out [Block]float64
	wide         [Block + sincTaps]float64
	second       [2 * searchFar]float64
}

const (
	ringSize = 1 << 14 // 2 s
	surplus  = 640     // samples by which the loudspeaker's may be more than the microphone's
	ahead    = 40      // samples of the filter before the lag that was found
	recentre = 120     // samples by which the loudest of the room may be later, and the filter stays
	step     = 2       // samples by which the lag moves at once, and not by drift
	settled  = 16      // searches, 4 s of far sound, after which one in seldom is enough
	seldom   = 3       // so that two in a row, which agree, are a second apart
	overdue  = 4       // blocks for which a search waits for Think
	others   = 2       // searches in a row that find another lag, until it is believed

	quiet   = 30.0 // RMS of far sound that makes no echo
	shown   = 0.7  // of the energy is left: an echo is there
	hidden  = 0.9  // of a block's energy is left: it does not show one
	patient = 1000 // blocks of far sound without, 10 s: there is none any more
	chance  = 8    // of so many without, one may seem to show it
)

// Stats is what a Canceller has found.
type Stats struct {
	Present bool    // there is an echo, and it is being taken out
	Lag     int     // by which it comes after Far, in samples, as counted from the first Near; -1: not found
	ERLE    float64 // echo return loss enhancement of the filter alone, in dB, while the far end speaks
}

// New returns a Canceller that knows nothing yet.
func New() *Canceller {
	return &Canceller{search: newSearch(), filter: newFilter(), suppress: newSuppressor(), lag: -1}
}

// Far takes the next samples that go to the loudspeaker.
func (c *Canceller) Far(pcm []int16) {
	for _, v := range pcm {
		c.ring[c.played%ringSize] = v
		c.played++
	}
}

// Near takes the echo out of the next samples of the microphone, in place. Their
// number is a multiple of Block; what is left over is not changed.
func (c *Canceller) Near(pcm []int16) {
	if !c.begun {
		c.begun, c.base = true, c.played-int64(len(pcm))
	}
	switch more := c.played - c.base - c.heard - int64(len(pcm)); {
	case more > surplus, more < -surplus && c.reaches(-more):
		c.recount(more)
	case more < -ringSize/4:
		// A loudspeaker that was not fed for long has nothing more to do with what
		// was counted.
		c.base += more
	}
	for ; len(pcm) >= Block; pcm = pcm[Block:] {
		c.block(pcm[:Block])
	}
}

// reaches tells whether the lag is so much or more, what it has drifted by included: so it
// can be counted as less by that.
func (c *Canceller) reaches(samples int64) bool {
	if c.lag < 0 {
		return false
	}
	drifted := int(math.Floor(c.drift))
	if int64(c.lag+drifted) < samples {
		return false
	}
	c.lag, c.drift = c.lag+drifted, c.drift-float64(drifted)
	return true
}

// recount counts so many samples more of what was played, where the microphone has left
// out as many, or its clock is the slower one: the lag would fall below nothing in the
// end, where no search looks for it. And less, where the loudspeaker has, or the clock of the
// microphone is the faster one: the lag would grow out of sight. The echo that is known stays
// where it is.
func (c *Canceller) recount(more int64) {
	c.base += more
	c.search.forget()
	if c.lag >= 0 {
		c.lag += int(more)
		c.other += float64(more)
		c.skew.count(float64(more))
	}
}

// reference fills far with what was played lag samples before near.
func (c *Canceller) reference(far []float64, lag int) {
	at := c.base + c.heard - int64(lag)
	for i := range far {
		far[i] = 0
		if n := at + int64(i); n >= 0 && n < c.played && n >= c.played-ringSize {
			far[i] = float64(c.ring[n%ringSize])
		}
	}
}

func (c *Canceller) block(pcm []int16) {
	for i, v := range pcm {
		c.in[i] = float64(v)
	}
	if c.due && c.search.over() >= overdue*Block {
		c.Think()
	}
	c.due = c.search.add(c.in[:]) || c.due
	if c.lag >= 0 {
		c.cancel(pcm)
		c.slip.hear(c.in[:])
	}
	c.heard += Block
}

// Think does what may wait until a frame is on its way: the searches, which take
// longer while somebody speaks, and when a packet leaves must not tell that. Where
// it is not called, Near does it when it is next due.
func (c *Canceller) Think() {
	if !c.due {
		return
	}
	c.due = false
	if c.lag >= 0 {
		c.slipped(0)
	}
	c.seek()
	c.slip.remember(c.filter)
}

// seek looks for the lag; less often where there was nothing to be found for a
// while, as with a headset.
func (c *Canceller) seek() {
	if c.missed > settled && c.missed%seldom != 0 {
		c.missed++
		c.search.skip()
		return
	}
	c.reference(c.second[:], len(c.second)+c.search.over())
	if energy(c.second[:]) < quiet*quiet*float64(len(c.second))/4 {
		c.search.skip() // not a word that could be heard again
		return
	}
	if lag := c.search.find(c.second[:]); lag >= 0 {
		c.missed = 0
		c.move(lag)
	} else if !c.present {
		c.missed++
	}
}

// move takes note of the lag that a search has found.
func (c *Canceller) move(found float64) {
	at := float64(c.heard)
	if c.lag < 0 {
		c.takeUp(at, found)
		return
	}
	if c.skew.n == 0 {
		c.skew.hear(at, found)
		return
	}
	off, slack := c.skew.expect(at)
	off = found - off
	if math.Abs(off) <= step+slack {
		c.doubts = 0
		c.skew.hear(at, found)
		return
	}
	// While the near end speaks a search may err.
	if c.doubts > 0 && math.Abs(found-c.other) > step {
		c.doubts = 0
	}
	c.other = found
	if c.doubts++; c.doubts < others {
		return
	}
	c.doubts = 0
	far := off <= -ahead || off >= recentre
	if !c.slipped(off) && far && !c.slip.fits() {
		c.takeUp(at, found)
		return
	}
	c.skew.restart()
	c.skew.hear(at, found)
}

// takeUp begins with a room that is not known.
func (c *Canceller) takeUp(at, found float64) {
	c.doubts, c.lag, c.drift = 0, int(found), 0
	c.skew.forget()
	c.skew.hear(at, found)
	c.slip.forget()
	c.filter.forget()
	c.realign()
}

// realign hands the filter the far end's sound of its whole tail anew.
func (c *Canceller) realign() {
	for p := Partitions; p >= 1; p-- {
		c.drifted(c.far[:], c.lag-ahead+p*Block, c.drift)
		c.filter.hear(c.far[:])
	}
}

// drifted is reference, between samples where the clocks differ.
func (c *Canceller) drifted(far []float64, lag int, drift float64) {
	whole := math.Floor(drift)
	row := &sinc[int((1-(drift-whole))*sincPhases+0.5)]
	// One sample back, and from there on by the rest.
	c.reference(c.wide[:], lag+int(whole)+1+sincTaps/2-1)
	for i := range far {
		sum := 0.0
		for j, w := range row {
			sum += w * c.wide[i+j]
		}
		far[i] = sum
	}
}

func (c *Canceller) cancel(pcm []int16) {
	c.drift += c.skew.rate * Block
	c.drifted(c.far[:], c.lag-ahead, c.drift)
	c.filter.hear(c.far[:])
	sounds := energy(c.far[:]) > quiet*quiet*Block
	estimate := c.filter.estimate()
	for i, v := range c.in {
		c.out[i] = v - estimate[i]
	}
	near, err := energy(c.in[:]), energy(c.out[:])
	c.filter.learn(c.out[:])
	if sounds {
		c.judge(near, err)
		c.slip.judge(near, err)
	}
	c.suppress.listen(c.filter)
	c.suppress.weigh(c.filter)
	c.filter.follow(&c.suppress.leak)
	if !c.present {
		return
	}
	c.suppress.apply(c.out[:])
	for i, v := range c.out {
		pcm[i] = round(v)
	}
}

// judge tells from the energy of a block before and after the filter whether
// there is an echo.
func (c *Canceller) judge(near, err float64) {
	const memory = 0.98
	c.near, c.err = memory*c.near+near, memory*c.err+err
	if err > hidden*near || near < Block {
		if c.absent++; c.absent > patient {
			c.present = false
		}
	} else {
		c.absent = max(0, c.absent-chance)
	}
	if c.err < shown*c.near {
		c.present = true
	}
}

func energy(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func round(v float64) int16 {
	switch {
	case v >= 32767:
		return 32767
	case v <= -32768:
		return -32768
	case v < 0:
		return int16(v - 0.5)
	}
	return int16(v + 0.5)
}

// Stats returns what has been found so far.
func (c *Canceller) Stats() Stats {
	s := Stats{Present: c.present, Lag: c.lag}
	if c.err > 0 {
		s.ERLE = 10 * math.Log10(c.near/c.err)
	}
	return s
}
