package dtmf

import (
	"strings"
	"time"

	"securecall/audio"
)

// Most is how many keys wait to be sent at most.
const Most = 32

// How long a key is down and then up; ITU-T Q.24 asks for 40 ms of each at least.
var (
	down = audio.Samples(100 * time.Millisecond)
	up   = audio.Samples(60 * time.Millisecond)
)

const (
	// The packet that ends an event is sent three times (RFC 4733, Section 2.5.1.4).
	repeats = 2
	volume  = 10 // dB below 0 dBm0, as telephones play it
)

// A Sender turns keys into the events of a stream's packets, one a packet while a key
// is down. It belongs to whoever makes the packets.
type Sender struct {
	frame  int // samples of a packet
	queue  [Most]uint8
	queued int

	packets int    // of the event that is being sent, up to now; 0: there is none
	begun   uint32 // its timestamp
	pause   int    // samples until there may be another
}

// NewSender is for packets of so many samples.
func NewSender(frame int) Sender { return Sender{frame: frame} }

// Push queues keys, all of them or (false) none: they have to be Valid and to fit.
func (s *Sender) Push(keys string) bool {
	if len(keys) > Most-s.queued || !Valid(keys) {
		return false
	}
	for _, key := range []byte(keys) {
		s.queue[s.queued] = uint8(strings.IndexByte(Keys, key))
		s.queued++
	}
	return true
}

// Idle tells whether there is nothing to send.
func (s *Sender) Idle() bool { return s.queued == 0 }

// Clear forgets all keys, the one that is down too.
func (s *Sender) Clear() { s.queued, s.packets, s.pause = 0, 0, 0 }

// A Piece is what one packet carries of an event.
type Piece struct {
	Event
	Since uint32 // samples from the beginning of the event to the packet
	First bool
}

// Next is asked once for each packet, in order, with its timestamp; false: the packet
// carries no event.
func (s *Sender) Next(timestamp uint32) (p Piece, ok bool) {
	if s.packets == 0 {
		if s.pause > 0 {
			s.pause -= s.frame
			return Piece{}, false
		}
		if s.queued == 0 {
			return Piece{}, false
		}
		s.begun = timestamp
	}
	s.packets++
	last := down / s.frame // the packet that says that the key is up
	p = Piece{
		Event: Event{
			Code:     s.queue[0],
			Volume:   volume,
			End:      s.packets >= last,
			Duration: uint16(min(s.packets, last) * s.frame),
		},
		Since: timestamp - s.begun,
		First: s.packets == 1,
	}
	if s.packets == last+repeats {
		s.queued--
		copy(s.queue[:], s.queue[1:])
		s.packets, s.pause = 0, up-repeats*s.frame
	}
	return p, true
}
