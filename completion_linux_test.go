package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// A name that somebody chose with care does nothing to the shell that completes it: pressing
// Tab and Enter shows the contact of that name, and runs nothing else.
func TestTab(t *testing.T) {
	type typing struct{ name, begun string }
	names := []typing{
		{"bob", ""},
		{"Bob Smith", ""},
		{"$(touch pwned)", ""},
		{"`touch pwned`", ""},
		{"x; touch pwned", ""},
		{"x & touch pwned | y > pwned", ""},
		{`a"b`, ""},
		{"it's", ""},
		{"!bob", ""},
		{"~root", ""},
		{"*", ""},
		{"[a-z]?", ""},
		{"{a,b}", ""},
		{"#1", ""},
		{"$HOME", ""},
		{`a\b`, ""},
		{"%n", ""},
		{"=ls", ""},
		{"^a^b", ""},
		{"späti", ""},
		{"a=b:c@d", ""},
		{"a=b:c@d", "a="},
		{"a=b:c@d", "a=b:"},
		{"a=b:c@d", "a=b:c@"},
		{"Bob Smith", "Bo"},
		{"Bob Smith", `Bob\ S`},
		{"Bob Smith", `"Bob S`},
		{"Bob Smith", `'Bob S`},
		{"$(touch pwned)", `'$(t`},
	}
	for shell, start := range map[string][]string{
		"bash": {"--norc", "--noprofile", "-i"},
		"zsh":  {"-f", "-i"},
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, dir := tool(t, shell), t.TempDir()
			script := filepath.Join(dir, "script")
			text := run(t, "completion", shell)
			if shell == "zsh" {
				text = "autoload -Uz compinit; compinit -D -u\n" + text
			}
			if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s := sitAt(t, "env", append([]string{"-C", dir, "INPUTRC=/dev/null", "HOME=" + dir, "LC_ALL=C.UTF-8", "PS1=> ", path}, start...)...)
			s.types("source ./script; echo read''y\n")
			s.sees("ready")
			for i, n := range names {
				state := "state" + strconv.Itoa(i)
				contacts := filepath.Join(dir, "contacts")
				if err := os.WriteFile(contacts, []byte("c0ffee00c0ffee00c0ffee00\t"+n.name+"\thost\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				run(t, "contacts", "import", contacts, "--state", filepath.Join(dir, state, "securecall"))
				s.types("export XDG_STATE_HOME=" + filepath.Join(dir, state) + "; echo then" + strconv.Itoa(i) + "''\n")
				s.sees("then" + strconv.Itoa(i) + "\r")
				s.types("securecall contacts show " + n.begun + "\t")
				s.types("\n")
				s.sees(`name\t` + regexp.QuoteMeta(n.name) + "\r\n")
			}
			if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
				t.Error("a name was run")
			}
			s.types("securecall help dev\t\n")
			s.sees("securecall devices: microphones and speakers")
			s.types("securecall contacts list --js\t\n")
			s.sees(`"v":1,"zid":"c0ffee`)
		})
	}
}
