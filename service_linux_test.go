package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Services, as whole processes, and the manager that they tell how they are.

// A served is a securecall with a service manager of its own.
type served struct {
	t    *testing.T
	cmd  *exec.Cmd
	told *net.UnixConn
	news chan string // what was told
	out  output
	err  output
	done chan error
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	return serveWith(t, nil, args...)
}

// serveWith has variables in its environment as well.
func serveWith(t *testing.T, environment []string, args ...string) *served {
	t.Helper()
	program, err := exec.LookPath("securecall")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &served{t: t, cmd: exec.Command(program, args...), done: make(chan error, 1), news: make(chan string, 1<<16)}
	notify := filepath.Join(dir, "notify")
	if s.told, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=200000", "XDG_STATE_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	s.cmd.Env = append(s.cmd.Env, environment...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.err
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, as under a manager
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	go s.listen()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.told.Close()
	})
	return s
}

// listen takes what the manager is told, always: whoever tells it waits when nobody does.
func (s *served) listen() {
	b := make([]byte, 4096)
	for {
		n, err := s.told.Read(b)
		if err != nil {
			return
		}
		s.news <- string(b[:n])
	}
}

// hears waits until the manager is told what matches re.
func (s *served) hears(re string) {
	s.t.Helper()
	var all strings.Builder
	late := time.After(patience)
	for {
		select {
		case text := <-s.news:
			if regexp.MustCompile(re).MatchString(text) {
				return
			}
			all.WriteString(text + "\n")
		case <-late:
			text, _ := s.err.text()
			s.t.Fatalf("%s was not told, but\n%s\nstderr:\n%s", re, all.String(), text)
		}
	}
}

func (s *served) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for status 0.
func (s *served) ends() {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			text, _ := s.err.text()
			s.t.Fatalf("%v\n%s", err, text)
		}
	case <-time.After(patience):
		s.t.Fatal("it does not end")
	}
}

func TestListenTellsItsManager(t *testing.T) {
	t.Parallel()
	s := serve(t, "listen", "--ephemeral", "--bind", "127.0.0.1:0", "--accept", "all", "--echo")
	s.hears(`^READY=1\nSTATUS=waiting for calls$`)
	s.hears(`^WATCHDOG=1$`)
	s.hears(`^WATCHDOG=1$`)
	s.signal(syscall.SIGTERM)
	s.hears(`^STOPPING=1\n`)
	s.ends()
}

// prints waits until what it has written to o matches re, and returns the first group.
func (s *served) prints(o *output, re string) string {
	s.t.Helper()
	r := regexp.MustCompile(re)
	late := time.After(patience)
	for {
		text, more := o.text()
		if m := r.FindStringSubmatch(text); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-more:
		case <-late:
			s.t.Fatalf("%s was not printed, but\n%s", re, text)
		}
	}
}

// SIGHUP has a listen that a manager has started read its settings again, for the calls to
// come. The one that there is goes on, and what is wrong changes nothing.
func TestListenReadsItsSettingsAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[listen]\nbind = \"127.0.0.1:0\"\nmax-calls = 2\nduration = \"1h\"\n")
	s := serveWith(t, []string{"SECURECALL_CONFIG=" + file}, "listen", "--ephemeral", "--accept", "all", "--echo")
	peer := s.prints(&s.out, `securecall dial (127\.0\.0\.1:\d+)`)
	s.hears(`^READY=1\n`)
	alice := calls(t, peer)
	s.prints(&s.err, `call 1: answered`)

	write("[listen]\nbind = \"127.0.0.1:1\"\nmax-calls = 3\nduration = \"200ms\"\n")
	s.signal(syscall.SIGHUP)
	s.hears(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	s.hears(`^READY=1\nSTATUS=waiting for calls$`)
	s.prints(&s.err, `the settings were read again, for the calls to come\n  to change bind takes a restart\n`)
	if status, lines := calls(t, peer)(); status != 0 {
		t.Errorf("a call after that ended with %d:\n%s", status, lines)
	}
	s.prints(&s.out, `call 2: call ended after 0:0\d`)

	write("[listen]\nmax-cals = 4\n")
	s.signal(syscall.SIGHUP)
	s.prints(&s.err, `securecall: the settings stay as they were: `+file+`, line 2: listen\.max-cals is no setting\n  did you mean listen\.max-calls`)
	s.hears(`^READY=1\n`)
	if text, _ := s.out.text(); strings.Contains(text, "call 1: call ended") {
		t.Errorf("the call that there was has ended:\n%s", text)
	}
	s.signal(syscall.SIGTERM)
	s.hears(`^STOPPING=1\n`)
	s.ends()
	if status, lines := alice(); status != 0 {
		t.Errorf("the call that there was ended with %d:\n%s", status, lines)
	}
}

