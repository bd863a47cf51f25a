package cli

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"securecall/audio/progress"
)

// A screen says to a person what the events of an endpoint mean. One
// goroutine owns it.
type screen struct {
	results io.Writer // what was asked for: addresses, the security line, the SAS, how it ended
	talk    io.Writer // the rest
	errors  io.Writer // why a call failed
	ask     io.Writer // where questions and keys are shown; nil: there is nobody to ask
	live    *console  // the terminal on which the waiting line is renewed; nil: plain lines
	color   bool
	verbose bool
	plain   bool // --plain
	accept  bool // calls are answered without a question
	hooked  bool // or not, as --on-incoming says
	open    bool // a listener that has been open to calls
	many    bool // a listener: the end of a call is not the end

	mic, speaker string
	split        bool // --split-sas

	caller  bool             // we dial
	current int              // the call that is shown; 0: none
	tried   []netip.AddrPort // where current was dialled
	refused map[netip.AddrPort]bool
	ringing bool      // current wants an answer
	bell    bool      // of the terminal: it rings for that,
	rung    time.Time // and did so last
	rang    string    // who called and when, until it is answered
	talking bool
	sas     string // of current; empty: no keys yet
	muted   bool
	doings
	records *records
	guarded bool // the keys have changed, and our microphone is closed
	changed bool // the keys have changed, and nothing was verified in this call
	risk    bool // which was accepted

	another           bool   // a contact was dialled, and another installation has answered
	called, answering string // the contact's name, and the ZID of that one

	typing  *prompt
	stray   time.Time // until when keys belong to a prompt that was taken back
	waiting string    // what is being waited for
	since   time.Time
	drawn   bool   // the waiting line stands on the terminal,
	shown   string // like this
}

// say prints one line, after taking the waiting line off the screen; tick
// puts it back.
func (s *screen) say(w io.Writer, format string, args ...any) {
	s.wipe()
	defer s.aside(w)()
	fmt.Fprintf(w, format+"\n", args...)
}

func (s *screen) hint(text string) {
	if text != "" {
		s.say(s.talk, "  %s", text)
	}
}

// wait says what is being waited for from now on: once, or on a terminal
// every second, with the time.
func (s *screen) wait(at time.Time, what string) {
	s.waiting, s.since = what, at
	if s.live == nil {
		if !s.talking {
			s.say(s.talk, "%s since %s", what, at.Format(time.TimeOnly))
		}
		return
	}
	s.tick(at)
}

// waitFor has the time that one waits go on until done is closed.
func (s *screen) waitFor(done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			s.tick(now)
		}
	}
}

// ring has the terminal's bell ring once a cadence, while somebody is asked.
func (s *screen) ring(now time.Time) {
	if s.bell && s.ringing && now.Sub(s.rung) > progress.Period-time.Second/2 { // ticks are seconds, give or take a little
		s.rung = now
		fmt.Fprint(s.ask, "\a")
	}
}

// tick renews the waiting line.
func (s *screen) tick(now time.Time) {
	if s.live == nil || s.waiting == "" {
		return
	}
	if line := s.line(now, s.live.width()-1); !s.drawn || line != s.shown {
		fmt.Fprintf(s.live, "\r%s\x1b[K%s", line, s.park())
		s.drawn, s.shown = true, line
	}
}

// line is what stands in the last line of the terminal, in at most room columns.
func (s *screen) line(now time.Time, room int) string {
	switch {
	case s.typing != nil:
		return s.typing.row(room)
	case s.talking:
		return s.status(now, room)
	}
	line := fmt.Sprintf("%s · %s · since %s", s.waiting, clock(now.Sub(s.since)), s.since.Format(time.TimeOnly))
	switch {
	case s.guarded:
		line += " · microphone closed: the keys have changed (v compare, x accept the risk)"
	case s.risk:
		line += " · the keys have changed, at your own risk"
	}
	return cut(line, room)
}

// park is where the cursor waits: at the beginning of the line. Where a terminal
// that was made narrow has broken the line into rows, it is then in the first of
// them, and all can be wiped without touching what stands above. While somebody
// types it is where the next letter goes.
func (s *screen) park() string {
	if s.typing != nil {
		return ""
	}
	return "\r"
}

// resized writes the line anew: the terminal has another size.
func (s *screen) resized() {
	if s.drawn {
		fmt.Fprint(s.live, "\r\x1b[J")
		s.drawn = false
	}
	s.redraw()
}

// redraw shows what a key or an event has changed in the waiting line.
func (s *screen) redraw() { s.tick(time.Now()) }

// wipe takes the waiting line off the terminal.
func (s *screen) wipe() {
	if s.drawn {
		fmt.Fprint(s.live, "\r\x1b[K")
		s.drawn = false
	}
}

// done is called last: nothing is waited for any more.
func (s *screen) done() {
	s.wipe()
	s.waiting = ""
}

const (
	bold   = "1"
	green  = "32"
	red    = "31"
	yellow = "33"
)

func (s *screen) paint(style, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
