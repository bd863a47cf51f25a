package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Two people at terminals who compare words.

// A couple are two seats in one call, each with a state that outlives it.
type couple struct {
	t          *testing.T
	alice, bob string // states
}

func newCouple(t *testing.T) *couple {
	dir := t.TempDir()
	return &couple{t, filepath.Join(dir, "alice"), filepath.Join(dir, "bob")}
}

// call lets Alice call Bob until both are in the call. tone is what she says.
func (c *couple) call(flags ...string) (alice, bob *seat) {
	c.t.Helper()
	bob = sit(c.t, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once", "--state", c.bob}, append(quietEnds, flags...)...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	alice = sit(c.t, append([]string{"dial", peer, "--state", c.alice}, append(quietEnds, flags...)...)...)
	return alice, bob
}

// words are what a seat shows, to be read aloud.
func (s *seat) words() string {
	s.t.Helper()
	w := s.sees(`read to each other:   (?:\x1b\[1m)?([a-zA-Z]+  [a-zA-Z]+)`)
	return strings.Join(strings.Fields(w), " ")
}

func (c *couple) hangup(alice, bob *seat) {
	alice.types("q")
	alice.leaves(0)
	bob.leaves(0)
}

// Call twice, verify once by typing, and the second call says that it is the
// same person. Enter, y and nonsense never verify.
func TestVerifyByTyping(t *testing.T) {
	t.Parallel()
	c := newCouple(t)
	alice, bob := c.call()
	read := bob.words() // aloud, on the other side
	alice.sees(`press v and type what you hear`)
	alice.sees(`in the call`)
	alice.types("v\r")
	alice.sees(`nothing was typed, and nothing is verified`)
	alice.types("vy\r")
	alice.sees(`a yes verifies nothing`)
	alice.types("v" + "nonsense words\x7f\x7f\x7f\r")
	alice.sees(`that is not what stands here.*2 answers left`)
	alice.types("vxx\x15" + read[1:2])                                // Ctrl-U begins anew
	alice.types("\x7f" + strings.ToUpper(read[:1]) + read[1:] + "\r") // and Backspace takes one back
	alice.sees(`verified.*: the words are the same \(what the other side read out was typed\)`)
	alice.types("m") // keys are keys again
	alice.sees(`muted: the other side hears silence`)
	c.hangup(alice, bob)

	alice, bob = c.call()
	alice.sees(`· AES-256 · (?:\x1b\[32m)?verified`)
	alice.sees(`the same installation as last time`)
	bob.sees(`the same as last time, not verified yet`)
	bob.sees(`the other side has verified you`)
	alice.sees(`in the call`)
	c.hangup(alice, bob)
}

// Three wrong answers end the call with 22, at both ends.
func TestThreeWrongAnswers(t *testing.T) {
	t.Parallel()
	c := newCouple(t)
	alice, bob := c.call()
	alice.sees(`in the call`)
	for range 3 {
		alice.types("vadult amulet\r")
	}
	alice.sees(`the words are not the same: somebody may be in between`)
	alice.leaves(22)
	bob.sees(`the other side says that the words are not the same there`)
	bob.leaves(22)
}

// --split-sas: each screen shows one half, and the other one is typed.
func TestSplitSAS(t *testing.T) {
	t.Parallel()
	c := newCouple(t)
	alice, bob := c.call("--split-sas")
	hers := alice.sees(`read out:   (?:\x1b\[1m)?([a-zA-Z]+)\S* {2,}\(press`)
	his := bob.sees(`read out:   (?:\x1b\[1m)?([a-zA-Z]+)\S* {2,}\(press`)
	alice.sees(`in the call`)
	alice.types("v" + hers + "\r")
	alice.sees(`that is not what stands here`)
	alice.types("v" + his + "\r")
	alice.sees(`verified.*: the words are the same`)
	bob.types("v" + hers + "\r")
	bob.sees(`verified.*: the words are the same`)
	for _, s := range []*seat{alice, bob} {
		if text, _ := s.screen.text(); strings.Contains(text, "read to each other") {
			t.Error("the whole SAS is shown")
		}
	}
	c.hangup(alice, bob)
}

// Keys that have changed: both are told in plain words, the microphone is
// closed but for the comparison, and the words settle it.
func TestChangedKeys(t *testing.T) {
	t.Parallel()
	c := newCouple(t)
	var old []byte
	for n := range 3 {
		alice, bob := c.call()
		alice.sees(`in the call`)
		c.hangup(alice, bob)
		if n == 0 {
			b, err := os.ReadFile(filepath.Join(c.bob, "zids"))
			if err != nil {
				t.Fatal(err)
			}
			old = b
		}
	}
	restore := func() {
		if err := os.WriteFile(filepath.Join(c.bob, "zids"), old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	restore()

	// At her own risk: for this call only.
	alice, bob := c.call()
	for _, s := range []*seat{alice, bob} {
		s.sees(`NOT the expected keys`)
		s.sees(`WARNING: the keys of the other side are not those that your last call left`)
		s.sees(`somebody is in between`)
		s.sees(`your microphone is closed`)
	}
	alice.sees(`microphone closed`)
	alice.types("xyes\r")
	alice.sees(`not accepted: your microphone stays closed`)
	alice.types("xI accept the risk\r")
	alice.sees(`your microphone is open, at your own risk`)
	alice.sees(`at your own risk`)
	c.hangup(alice, bob)

	// The next one warns again; the words settle it for good.
	alice, bob = c.call()
	read := bob.words()
	alice.sees(`WARNING: the keys of the other side`)
	alice.sees(`answered`)
	alice.sees(`microphone closed`)
	alice.types("v")
	alice.sees(`your microphone is open while you compare`)
	alice.types(read + "\r")
	alice.sees(`verified.*: the words are the same`)
	alice.sees(`the new keys are remembered from now on`)
	bob.sees(`microphone closed`)
	bob.types("v" + read + "\r")
	bob.sees(`verified.*: the words are the same`)
	c.hangup(alice, bob)

	alice, bob = c.call()
	alice.sees(`· AES-256 · (?:\x1b\[32m)?verified`)
	bob.sees(`· AES-256 · (?:\x1b\[32m)?verified`)
	bob.sees(`the other side has verified you`)
	alice.sees(`in the call`)
	c.hangup(alice, bob)
}

// What is typed are the keys of a call: the command of --verify-via cannot ask for anything at
// the terminal, and says so.
func TestVerifyViaHasNoTerminal(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all"}, quietEnds...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	alice := sit(t, append([]string{"dial", peer, "--verify-via", `sh -c 'read password </dev/tty && echo "$password"'`}, quietEnds...)...)
	alice.sees(`verify-via: .*/dev/tty`)
	alice.sees(`--verify-via gave no answer`)
	alice.sees(`you ░+ them`) // in the call: before, the key would take it back
	alice.types("q")
	alice.leaves(0)
}
