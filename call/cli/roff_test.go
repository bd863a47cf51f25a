package cli

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestEscapeRoff(t *testing.T) {
	for in, want := range map[string]string{
		"--mic":           `\-\-mic`,
		".so /etc/passwd": `\&.so /etc/passwd`,
		"'br":             `\(aqbr`,
		`a\fBb`:           `a\(rsfBb`,
		`say "hi" ~`:      `say \(dqhi\(dq \(ti`,
		"…·":              `\[u2026]\[u00B7]`,
		"":                `\&`,
	} {
		if got := escapeRoff(in); got != want {
			t.Errorf("escapeRoff(%q) = %s, want %s", in, got, want)
		}
	}
}

// What is written comes out of groff as it was, whatever it looks like to it.
func TestRoffPrintsWhatItIsGiven(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no groff: make deps")
	}
	lines := []string{
		`.so /etc/passwd`, `'br`, `a\fBb\n[.x]`, `say "hi" ~user ^ ` + "`x`", `--flag -x a-b`, `it's 100%`, `.`, `\" none`, `…`,
	}
	var r roff
	r.macro("TH", "TEST", "1", "", "x", "y")
	r.macro("SH", `"QUOTED" \fB`)
	r.example(strings.Join(lines, "\n"))
	r.item("--mic SRC", ".about")
	cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", "-P-cbou")
	cmd.Stdin = strings.NewReader(r.b.String())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("groff: %v\n%s", err, stderr.String())
	}
	for _, want := range append(lines, `"QUOTED" \fB`, "--mic SRC", ".about") {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
