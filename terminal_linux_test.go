package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A seat is a person at a terminal of their own, in front of a securecall.
type seat struct {
	t      *testing.T
	master *os.File // the person's side
	slave  *os.File // the terminal
	before unix.Termios
	cmd    *exec.Cmd
	screen output
	read   int // how much of the screen has been seen

	done    chan struct{} // it has ended
	drained chan struct{} // and nothing is left of what it wrote
}

// sit starts securecall with args on a terminal of its own.
func sit(t *testing.T, args ...string) *seat {
	t.Helper()
	return sitAt(t, "securecall", args...)
}

func sitAt(t *testing.T, program string, args ...string) *seat {
	t.Helper()
	s := &seat{t: t, done: make(chan struct{}), drained: make(chan struct{})}
	s.master, s.slave = openPTY(t)
	s.before = s.mode()
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.slave, s.slave, s.slave
	s.cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=", "GORACE=atexit_sleep_ms=0", "XDG_STATE_HOME="+t.TempDir())
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.drained)
		var b [4096]byte
		for {
			n, err := s.master.Read(b[:])
			_, _ = s.screen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.done
		s.slave.Close()
		s.master.Close()
	})
	return s
}

// openPTY makes a terminal and its other end.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), slave
}

func (s *seat) mode() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

// sees waits until the screen shows re, below what was seen before, and
// returns the first group.
func (s *seat) sees(re string) string {
	s.t.Helper()
	r := regexp.MustCompile(re)
	late := time.After(patience)
	for {
		text, more := s.screen.text()
		if m := r.FindStringSubmatchIndex(text[s.read:]); m != nil {
			group := ""
			if len(m) > 2 {
				group = text[s.read+m[2] : s.read+m[3]]
			}
			s.read += m[1]
			return group
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("the screen does not show %q:\n%q", re, text[s.read:])
		}
	}
}

func (s *seat) types(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// leaves waits for the end, with that status, and looks at the terminal.
func (s *seat) leaves(status int) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		text, _ := s.screen.text()
		s.t.Fatalf("it does not end:\n%q", text)
	}
	if s.mode() != s.before {
		s.t.Error("the terminal is not as it was")
	}
	s.slave.Close() // nobody has it now: what was written last can be read to its end
	select {
	case <-s.drained:
	case <-time.After(patience):
		s.t.Fatal("something that it started has the terminal still")
	}
	text, _ := s.screen.text()
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		s.t.Errorf("it ended with %d (%v), want %d:\n%q", got, s.cmd.ProcessState, status, text)
	}
	// A line that ends without a carriage return makes stairs of the screen.
	if regexp.MustCompile(`(^|[^\r])\n`).MatchString(text) {
		s.t.Errorf("an end of line without a carriage return:\n%q", text)
	}
}

// calls dials peer from elsewhere, without a terminal.
func calls(t *testing.T, peer string, flags ...string) (wait func() (status int, lines string)) {
	t.Helper()
	cmd := exec.Command("securecall", append([]string{"dial", peer, "--mic", "tone:440", "--speaker", "none", "--json"}, flags...)...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return func() (int, string) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the caller does not end")
		}
		return cmd.ProcessState.ExitCode(), out.String()
	}
}

var quietEnds = []string{"--mic", "none", "--speaker", "none"}

func TestAnswerMuteQuit(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0"}, quietEnds...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	bob.sees(`waiting for a call · 0:0\d · since \d\d:\d\d:\d\d`)
	if bob.mode() == bob.before {
		t.Error("keys need Enter")
	}
	bob.types("a")
	bob.sees(`nothing rings here`)
	ended := calls(t, peer)
	bob.sees(`secured with 127\.0\.0\.1:\d+ · X25519 \+ ML-KEM-768 · AES-256 · `)
	bob.sees(`read to each other:   \x1b\[1m[a-zA-Z]+  [a-zA-Z]+\x1b\[0m`)
	bob.sees(`incoming call from 127\.0\.0\.1:\d+: a answer, d decline`)
	bob.types("?")
	bob.sees(`a answer · d decline`)
	bob.types("\x1b[D") // an arrow key has a D in it, and no meaning here
	bob.types("a")
	bob.sees(`answered: you can speak now`)
	bob.sees(`in the call · 0:01`) // the line is renewed
	bob.types("m")
	bob.sees(`\x1b\[Kmuted: the other side hears silence`)
	bob.sees(`· \x1b\[33mmuted`)
	bob.types("m")
	bob.sees(`not muted`)
	bob.types("?")
	bob.sees(`m mute, and m again to be heard`)
	bob.types("q")
	bob.sees(`call ended after 0:0\d`)
	bob.sees(`waiting for a call`)
	if status, lines := ended(); status != 0 {
		t.Errorf("the caller ended with %d:\n%s", status, lines)
	}
	bob.types("q")
	bob.leaves(0)
}

