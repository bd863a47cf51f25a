package call

import "math"

// settleAfter is how many packets later than its own a packet may come and
// still not count as lost: what comes later, 200 ms or with short packets 100, is
// seldom of use to playout.
const settleAfter = 10

// losses counts what the network loses of one stream, packet by packet and
// whatever redundancy makes up for, for the report of the next second. Every
// packet has been authenticated.
type losses struct {
	begun   bool
	highest uint16
	came    uint32 // bit n: highest-n
	settled int    // of the bits below, how many belong to the stream at most
	lastOut bool   // the last packet that was settled was lost

	lossCount
}

// lossCount is what became of the packets of an interval.
type lossCount struct {
	expected, lost uint16
	runs           uint16 // of losses in a row, by their beginnings
}

// take returns the count since the last take, and begins anew.
func (l *losses) take() lossCount {
	c := l.lossCount
	l.lossCount = lossCount{}
	return c
}

// add takes in a sequence number.
func (l *losses) add(seq uint16) {
	ahead := int16(seq - l.highest)
	switch {
	case !l.begun, ahead > 1000, ahead < -1000: // the sender has begun anew
		*l = losses{begun: true, highest: seq, came: 1, lossCount: l.lossCount}
	case ahead <= 0:
		if ahead > -settleAfter {
			l.came |= 1 << -ahead
		}
	default:
		for range ahead {
			l.settle()
			l.highest++
			l.came <<= 1
		}
		l.came |= 1
	}
}

// settle decides about the packet that will be the settleAfter-th behind.
func (l *losses) settle() {
	if l.settled < settleAfter-1 {
		l.settled++ // before the first packet there is nothing to lose
		return
	}
	if l.expected == math.MaxUint16 {
		return // leaps without end, by somebody who wants to see it wrap around
	}
	l.expected++
	out := l.came&(1<<(settleAfter-1)) == 0
	if out {
		l.lost++
		if !l.lastOut {
			l.runs++
		}
	}
	l.lastOut = out
}