// SIGHUP has a meeting point without a terminal read its settings again; it goes on.
func TestRendezvousTellsItsManager(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "meet.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("no-tls = true\nbind = \"127.0.0.1:0\"\nturn-bind = \"none\"\n")
	s := serve(t, "rendezvous", "--config", file)
	s.hears(`^READY=1\nSTATUS=open$`)
	s.hears(`^WATCHDOG=1\nSTATUS=open, 0 connected$`)
	write("no-tls = true\nbind = \"127.0.0.1:0\"\nturn-bind = \"127.0.0.1:0\"\n")
	s.signal(syscall.SIGHUP)
	s.hears(`^RELOADING=1\nMONOTONIC_USEC=\d+$`)
	s.hears(`^READY=1\n`)
	s.hears(`^WATCHDOG=1\n`)
	s.signal(syscall.SIGTERM)
	s.hears(`^STOPPING=1\n`)
	s.ends()
	if text, _ := s.err.text(); !strings.Contains(text, "to change turn-bind takes a restart") {
		t.Errorf("what takes a restart is not said:\n%s", text)
	}
}

// A socket that was opened before takes the call, and LISTEN_FDS reaches no other program.
func TestListenTakesItsSocket(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	peer := conn.LocalAddr().String()
	_ = conn.Close()
	environment := filepath.Join(t.TempDir(), "env")
	cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec securecall listen --ephemeral --bind 127.0.0.1:1 --accept all --once --speaker none --mic "$0"`,
		"exec:sh -c 'env >"+environment+"; cat /dev/zero'")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=securecall-listen.socket")
	cmd.ExtraFiles = []*os.File{f}
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	defer func() { _ = cmd.Process.Kill() }()
	dial := exec.Command("securecall", "dial", "--ephemeral", "--mic", "none", "--speaker", "none", "--duration", "4s", peer)
	if text, err := dial.CombinedOutput(); err != nil {
		said, _ := out.text()
		t.Fatalf("%v\n%s\nthe listener:\n%s", err, text, said)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if text, _ := out.text(); !strings.Contains(text, "securecall dial "+peer) {
		t.Errorf("not at its socket:\n%s", text)
	}
	if b, err := os.ReadFile(environment); err != nil || strings.Contains(string(b), "LISTEN_") {
		t.Errorf("%v; handed on to what it starts:\n%s", err, b)
	}
}

// Who has started it with SIGHUP ignored, as nohup does, means it.
func TestHangupIgnored(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", `trap "" HUP; exec securecall listen --ephemeral --bind 127.0.0.1:0 --accept all --once --echo`)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s := &served{t: t, cmd: cmd, done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &s.out, &s.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	peer := s.prints(&s.out, `securecall dial (127\.0\.0\.1:\d+)`)
	s.signal(syscall.SIGHUP)
	if status, lines := calls(t, peer, "--duration", "200ms")(); status != 0 {
		t.Errorf("the call ended with %d:\n%s", status, lines)
	}
	s.ends()
	if text, _ := s.err.text(); strings.Contains(text, "read again") {
		t.Errorf("it was not ignored:\n%s", text)
	}
}