func TestDecline(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--no-color"}, quietEnds...)...)
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`))
	bob.sees(`d decline`)
	bob.types("d")
	status, lines := ended()
	if status != 12 {
		t.Errorf("the caller ended with %d, want 12:\n%s", status, lines)
	}
	var last struct{ Event, Reason string }
	all := strings.Split(strings.TrimSpace(lines), "\n")
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil || last.Event != "ended" || last.Reason != "declined" {
		t.Errorf("the caller's last line is %s", all[len(all)-1])
	}
	bob.sees(`waiting for a call`)
	bob.types("\x03")
	bob.leaves(0)
	if text, _ := bob.screen.text(); regexp.MustCompile(`\x1b\[[0-9]+m`).MatchString(text) {
		t.Errorf("colours, with --no-color:\n%q", text)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0"}, quietEnds...)...)
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`), "--timeout", "5s")
	bob.sees(`d decline`)
	bob.sees(`the caller hung up before you answered`)
	bob.sees(`waiting for a call`)
	if status, lines := ended(); status != 10 {
		t.Errorf("the caller ended with %d, want 10:\n%s", status, lines)
	}
	bob.types("a") // too late
	bob.types("q")
	bob.leaves(0)
}

// It rings, on the terminal's bell and at the ring's device, until the caller has gone; then
// the call was missed.
func TestRingAndMissedCall(t *testing.T) {
	t.Parallel()
	ring := filepath.Join(t.TempDir(), "ring.wav")
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--ring", ring}, quietEnds...)...)
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`), "--timeout", "12s")
	bob.sees(`\a(?:\r\x1b\[K)?incoming call from 127\.0\.0\.1:\d+: a answer, d decline`)
	bob.sees(`\a`) // once more, after 5 s
	bob.sees(`missed call from 127\.0\.0\.1:\d+ at \d\d:\d\d: the caller hung up before you answered`)
	bob.sees(`waiting for a call`)
	if status, lines := ended(); status != 10 {
		t.Errorf("the caller ended with %d, want 10:\n%s", status, lines)
	}
	bob.types("q")
	bob.leaves(0)
	// Two rings of a second or three, and no more than has been silent between them.
	b, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b) / 16000; n < 5 || n > 13 {
		t.Errorf("it has rung for %d s", n)
	}
	if loud := len(b) - bytes.Count(b, []byte{0}); loud < 16000 {
		t.Errorf("%d octets of it are no silence", loud)
	}
}

// Nothing rings with --plain, whose lines are read aloud.
func TestPlainRingsNoBell(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--plain"}, quietEnds...)...)
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`))
	bob.sees(`Incoming call from 127\.0\.0\.1:\d+: a answer, d decline\.`)
	bob.types("d")
	if status, lines := ended(); status != 12 {
		t.Errorf("the caller ended with %d, want 12:\n%s", status, lines)
	}
	bob.sees(`Waiting for a call since`)
	bob.types("q")
	bob.leaves(0)
	if text, _ := bob.screen.text(); strings.Contains(text, "\a") {
		t.Errorf("a bell:\n%q", text)
	}
}

// A signal that ends Go programs with a list of their goroutines leaves the terminal as it was,
// too.
func TestTerminalRestoredBeforeQuit(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0"}, quietEnds...)...)
	bob.sees(`waiting for a call`)
	_ = bob.cmd.Process.Signal(syscall.SIGQUIT)
	bob.sees(`SIGQUIT: quit`)
	bob.leaves(2)
}

// However it ends, the terminal is as it was.
func TestTerminalRestored(t *testing.T) {
	t.Parallel()
	listenArgs := append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all"}, quietEnds...)
	for name, end := range map[string]func(*seat){
		"Ctrl-C":  func(s *seat) { s.types("\x03") },
		"SIGTERM": func(s *seat) { _ = s.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(s *seat) { _ = s.cmd.Process.Signal(syscall.SIGHUP) },
		"SIGINT":  func(s *seat) { _ = s.cmd.Process.Signal(syscall.SIGINT) },
		// A window that is closed: its shell sends one, and when that has ended so does the terminal.
		"SIGHUP twice": func(s *seat) {
			_ = s.cmd.Process.Signal(syscall.SIGHUP)
			time.Sleep(20 * time.Millisecond)
			_ = s.cmd.Process.Signal(syscall.SIGHUP)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bob := sit(t, listenArgs...)
			peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
			bob.sees(`waiting for a call`)
			alice := sit(t, append([]string{"dial", peer}, quietEnds...)...)
			alice.sees(`answered`)
			alice.sees(`in the call`)
			end(alice)
			alice.leaves(0)
			bob.sees(`call ended`)
			bob.sees(`waiting for a call`)
			end(bob)
			bob.leaves(0)
		})
	}
}

// A shell that has us go on after a stop has made the terminal its own meanwhile.
func TestTerminalIsRawAgain(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0"}, quietEnds...)...)
	bob.sees(`waiting for a call`)
	raw := bob.mode()
	if err := unix.IoctlSetTermios(int(bob.slave.Fd()), unix.TCSETS, &bob.before); err != nil {
		t.Fatal(err)
	}
	_ = bob.cmd.Process.Signal(syscall.SIGCONT)
	for until := time.Now().Add(patience); bob.mode() != raw; {
		if time.Sleep(10 * time.Millisecond); time.Now().After(until) {
			t.Fatal("the keys need Enter")
		}
	}
	bob.types("q")
	bob.leaves(0)
}

