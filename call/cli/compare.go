package cli

import "math"

// compare finds said within heard, and tells which share of it is there
// sample for sample, and how well the two correlate at that place (1: the
// same but for loudness; 0: nothing in common).
//
// The place is the delay that most short windows of said agree on: G.711
// gives the same samples every time, so each frame that arrived is there
// exactly, even if others were lost.
func compare(said, heard []int16) (exact, correlation float64) {
	const window = 32 // samples: enough that loud ones are hardly ever alike
	var key [window]int16
	places := map[[window]int16]int{} // of each window of said; -1: several
	for i := 0; i+window <= len(said); i += window {
		copy(key[:], said[i:])
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
	delay := 0
	for i := 0; i+window <= len(heard); i++ {
		copy(key[:], heard[i:])
		if place, found := places[key]; found && place >= 0 {
			if votes[i-place]++; votes[i-place] > votes[delay] {
				delay = i - place
			}
		}
	}
	if votes[delay] == 0 {
		return 0, 0
	}

	var same int
	var sh, ss, hh float64
	for i, s := range said {
		var h int16
		if at := i + delay; at >= 0 && at < len(heard) {
			h = heard[at]
			if s == h {
				same++
			}
		}
		sh += float64(s) * float64(h)
		ss += float64(s) * float64(s)
		hh += float64(h) * float64(h)
	}
	return float64(same) / float64(len(said)), sh / math.Sqrt(ss*hh)
}

func loud(s []int16) bool {
	for _, v := range s {
		if v > 500 || v < -500 {
			return true
		}
	}
	return false
}
