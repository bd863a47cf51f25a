package call

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxText is how long a line of text may be, in octets of UTF-8.
const MaxText = maxBody

const (
	maxUnheard = 8  // lines of ours that the peer has not acknowledged
	textRate   = 10 // lines of the peer's a second; nobody types faster
)

// Text is a line that the other side has written. It is hostile: valid UTF-8, and
// nothing else is known of it.
type Text struct{ Text string }

// Name implements Event.
func (Text) Name() string { return "text" }

// Say writes a line to the other side of the call numbered id, or of the one that runs
// (0). It returns when the line is on its way. It is repeated for ten seconds; where it has not
// arrived by then, a Fault says so, ErrUnheard.
// Errors: ErrNoCall, ErrTooLong, ErrNoText, ErrNotTold, ErrBehind, ErrDoubt.
func (e *Endpoint) Say(id int, text string) error {
	switch {
	case len(text) > MaxText:
		return ErrTooLong
	case text == "" || !utf8.ValidString(text):
		return ErrNoText
	}
	return e.ask(id, func(now time.Time, c *core) error { return c.write(now, text) })
}

// ErrUnheard is the Err of a Fault: a line of ours has not arrived, as far as we know.
var ErrUnheard = errors.New("a line of text has not reached the other side")

// tellUnheard says so where lines were given up.
func (c *core) tellUnheard() {
	if c.control.gaveUp > 0 && c.phase == talking {
		c.tell(Fault{Err: ErrUnheard, Hint: "write it again once the other side is heard"})
	}
	c.control.gaveUp = 0
}

func (c *core) write(now time.Time, text string) error {
	switch err := c.mayType(); {
	case c.phase < talking, err == nil && !c.heeds():
		return ErrNotTold
	case err != nil:
		return err
	case c.control.waiting(wordText) >= maxUnheard, !c.writes.take(now):
		return ErrBehind
	}
	c.control.say(now, wordText, []byte(text))
	c.sendRTCP(now, false)
	return nil
}

// heeds tells whether there is somebody who shows what call control says: the peer is a
// securecall by its Hello, or speaks call control itself. Of a callee's peer nothing
// proves the former; then nothing is acknowledged either.
func (c *core) heeds() bool {
	return c.ours() && (c.spoke || strings.HasPrefix(c.client, clientPrefix))
}

// hearText is told a line of the peer's. It was acknowledged; in a flood it is dropped.
func (c *core) hearText(now time.Time, body []byte) {
	if c.phase != talking {
		return
	}
	if !c.texts.take(now) {
		c.media.drops.add(dropFlood)
		return
	}
	if text := strings.ToValidUTF8(string(body), ""); text != "" {
		c.tell(Text{Text: text})
	}
}
