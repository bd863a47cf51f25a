package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A prompt is a line that a person is typing while the call goes on. The
// terminal is raw, so that what is typed is shown by us.
type prompt struct {
	text    []byte
	echoed  int  // octets of it that are on the screen, where no line is renewed
	limit   int  // of octets
	lasting bool // what is typed is wanted even if the words have been compared meanwhile
	done    func(text string)
}

// mark stands before what is typed.
const mark = "> "

// maxTyped bounds what is typed, unless it is text for the other side: two
// words and some room.
const maxTyped = 80

const (
	keyEnter     = '\r'
	keyLineFeed  = '\n'
	keyBackspace = 127
	keyCtrlH     = 8
	keyCtrlU     = 21
)

// prompt asks for a line; done gets it, or nothing if the call ends first.
func (s *screen) prompt(question string, done func(text string)) {
	s.say(s.ask, "%s", question)
	s.typing = &prompt{limit: maxTyped, done: done}
	if s.live == nil {
		fmt.Fprint(s.ask, mark)
		return
	}
	s.redraw()
}

// edit carries out one key of the prompt.
func (s *screen) edit(key byte) {
	t := s.typing
	switch {
	case key == keyEnter || key == keyLineFeed || key == keyEscape:
		if key == keyEscape {
			t.text = nil // whoever asked takes it as nothing
		}
		s.typing = nil
		if s.live == nil {
			fmt.Fprint(s.ask, "\n")
		} else {
			s.wipe()
			if len(t.text) > 0 {
				fmt.Fprintf(s.ask, "%s%s\n", mark, printable(string(t.text)))
			}
		}
		t.done(string(t.text))
		s.redraw()
		return
	case key == keyBackspace || key == keyCtrlH:
		r, n := utf8.DecodeLastRune(t.text)
		t.text = t.text[:len(t.text)-n]
		t.echoed = min(t.echoed, len(t.text))
		if s.live == nil && n > 0 {
			fmt.Fprint(s.ask, strings.Repeat("\b \b", columnsOf(r)))
		}
	case key == keyCtrlU:
		for s.live == nil && len(t.text) > 0 {
			s.edit(keyBackspace)
		}
		t.text = t.text[:0]
	case key >= ' ' && len(t.text) < t.limit:
		t.text = append(t.text, key)
		s.echo()
	}
	s.redraw()
}

// echo shows what has been typed where no line is renewed, whole letters only.
func (s *screen) echo() {
	t := s.typing
	for s.live == nil && utf8.FullRune(t.text[t.echoed:]) {
		_, n := utf8.DecodeRune(t.text[t.echoed:])
		fmt.Fprint(s.ask, printable(string(t.text[t.echoed:t.echoed+n])))
		t.echoed += n
	}
}

// unprompt takes the prompt back: there is nothing to be typed any more.
func (s *screen) unprompt() {
	if s.typing != nil {
		if len(s.typing.text) > 0 {
			s.stray = time.Now().Add(strayTime)
		}
		s.typing = nil
		if s.live == nil {
			fmt.Fprint(s.ask, "\n")
		}
		s.redraw()
	}
}

// strayTime is how long nothing was typed when a line has been given up.
const strayTime = time.Second

// strays tells whether a key is the rest of a line whose prompt was taken back while somebody
// typed: as keys of their own, letters would answer, record and hang up.
func (s *screen) strays(now time.Time, key byte) bool {
	if !now.Before(s.stray) || key == keyInterrupt {
		return false
	}
	s.stray = now.Add(strayTime)
	if key == keyEnter || key == keyLineFeed || key == keyEscape {
		s.stray = time.Time{}
	}
	return true
}

// aside makes room for a line of ours where what is being typed stands on a
// line that is not renewed; again shows it once more below.
func (s *screen) aside(w io.Writer) (again func()) {
	if s.typing == nil || s.live != nil || w == io.Discard {
		return func() {}
	}
	fmt.Fprint(s.ask, "\n")
	return func() { fmt.Fprint(s.ask, mark+printable(string(s.typing.text))) }
}

// row is what the status line shows of the prompt: the end of it, where it is
// longer than the terminal is wide.
func (t *prompt) row(room int) string {
	text := ending(printable(string(t.text)), room-len(mark)-1)
	return cut(mark+text+"_", room)
}
