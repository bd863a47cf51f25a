package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is the securecall with which the README is followed: of an installed package, say.
var program = flag.String("program", "securecall", "the securecall that TestFirstScreen runs")

const (
	screenful   = 40 // lines of README.md that a newcomer has read
	firstCall   = "\n## A call in four lines\n"
	firstTyped  = "bob.example.org" // whom Alice dials there
	sessionHead = "\n### As both see it\n"
)

// A newcomer follows the first screen of README.md to the letter, on two terminals, to a call
// that is verified. What both saw stands in the README, below it.
func TestFirstScreen(t *testing.T) {
	t.Parallel()
	readme := textOf(t, "README.md")
	first := strings.Join(strings.SplitAfter(readme, "\n")[:screenful], "")
	bobTypes, aliceTypes := typedBy(t, first, "bob"), typedBy(t, first, "alice")
	for _, key := range []string{"presses a", "press v", "q hangs up"} {
		if !strings.Contains(first, key) {
			t.Errorf("the first %d lines of README.md do not say %q", screenful, key)
		}
	}
	if !slices.Contains(aliceTypes, firstTyped) {
		t.Fatalf("Alice types %q in README.md", aliceTypes)
	}

	dir := t.TempDir()
	bob := at(t, filepath.Join(dir, "bob"), bobTypes)
	bob.resize(100)
	bobAt := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	aliceTypes[slices.Index(aliceTypes, firstTyped)] = bobAt
	alice := at(t, filepath.Join(dir, "alice"), aliceTypes)
	alice.resize(100)
	aliceAt := bob.sees(`secured with (127\.0\.0\.1:\d+)`)
	read := bob.words()
	bob.sees(`incoming call from .*: a answer, d decline`)
	alice.sees(`press v and type what you hear`)
	alice.sees(`it rings there`)
	bob.types("a")
	for _, s := range []*seat{alice, bob} {
		s.sees(`answered: you can speak now`)
		s.sees(`in the call`)
		s.types("v" + read + "\r") // which the other one reads out
		s.sees(`verified.*: the words are the same`)
	}
	alice.sees(`loss [\d.]+ %`) // there are figures
	alice.types("i")
	alice.sees(`round trip .* received`)
	alice.sees(`loss [\d.]+ % [^\r\n]*\x1b\[K`)
	during := alice.read
	alice.types("q")
	alice.leaves(0)
	bob.sees(`call ended after`)
	bob.sees(`waiting for a call`)
	bob.types("q")
	bob.leaves(0)
	list := at(t, filepath.Join(dir, "alice"), []string{"contacts", "list"})
	list.leaves(0)

	bobSaw, _ := bob.screen.text()
	aliceSaw, _ := alice.screen.text()
	listed, _ := list.screen.text()
	if !regexp.MustCompile(`(?m)^[0-9a-f]{24} .*Z +typed\r?$`).MatchString(listed) {
		t.Errorf("Alice's contact is not verified:\n%s", listed)
	}
	hers, status := seen(aliceSaw), seen(aliceSaw[:during])
	hers = slices.Insert(hers, len(status)-1, status[len(status)-1])
	const bobThere, aliceThere = "192.0.2.17:5004", "198.51.100.4:40123"
	there := strings.NewReplacer(bobAt, bobThere, aliceAt, aliceThere, strings.Join(strings.Fields(read), "  "), "tissue  disbelief", read, "tissue disbelief")
	session := []string{
		there.Replace(strings.Join(append([]string{"bob$ securecall listen"}, seen(bobSaw)...), "\n") + "\n"),
		there.Replace(strings.Join(append(append([]string{"alice$ securecall dial " + bobAt}, hers...),
			append([]string{"alice$ securecall contacts list"}, seen(listed)...)...), "\n") + "\n"),
	}
	stands := codeBlocks(section(t, readme, sessionHead))
	if len(stands) == 2 && alike(stands[0], session[0]) && alike(stands[1], session[1]) {
		return
	}
	if !*update {
		t.Fatalf("README.md shows another session (go test . -update writes it anew); it is\n%s\n%s", session[0], session[1])
	}
	old := section(t, readme, sessionHead)
	i := strings.Index(old, "\n    ") + 1
	text := old[:i] + indented(session[0]) + "\n" + indented(session[1])
	if err := os.WriteFile("README.md", []byte(strings.Replace(readme, old, text, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// section is what stands below a heading of a text, up to the next one.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, below, found := strings.Cut(text, heading)
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	below, _, _ = strings.Cut(below, "\n#")
	return below
}

// typedBy is what somebody types behind the name of the program in the first commands of README.md.
func typedBy(t *testing.T, first, who string) []string {
	t.Helper()
	for line := range strings.Lines(section(t, first, firstCall)) {
		command, _, _ := strings.Cut(line, "#")
		if f := strings.Fields(command); len(f) > 1 && f[0] == who+"$" && f[1] == "securecall" {
			return f[2:]
		}
	}
	t.Fatalf("the first %d lines of README.md have no command for %s", screenful, who)
	return nil
}

// at is a seat of somebody whose settings are for a machine without sound, and no network.
func at(t *testing.T, dir string, args []string) *seat {
	t.Helper()
	return sitAt(t, "env", append([]string{
		"SECURECALL_BIND=127.0.0.1:0", "SECURECALL_MIC=tone:440", "SECURECALL_SPEAKER=none",
		"XDG_STATE_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, *program,
	}, args...)...)
}

// seen are the lines that stand on a terminal to which text was written, without colours.
func seen(text string) (lines []string) {
	text = regexp.MustCompile(`\x1b\[[0-9;]*m|\a`).ReplaceAllString(text, "")
	var line []rune
	column := 0
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, "\x1b[K"), strings.HasPrefix(text, "\x1b[J"):
			line = line[:min(column, len(line))]
			text = text[3:]
			continue
		case text[0] == '\r':
			column = 0
		case text[0] == '\n':
			lines = append(lines, strings.TrimRight(string(line), " "))
			line, column = nil, 0
		default:
			r := []rune(text)[0]
			if column < len(line) {
				line[column] = r
			} else {
				line = append(line, r)
			}
			column++
			text = text[len(string(r)):]
			continue
		}
		text = text[1:]
	}
	if len(line) > 0 {
		lines = append(lines, strings.TrimRight(string(line), " "))
	}
	return lines
}

// alike compares two sessions but for what differs from call to call: words, addresses, times,
// figures.
func alike(a, b string) bool { return withoutFigures(a) == withoutFigures(b) }

func withoutFigures(session string) string {
	for _, r := range []struct{ what, by string }{
		{`\b[0-9a-f]{24}\b`, "ZID"},
		{`[0-9][0-9.:TZ-]*`, "0"},
		{`[█░]{4}`, "░"},
		{`not known yet|unknown`, "0"},
		{`0 ms · jitter`, "0 · jitter"},
		{` · redundancy 0`, ""},
		{` · dropped: .*`, ""},
		{` {2,}`, "  "},
	} {
		session = regexp.MustCompile(r.what).ReplaceAllString(session, r.by)
	}
	return session
}

func indented(block string) (text string) {
	for line := range strings.Lines(block) {
		text += "    " + line
	}
	return text
}
