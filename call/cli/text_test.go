package cli

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"securecall 0.1":               "securecall 0.1",
		"naïve 電話 🔒":                   "naïve 電話 🔒",
		"a\x1b[2Jb":                    "a[2Jb",
		"line\nand\ttab\r":             "line and tab",
		"\u202eevil\u202c\u2066\u200f": "evil",
		"c1\u009b31m":                  "c131m",
		"sep\u2028\u2029":              "sep",
		"bad\xff\xfe":                  "bad",
		"zero\u200bwidth\ufeff":        "zerowidth",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"bob", "\x1b]0;title\x07", "\u202eabc", "\u009b2J", "\xc2", "a\r\nb", "\u2067\u2069"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q gave %q, which is not UTF-8", s, got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
				t.Fatalf("%q gave %q with %U", s, got, r)
			}
		}
		if printable(got) != got {
			t.Fatalf("%q: not the same when done twice", s)
		}
		if len(got) > len(s) {
			t.Fatalf("%q grew", s)
		}
	})
}

func TestClock(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0:00": 999 * time.Millisecond, "0:07": 7 * time.Second, "12:34": 754 * time.Second, "1:02:03": 3723 * time.Second,
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %s, want %s", d, got, want)
		}
	}
}

// NO_COLOR and the like are read elsewhere; here: without colour not one
// escape sequence, with it the same words.
func TestPaint(t *testing.T) {
	plain, coloured := &screen{}, &screen{color: true}
	if got := plain.paint(bold, "tissue"); got != "tissue" {
		t.Errorf("plain: %q", got)
	}
	if got := coloured.paint(bold, "tissue"); !strings.Contains(got, "tissue") || !strings.HasPrefix(got, "\x1b[1m") || !strings.HasSuffix(got, "\x1b[0m") {
		t.Errorf("coloured: %q", got)
	}
}

// An arrow key, a function key and Alt are no keys of ours.
func TestTyped(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "\x1b[Da": "a", "m\x1b[15~q": "mq", "\x1bOPd": "d", "\x1b": "\x1b", "\x1bd": "", "\x1b[1;5D": "", "\x1b[": "", "\x1b[\x03": "\x03", "\x1b[\x1b[Da": "a", "\x1bO\r": "\r", "\x03?": "\x03?",
	} {
		var whole, pieces sequences
		got := string(whole.keys([]byte(in)))
		if whole == afterEscape {
			got += "\x1b" // the key itself, when nothing has followed for a while
		}
		if got != want {
			t.Errorf("%q is typed as %q, want %q", in, got, want)
		}
		got = ""
		for _, b := range []byte(in) {
			got += string(pieces.keys([]byte{b}))
		}
		if pieces == afterEscape {
			got += "\x1b"
		}
		if got != want {
			t.Errorf("%q in pieces is typed as %q, want %q", in, got, want)
		}
	}
}
