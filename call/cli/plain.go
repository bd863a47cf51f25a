package cli

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentences is where --plain writes: who has lines read aloud hears each as a
// sentence, without the columns and dots that are for the eye. What is no
// whole line, the echo of what is typed, goes through as it is.
type sentences struct{ w io.Writer }

// Write implements io.Writer.
func (p sentences) Write(b []byte) (int, error) {
	text := string(b)
	if line, whole := strings.CutSuffix(text, "\n"); whole {
		text = sentence(line) + "\n"
	}
	if _, err := io.WriteString(p.w, text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// sentence makes a sentence of one line. A command that is to be typed stays
// as it is.
func sentence(line string) string {
	text := strings.Join(strings.Fields(line), " ")
	if text == "" || strings.HasPrefix(text, "securecall ") {
		return text
	}
	text = strings.ReplaceAll(text, " · ", ", ")
	if first, n := utf8.DecodeRuneInString(text); !strings.HasPrefix(text, "securecall:") {
		text = string(unicode.ToUpper(first)) + text[n:]
	}
	if !strings.ContainsRune(".:!?", rune(text[len(text)-1])) {
		text += "."
	}
	return text
}

// plainly makes of a screen one that is read aloud.
func (s *screen) plainly() {
	s.plain, s.live, s.color = true, nil, false
	for _, w := range []*io.Writer{&s.results, &s.talk, &s.errors, &s.ask} {
		if *w != nil && *w != io.Discard {
			*w = sentences{*w}
		}
	}
}
