package dtmf

import (
	"math"

	"securecall/audio"
)

const (
	remembered = 16 // events

	// An event that begins so long before the newest one is too late to be a key of
	// its own: the packets of one that has been told come late too.
	tooLate = audio.SampleRate / 2
	// A stream whose timestamps leap back as far as this has begun anew.
	anew = 10 * audio.SampleRate
)

// A Receiver finds each key once. An event is known by its timestamp, that of its
// beginning, which all its packets have (RFC 4733, Section 2.2.1): so it is told with
// the first of them that comes, and neither a lost end nor one that comes three times
// changes anything.
type Receiver struct {
	events [remembered]uint32 // their timestamps
	known  int                // how many there have been, remembered at most
	next   int                // the oldest of them, and so the next to be replaced

	newest uint32 // the last event to begin,
	code   uint8  // which it is,
	ended  bool   // and whether its end has come
}

// Hear takes in the event of one packet, and the timestamp at which it begins. fresh:
// a key was pressed, and it had not been told.
func (r *Receiver) Hear(timestamp uint32, e Event) (key byte, fresh bool) {
	key, ok := e.Key()
	// One without duration is a state, and no key is one (RFC 4733, Section 2.3.5).
	if !ok || e.Duration == 0 || r.late(timestamp) {
		return 0, false
	}
	if r.told(timestamp) {
		r.ended = r.ended || e.End && timestamp == r.newest
		return 0, false
	}
	// A key that is down for longer than the duration can say goes on as an event of a
	// later timestamp (Section 2.5.1.3).
	goesOn := r.known > 0 && !r.ended && e.Code == r.code && timestamp == r.newest+math.MaxUint16
	r.remember(timestamp, e)
	return key, !goesOn
}

func (r *Receiver) told(timestamp uint32) bool {
	for _, t := range r.events[:r.known] {
		if t == timestamp {
			return true
		}
	}
	return false
}

func (r *Receiver) late(timestamp uint32) bool {
	behind := int32(r.newest - timestamp)
	return r.known > 0 && behind > tooLate && behind < anew
}

func (r *Receiver) remember(timestamp uint32, e Event) {
	behind := int32(r.newest - timestamp)
	r.events[r.next] = timestamp
	r.next = (r.next + 1) % remembered
	r.known = min(r.known+1, remembered)
	if r.known == 1 || behind < 0 || behind >= anew {
		r.newest, r.code, r.ended = timestamp, e.Code, e.End
	}
}