// As soon as it is hanging up the keys are the terminal's own again, so that
// a second Ctrl-C ends the program at once, whatever it hangs on.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	conn, err := occupy()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	alice := sit(t, append([]string{"dial", conn.LocalAddr().String()}, quietEnds...)...)
	alice.sees(`waiting for an answer`)
	alice.types("\x03\x03")
	<-alice.done
	if alice.mode() != alice.before {
		t.Error("the terminal is not as it was")
	}
	if alice.cmd.ProcessState.Success() {
		t.Errorf("it ended with %v", alice.cmd.ProcessState)
	}
}

// Where stdin and stdout carry sound, keys and questions use the terminal
// itself.
func TestKeysBesideSound(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once"}, quietEnds...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	alice := sitAt(t, "sh", "-c", "securecall dial "+peer+" --mic - --speaker - </dev/zero >/dev/null")
	alice.sees(`secured with `)
	alice.sees(`answered`)
	alice.types("m")
	alice.sees(`muted: the other`)
	alice.types("q")
	alice.sees(`call ended`)
	alice.leaves(0)
	bob.leaves(0)
}

// A job in the background has no keys: to read them, or to change how the
// terminal is, would stop it.
func TestBackground(t *testing.T) {
	t.Parallel()
	bob := sitAt(t, "sh", "-c", "set -m; securecall listen --bind 127.0.0.1:0 --accept all --once --duration 200ms --mic none --speaker none & wait $!")
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	bob.sees(`waiting for a call since`)
	if bob.mode() != bob.before {
		t.Error("it changed the terminal")
	}
	ended := calls(t, peer)
	bob.sees(`call ended after 0:0\d`)
	bob.leaves(0)
	if status, lines := ended(); status != 0 {
		t.Errorf("the caller ended with %d:\n%s", status, lines)
	}
}

func TestSoundOnATerminal(t *testing.T) {
	t.Parallel()
	alice := sit(t, "dial", "127.0.0.1", "--mic", "-", "--speaker", "none")
	alice.sees(`stdin is a terminal`)
	alice.leaves(2)
	alice = sit(t, "dial", "127.0.0.1", "--mic", "none", "--speaker", "-")
	alice.sees(`stdout is a terminal`)
	alice.leaves(2)
}

// What is waited for is said; an interrupt ends it.
func TestDoctorWaits(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	alice := sit(t, append([]string{"doctor", "--bind", "127.0.0.1:0", "--via", "ws://" + l.Addr().String()}, quietEnds...)...)
	alice.sees(`\x1b\[32mok\x1b\[0m +microphone `)
	alice.sees(`waiting for ws://127\.0\.0\.1:\d+ · 0:00 · since`)
	alice.sees(`· 0:01 ·`)
	alice.types("\x03")
	alice.sees(`\r\x1b\[Ksecurecall: interrupted`)
	alice.leaves(130)
}

// Whoever wants no colours has none, by either way of saying so (--no-color: TestDecline).
func TestNoColorVariable(t *testing.T) {
	t.Parallel()
	bob := sitAt(t, "env", append([]string{"NO_COLOR=1", "securecall", "listen", "--bind", "127.0.0.1:0", "--accept", "all", "--once"}, quietEnds...)...)
	ended := calls(t, bob.sees(`securecall dial (127\.0\.0\.1:\d+)`))
	bob.sees(`read to each other:   [a-zA-Z]+  [a-zA-Z]+`)
	bob.sees(`in the call · 0:0\d · not verified`)
	bob.types("m")
	bob.sees(`· muted`)
	bob.types("q")
	bob.leaves(0)
	if text, _ := bob.screen.text(); regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(text) {
		t.Errorf("colours, with NO_COLOR:\n%q", text)
	}
	if status, lines := ended(); status != 0 {
		t.Errorf("the caller ended with %d:\n%s", status, lines)
	}
}

// --no-input asks nobody, and leaves the keys to whoever has them.
func TestNoInput(t *testing.T) {
	t.Parallel()
	bob := sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--no-input"}, quietEnds...)...)
	bob.sees(`nobody can be asked whether to answer`)
	bob.leaves(2)
	bob = sit(t, append([]string{"listen", "--bind", "127.0.0.1:0", "--no-input", "--accept", "all", "--once"}, quietEnds...)...)
	peer := bob.sees(`securecall dial (127\.0\.0\.1:\d+)`)
	alice := sit(t, append([]string{"dial", "--no-input", peer}, quietEnds...)...)
	alice.sees(`in the call`)
	if alice.mode() != alice.before || bob.mode() != bob.before {
		t.Error("the terminal was changed")
	}
	if text, _ := alice.screen.text(); strings.Contains(text, "press") || strings.Contains(text, "help)") {
		t.Errorf("keys are offered:\n%q", text)
	}
	alice.types("\x03") // which the terminal itself makes a signal
	alice.leaves(0)
	bob.leaves(0)
}
