// Package dtmf is the keys of a telephone as RTP carries them: the payload format
// telephone-event (RFC 4733), for the sixteen DTMF events alone.
//
// A Sender says which event each packet of a stream carries, a Receiver finds each
// key once in whatever of these packets comes, in whatever order. Both are machines
// without clock, goroutine or lock; nothing here does I/O or allocates.
//
// Left out: all other events (modem, fax and line tones), and several events in one
// packet, of which the first is taken: no telephone does that with keys.
package dtmf

import (
	"encoding/binary"
	"errors"
	"strings"
)

// PayloadType is the RTP payload type of telephone events here. It is a dynamic one
// (RFC 3551, Section 6), and without SDP nobody can say another; 101 is what most
// telephones offer and take.
const PayloadType = 101

// Keys are the sixteen keys, in the order of their event codes (RFC 4733, Section
// 3.2).
const Keys = "0123456789*#ABCD"

// Size is that of a payload, in octets (RFC 4733, Section 2.3).
const Size = 4

// An Event is one payload: what is known of a key that is or was down.
type Event struct {
	Code     uint8  // its place in Keys; other events have higher ones
	End      bool   // the key is up again
	Volume   uint8  // below 0 dBm0, 0 to 63 dB
	Duration uint16 // up to now, in samples
}

var errFormat = errors.New("dtmf: malformed")

// Append appends the payload: event, E bit, a reserved bit, volume, duration.
func (e Event) Append(b []byte) []byte {
	second := e.Volume & 0x3f
	if e.End {
		second |= 0x80
	}
	return binary.BigEndian.AppendUint16(append(b, e.Code, second), e.Duration)
}

// Parse reads the first event of a payload. The reserved bit is ignored (RFC 4733,
// Section 2.3.3).
func Parse(b []byte) (Event, error) {
	if len(b) < Size {
		return Event{}, errFormat
	}
	return Event{Code: b[0], End: b[1]&0x80 != 0, Volume: b[1] & 0x3f, Duration: binary.BigEndian.Uint16(b[2:])}, nil
}

// Key is the key of an event, if it is that of one.
func (e Event) Key() (key byte, ok bool) {
	if int(e.Code) >= len(Keys) {
		return 0, false
	}
	return Keys[e.Code], true
}

// Valid tells whether there is a key for each character.
func Valid(keys string) bool {
	return strings.Trim(keys, Keys) == ""
}
