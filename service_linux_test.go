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
	err  output
	done chan error
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	program, err := exec.LookPath("securecall")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &served{t: t, cmd: exec.Command(program, args...), done: make(chan error, 1)}
	notify := filepath.Join(dir, "notify")
	if s.told, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify, "WATCHDOG_USEC=200000", "XDG_STATE_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	s.cmd.Stderr = &s.err
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, as under a manager
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.told.Close()
	})
	return s
}

// hears waits until the manager is told what matches re.
func (s *served) hears(re string) {
	s.t.Helper()
	_ = s.told.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	var all strings.Builder
	for {
		n, err := s.told.Read(b)
		if err != nil {
			text, _ := s.err.text()
			s.t.Fatalf("%s was not told (%v), but\n%s\nstderr:\n%s", re, err, all.String(), text)
		}
		all.Write(b[:n])
		all.WriteByte('\n')
		if regexp.MustCompile(re).Match(b[:n]) {
			return
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
	dial := exec.Command("securecall", "dial", "--ephemeral", "--mic", "none", "--speaker", "none", "--duration", "1s", peer)
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
