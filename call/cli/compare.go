package cli

import "math"

// compare finds said within heard, and tells which share of it is there
// sample for sample, and how well the two correlate (1: the same but for
// loudness; 0: nothing in common).
//
// Each piece of said is looked for where most of its short windows are found:
// G.711 gives the same samples every time, so that each frame that arrived is
// there exactly, even if others were lost, and a jitter buffer that had to
// slip moves only what comes after.
func compare(said, heard []int16) (exact, correlation float64) {
	const piece = 3200 // samples
	delay, found := 0, false
	var same int
	var sh, ss, hh float64
	for start := 0; start < len(said); start += piece {
		part := said[start:min(start+piece, len(said))]
		if d, ok := place(part, heard); ok {
			delay, found = d-start, true
		}
		for i, s := range part {
			var h int16
			if at := start + i + delay; found && at >= 0 && at < len(heard) {
				h = heard[at]
				if s == h {
					same++
				}
			}
			sh += float64(s) * float64(h)
			ss += float64(s) * float64(s)
			hh += float64(h) * float64(h)
		}
	}
	if hh == 0 || ss == 0 {
		return 0, 0
	}
	return float64(same) / float64(len(said)), sh / math.Sqrt(ss*hh)
}

// place is where most loud windows of part stand in heard.
func place(part, heard []int16) (at int, found bool) {
	const window = 32 // samples: enough that loud ones are hardly ever alike
	var key [window]int16
	places := map[[window]int16]int{} // -1: there are several
	for i := 0; i+window <= len(part); i += window {
		copy(key[:], part[i:])
		if !loud(key[:]) {
			continue
		}
		if _, again := places[key]; again {
			places[key] = -1
			continue
		}
		places[key] = i
	}
	votes := map[int]int{}
	for i := 0; i+window <= len(heard); i++ {
		copy(key[:], heard[i:])
		if p, known := places[key]; known && p >= 0 {
			if votes[i-p]++; !found || votes[i-p] > votes[at] {
				at, found = i-p, true
			}
		}
	}
	return at, found
}

func loud(s []int16) bool {
	for _, v := range s {
		if v > 500 || v < -500 {
			return true
		}
	}
	return false
}
