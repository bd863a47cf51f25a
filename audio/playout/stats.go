package playout

import (
	"time"
)

// Stats count packets and frames since New.
type Stats struct {
	Frame time.Duration // that each of the frames is long

	Received   uint64 // packets pushed
	Late       uint64 // arrived after their time had been played (RFC 3611: discarded)
	Duplicated uint64
	Reordered  uint64 // in time, but behind a packet with a higher number
	Recovered  uint64 // redundant copies that filled something
	Needless   uint64 // packets that came after such a copy of theirs
	Refused    uint64 // nothing that could be played (length, far away in time)
	Lost       uint64 // frames played without: concealed, or silence

	Restored  time.Duration // sound that redundant copies brought in time
	Concealed time.Duration // substitution instead of sound that was not there
	Stretched time.Duration // added to speech
	Shrunk    time.Duration // taken out of speech
	Delay     time.Duration // what a packet now waits between Push and Pop
	Target    time.Duration // what it should wait

	// Frames since the first that held sound, and which of them were in bursts:
	// from a lost frame to a lost frame with fewer than 16 good ones in a row
	// between them (RFC 3611, Section 4.7.2, Gmin). One lost frame alone is in
	// a gap.
	Frames      uint64
	Bursts      uint64
	BurstFrames uint64
	BurstLost   uint64
}

// gmin is how many good frames in a row end a burst (RFC 3611, Section 4.7.2).
const gmin = 16

// bursts finds the bursts in a row of lost and good frames.
type bursts struct {
	open   bool   // a frame was lost, and fewer than gmin good ones have followed
	frames uint64 // from the first lost to the last lost one
	lost   uint64
	good   uint64 // since then
}

// frame takes in the next frame. A burst counts from its second loss on, and
// with all that belongs to it so far.
func (r *bursts) frame(s *Stats, lost bool) {
	s.Frames++
	switch {
	case !lost:
		if r.good++; r.good >= gmin {
			r.open = false
		}
	case !r.open:
		*r = bursts{open: true, frames: 1, lost: 1}
	default:
		if r.lost == 1 {
			s.Bursts++
			s.BurstFrames++
			s.BurstLost++
		}
		r.frames += r.good + 1
		r.lost++
		s.BurstFrames += r.good + 1
		s.BurstLost++
		r.good = 0
	}
}
