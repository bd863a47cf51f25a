package playout

// sequence remembers which of the last 64 sequence numbers have come.
type sequence struct {
	begun   bool
	highest uint16
	came    uint64 // bit n: highest-n

	behind bool   // a number has come that is too old to tell
	anew   uint16 // the one after it
}

// add takes in a sequence number and tells whether it had come before, and
// whether a higher one had. Numbers wrap around (RFC 3550, Section 5.1); two in
// a row from far behind mean that the sender has begun anew (Appendix A.1).
func (w *sequence) add(seq uint16) (repeated, older bool) {
	ahead := int16(seq - w.highest)
	switch {
	case !w.begun, w.behind && seq == w.anew && ahead <= -64:
		*w = sequence{begun: true, highest: seq, came: 1}
	case ahead > 0:
		w.came = w.came<<ahead | 1 // a shift by 64 or more leaves the 1 alone
		w.highest = seq
	case ahead > -64:
		bit := uint64(1) << -ahead
		repeated, older = w.came&bit != 0, true
		w.came |= bit
	default:
		w.behind, w.anew = true, seq+1
		older = true
	}
	return repeated, older
}
