package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// The status line and the keys of a call, on real terminals.

// resize gives the terminal another size; the system tells the program.
func (s *seat) resize(columns uint16) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		s.t.Fatal(err)
	}
}

// drawn are the status lines in text, without colours.
func drawn(text string) (lines []string) {
	for _, m := range regexp.MustCompile(`\r([^\r\n]*)\x1b\[K`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(m[1], ""))
	}
	return lines
}

// A window made narrow in mid-call shows what matters most, and never more
// than it has room for; made wide again it shows all.
func TestStatusLineFollowsTheWindow(t *testing.T) {
	t.Parallel()
	alice, bob := newCouple(t).call()
	alice.sees(`in the call · 0:0\d · \x1b\[33mnot verified\x1b\[0m · you [█░]{4} them [█░]{4} · direct\x1b\[K`)
	for _, width := range []int{20, 7, 2, 1, 33} {
		alice.resize(uint16(width))
		switch {
		case width == 20:
			alice.sees(`\r0:\d\d · \x1b\[33mnot verified\x1b\[0m\x1b\[K`)
		case width > 20:
			alice.sees(`\r[^\r]*not verified\x1b\[0m[^\r]*\x1b\[K`)
		default:
			alice.sees(`\r\x1b\[33m` + "not verified"[:width-1] + `\x1b\[0m\x1b\[K`)
		}
		from := alice.read
		alice.types("m")
		alice.sees(`not muted|muted: the other side hears silence`)
		alice.types("m")
		alice.sees(`not muted`)
		text, _ := alice.screen.text()
		for _, line := range drawn(text[from:alice.read]) {
			if n := utf8.RuneCountInString(line); n >= width {
				t.Errorf("%d columns in a window of %d: %q", n, width, line)
			}
		}
	}
	alice.resize(200)
	alice.sees(`\rin the call · .* · loss [\d.]+ % · delay \d+ ms · .*direct\x1b\[K`)
	alice.types("q")
	alice.leaves(0)
	bob.leaves(0)
}

// A terminal of one column has no room for a status line, and the call does
// not mind.
func TestTerminalOfOneColumn(t *testing.T) {
	t.Parallel()
	bob := sitAt(t, "sh", "-c", "stty cols 1 rows 24; exec securecall listen --bind 127.0.0.1:0 --accept all --once --mic none --speaker none")
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`))
	bob.sees(`answered`)
	bob.types("?")
	bob.sees(`m mute`)
	bob.types("tx\r")
	bob.sees(`> x`)
	bob.types("q")
	bob.sees(`call ended`)
	bob.leaves(0)
	text, _ := bob.screen.text()
	for _, line := range drawn(text) {
		if line != "" {
			t.Errorf("drawn on one column: %q", line)
		}
	}
	if status, lines := ended(); status != 0 {
		t.Errorf("the caller ended with %d:\n%s", status, lines)
	}
}

// Two people write to each other, press tones and hold.
func TestDoingsAtTerminals(t *testing.T) {
	t.Parallel()
	alice, bob := newCouple(t).call()
	alice.sees(`in the call`)
	bob.sees(`in the call`)
	alice.types("tGrüße, Bob\r")
	bob.sees(`\r\x1b\[Kthe other side writes: Grüße, Bob\r\n`)
	bob.types("t\x1b")
	bob.sees(`nothing was sent`)
	bob.types("tfine\r")
	alice.sees(`the other side writes: fine\r\n`)
	alice.types("42#")
	alice.sees(`tones 42#`)
	for _, digit := range []string{"4", "2", "#"} {
		bob.sees(`the other side pressed ` + digit)
	}
	alice.types("h")
	alice.sees(`on hold: neither side`)
	alice.sees(`· \x1b\[33mon hold`)
	alice.types("h")
	alice.sees(`not on hold any more`)
	alice.types(" ")
	alice.sees(`muted: .* until you press space again`)
	alice.types(" ")
	alice.sees(`not muted: the other side hears you`)
	alice.types("t\x03") // Ctrl-C hangs up, whatever is being typed
	alice.leaves(0)
	bob.leaves(0)
}

// The key r records into a new file each time, and the other side sees it.
func TestRecordAtATerminal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "call.wav")
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once"}, quietEnds...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	alice := sit(t, append([]string{"dial", peer, "--record", file}, quietEnds...)...)
	alice.sees(`recording\S* to ` + regexp.QuoteMeta(file) + `: left`)
	alice.sees(`the other side has been told`)
	alice.sees(`· \x1b\[31mrecording`)
	bob.sees(`the other side records this call`)
	bob.sees(`· \x1b\[31mthey record`)
	alice.types("r")
	alice.sees(`the recording has ended: ` + regexp.QuoteMeta(file))
	bob.sees(`the other side has stopped recording`)
	alice.types("r")
	alice.sees(`telling the other side that you record`)
	second := strings.TrimSuffix(file, ".wav") + "-2.wav"
	alice.sees(`recording\S* to ` + regexp.QuoteMeta(second))
	alice.types("q")
	alice.leaves(0)
	bob.leaves(0)
	for _, name := range []string{file, second} {
		b, err := os.ReadFile(name)
		if err != nil || len(b) < 44 || string(b[:4]) != "RIFF" {
			t.Errorf("%s holds %d octets (%v)", name, len(b), err)
		}
	}
}

// --plain is read aloud: whole sentences, and nothing that is drawn over.
func TestPlainTerminal(t *testing.T) {
	t.Parallel()
	alice, bob := newCouple(t).call("--plain")
	bob.sees(`Answered: you can speak now`)
	alice.sees(`Read to each other: [a-zA-Z]+ [a-zA-Z]+ \(press v and type what you hear\)\.\r\n`)
	alice.sees(`Answered: you can speak now`)
	alice.types("m")
	alice.sees(`Muted: the other side hears silence\.\r\n`)
	alice.types("thi\r")
	bob.sees(`The other side writes: hi\.\r\n`)
	alice.types("?")
	alice.sees(`Press h to hold, and h again to go on\.\r\n`)
	alice.types("q")
	alice.sees(`Call ended after 0:0\d\.\r\n`)
	alice.leaves(0)
	bob.leaves(0)
	for _, s := range []*seat{alice, bob} {
		text, _ := s.screen.text()
		if text = strings.ReplaceAll(text, "\r\n", "\n"); strings.ContainsAny(text, "\r\x1b█░·") {
			t.Errorf("not plain: %q", text)
		}
	}
}

// A terminal that cannot move its cursor gets plain lines, and keys work.
func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	bob := sitAt(t, "sh", "-c", "TERM=dumb exec securecall listen --bind 127.0.0.1:0 --accept all --once --mic none --speaker none")
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`))
	bob.sees(`answered: you can speak now`)
	bob.types("m5i")
	bob.sees(`tone 5\r\n`)
	bob.types("tgrüße\r")
	bob.sees(`> grüße\r\n`)
	bob.types("q")
	bob.sees(`call ended`)
	bob.leaves(0)
	if text, _ := bob.screen.text(); strings.ContainsAny(strings.ReplaceAll(text, "\r\n", "\n"), "\r\x1b") {
		t.Errorf("escape sequences: %q", text)
	}
	if status, lines := ended(); status != 0 || !strings.Contains(lines, `"text":"grüße"`) {
		t.Errorf("the caller ended with %d:\n%s", status, lines)
	}
}
