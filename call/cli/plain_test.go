package cli

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"securecall/call"
)

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"muted: the other side hears silence": "Muted: the other side hears silence.",
		"  securecall dial 203.0.113.7:5004":  "securecall dial 203.0.113.7:5004",
		"securecall: busy":                    "securecall: busy.",
		"secured with bob · X25519 · not verified yet":        "Secured with bob, X25519, not verified yet.",
		"read to each other:   tissue  disbelief   (press v)": "Read to each other: tissue disbelief (press v).",
		"incoming call from bob: a answer, d decline":         "Incoming call from bob: a answer, d decline.",
		"type both words, then Enter:":                        "Type both words, then Enter:",
		"is it there?":                                        "Is it there?",
		"écoute":                                              "Écoute.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q) = %q, want %q", in, got, want)
		}
	}
}

// With --plain every line is a sentence: no colour, no meter, nothing that is
// drawn over.
func TestPlainScreen(t *testing.T) {
	var b bytes.Buffer
	s := &screen{
		results: &b, talk: &b, errors: &b, ask: &b, live: &console{w: &b, terminal: true}, color: true, verbose: true, many: true,
		mic: "headset", speaker: "default", records: &records{},
	}
	s.plainly()
	for _, i := range sampleEvents() {
		s.show(i.at, i.id, i.e)
		s.redraw()
	}
	s.talking, s.guarded = true, true
	s.help()
	golden(t, "testdata/plain.txt", b.Bytes())
	whole := regexp.MustCompile(`^([[:upper:]0-9].*|securecall: .*)[.:!?]$|^securecall [a-z].*$`)
	for line := range strings.Lines(b.String()) {
		if !whole.MatchString(strings.TrimSuffix(line, "\n")) || strings.ContainsAny(line, "\x1b\r█░·") {
			t.Errorf("no sentence: %q", line)
		}
	}
}

// What is typed is echoed as it is.
func TestPlainPrompt(t *testing.T) {
	p, e, b := atPhone()
	p.screen.plainly()
	p.types(e, "thi ")
	p.screen.show(answeredAt, 7, call.DTMF{Digits: "5"})
	p.types(e, "bob\r")
	want := "Type a line for the other side, then Enter (Esc sends nothing):\n> hi \nThe other side pressed 5.\n> hi bob\n"
	if got := b.String(); got != want {
		t.Errorf("said %q\nwant %q", got, want)
	}
}
