package call

import (
	"slices"
	"time"
)

// Resending of call-control messages: after 100 ms, then after twice as long
// each time; what is not acknowledged within 10 s is given up.
const (
	controlFirst  = 100 * time.Millisecond
	controlGiveUp = 10 * time.Second

	// What one packet says at most, in octets, so that it crosses every path; what
	// has no room in it follows when that has arrived.
	maxSaid    = 900
	saidHeader = 7 // of a message: number, word, length
)

// control is one side's reliable exchange of call-control messages: each is
// numbered, sent with every packet until it is acknowledged, and taken once.
type control struct {
	last   uint32    // number of our last message
	unsaid []pending // ours, not acknowledged, in order
	wait   time.Duration
	again  time.Time // when to resend; zero: nothing to resend
	heard  uint32    // number of the last that the peer has acknowledged
	gaveUp int       // lines of text that were not acknowledged in time
	cut    bool      // the last packet had no room for all of them

	taken uint32 // number of the peer's last message that was taken
	owed  bool   // the peer waits for an acknowledgement
}

type pending struct {
	message
	since time.Time
}

// say queues a message, to be sent at once.
func (c *control) say(now time.Time, w word, body []byte) {
	if len(c.unsaid) == maxMessages {
		c.unsaid = c.unsaid[1:] // a peer that acknowledges nothing loses the oldest
	}
	c.last++
	c.unsaid = append(c.unsaid, pending{message{c.last, w, body}, now})
	c.wait, c.again = controlFirst, now
}

// update says what holds now, in place of what was said of the same kind and
// has not been acknowledged.
func (c *control) update(now time.Time, w word, body []byte) {
	c.unsaid = slices.DeleteFunc(c.unsaid, func(p pending) bool { return p.word == w })
	c.say(now, w, body)
}

// due tells whether an APP packet should be sent now.
func (c *control) due(now time.Time) bool {
	return c.owed || !c.again.IsZero() && !now.Before(c.again)
}

// take is the content of the next APP packet; it counts as sent.
func (c *control) take(now time.Time) appData {
	for len(c.unsaid) > 0 && now.Sub(c.unsaid[0].since) >= controlGiveUp {
		if c.unsaid[0].word == wordText {
			c.gaveUp++
		}
		c.unsaid = c.unsaid[1:]
	}
	d := appData{ack: c.taken}
	size := 0
	c.cut = false
	for _, p := range c.unsaid {
		size += saidHeader + len(p.body)
		if c.cut = size > maxSaid; c.cut {
			break
		}
		d.messages = append(d.messages, p.message)
	}
	c.owed = false
	switch {
	case len(c.unsaid) == 0:
		c.again = time.Time{}
	case !now.Before(c.again): // a mere acknowledgement does not slow resending
		c.again = now.Add(c.wait)
		c.wait *= 2
	}
	return d
}

// hear handles the peer's APP packet and returns what is new in it, in order, and
// what has no number.
// A number may be missing where the peer has given a message up.
func (c *control) hear(d appData) []message {
	for len(c.unsaid) > 0 && c.unsaid[0].number <= d.ack {
		c.unsaid = c.unsaid[1:]
		c.owed = c.owed || c.cut // what had no room has it now
	}
	c.heard = max(c.heard, min(d.ack, c.last))
	if len(c.unsaid) == 0 {
		c.again = time.Time{}
	}
	var fresh []message
	for _, m := range d.messages {
		if m.number == 0 {
			fresh = append(fresh, m)
			continue
		}
		c.owed = true
		if m.number > c.taken {
			c.taken = m.number
			fresh = append(fresh, m)
		}
	}
	return fresh
}

// waiting is how many messages of a kind have not been acknowledged.
func (c *control) waiting(w word) (n int) {
	for _, p := range c.unsaid {
		if p.word == w {
			n++
		}
	}
	return n
}
