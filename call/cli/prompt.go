package cli

import (
	"fmt"
	"unicode/utf8"
)

// A prompt is a line that a person is typing while the call goes on. The
// terminal is raw, so that what is typed is shown by us.
type prompt struct {
	text []byte
	done func(text string)
}

// mark stands before what is typed.
const mark = "> "

// maxTyped bounds what is typed: two words and some room.
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
	s.typing = &prompt{done: done}
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
	case key == keyEnter || key == keyLineFeed:
		s.typing = nil
		if s.live == nil {
			fmt.Fprint(s.ask, "\n")
		} else {
			s.wipe()
			fmt.Fprintf(s.ask, "%s%s\n", mark, printable(string(t.text)))
		}
		t.done(string(t.text))
		s.redraw()
		return
	case key == keyBackspace || key == keyCtrlH:
		_, n := utf8.DecodeLastRune(t.text)
		t.text = t.text[:len(t.text)-n]
		if s.live == nil && n > 0 {
			fmt.Fprint(s.ask, "\b \b")
		}
	case key == keyCtrlU:
		for s.live == nil && len(t.text) > 0 {
			s.edit(keyBackspace)
		}
		t.text = t.text[:0]
	case key >= ' ' && len(t.text) < maxTyped:
		t.text = append(t.text, key)
		if s.live == nil {
			fmt.Fprintf(s.ask, "%c", key)
		}
	}
	s.redraw()
}

// unprompt takes the prompt back: there is nothing to be typed any more.
func (s *screen) unprompt() {
	if s.typing != nil {
		s.typing = nil
		if s.live == nil {
			fmt.Fprint(s.ask, "\n")
		}
		s.redraw()
	}
}
