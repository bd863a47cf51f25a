package quality

// Losses count what became of the frames of a call, in the words of RFC 3611,
// Section 4.7.2: a burst goes from a lost frame to a lost frame, with fewer than
// Gmin good ones in a row between; what is outside is gap, where a frame may be
// lost alone.
type Losses struct {
	Frames uint64 // all
	Lost   uint64 // of these, when they were to be heard

	Bursts      uint64
	BurstFrames uint64 // of Frames, lost or not, in bursts
	BurstLost   uint64 // of BurstFrames
}

// Gmin is how many good frames in a row end a burst (RFC 3611, Section 4.7.2,
// which recommends 16).
const Gmin = 16

// Percent of the frames were lost.
func (l Losses) Percent() float64 { return 100 * share(l.Lost, l.Frames) }

// BurstDensity is the share of frames in bursts that were lost.
func (l Losses) BurstDensity() float64 { return share(l.BurstLost, l.BurstFrames) }

// GapDensity is the share of frames outside of bursts that were lost.
func (l Losses) GapDensity() float64 { return share(l.alone(), less(l.Frames, l.BurstFrames)) }

// BurstLength is the mean number of frames of a burst; 0: there was none.
func (l Losses) BurstLength() float64 {
	if l.Bursts == 0 {
		return 0
	}
	return float64(l.BurstFrames) / float64(l.Bursts)
}

// GapLength is the mean number of frames of a gap. A call begins and ends in
// one, unless it is all one burst.
func (l Losses) GapLength() float64 {
	return float64(less(l.Frames, l.BurstFrames)) / (float64(l.Bursts) + 1)
}

// BurstRatio is G.107's BurstR: the mean number of frames lost in a row over
// what it would be if as many were lost at random, 1/(1-p). It is 1 or more.
func (l Losses) BurstRatio() float64 {
	if l.Lost == 0 || l.Lost >= l.Frames {
		return 1
	}
	return max(1, float64(l.Lost)/l.runs()*(1-share(l.Lost, l.Frames)))
}

// runs estimates how many times frames were lost in a row, which the counts do
// not say: each burst begins one, each frame lost alone is one, and each good
// run inside a burst ends before one more. A good run is geometrically
// distributed (Gilbert's model, as in G.107, Section 7.5), inside a burst cut
// off at Gmin; its parameter, the chance that a loss follows a good frame, depends
// on the number of runs in turn, and is found by iteration. It begins with what
// random losses would have, and stays there where so much is lost that the
// counts say nothing about it any more.
func (l Losses) runs() float64 {
	chains := float64(l.Bursts + l.alone())
	inside := float64(less(l.BurstFrames, l.BurstLost))
	good := float64(l.Frames - l.Lost)
	runs := float64(l.Lost) * good / float64(l.Frames)
	for range 50 {
		q := 1 - min(1, runs/good)
		// The mean of a geometric distribution from 1 to Gmin-1.
		weight, sum, p := 0., 0., 1.
		for k := 1; k < Gmin; k++ {
			weight, sum, p = weight+p, sum+float64(k)*p, p*q
		}
		runs = chains + inside*weight/sum
	}
	return min(max(runs, 1), float64(l.Lost))
}

// alone is how many were lost outside of bursts.
func (l Losses) alone() uint64 { return less(l.Lost, l.BurstLost) }

func less(a, b uint64) uint64 { return a - min(a, b) }

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}
