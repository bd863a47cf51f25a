package ctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func folder(t *testing.T) string { return filepath.Join(t.TempDir(), "s") }

func nobodyAsks(t *testing.T) Handler {
	return func(_ context.Context, r Request) (string, error) {
		t.Errorf("%q was asked", r.Verb)
		return "", nil
	}
}

func start(t *testing.T, dir string, handle Handler) *Server {
	t.Helper()
	s, err := Serve(dir, handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// listenAt is a process of another kind at path.
func listenAt(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// leaveAt leaves the socket of a process that was killed.
func leaveAt(t *testing.T, path string) {
	t.Helper()
	l := listenAt(t, path)
	l.SetUnlinkOnClose(false)
	l.Close()
}

func echo(_ context.Context, r Request) (string, error) {
	return fmt.Sprintf("%s of %d %q", r.Verb, r.Call, r.Args), nil
}

func TestAsk(t *testing.T) {
	dir := folder(t)
	start(t, dir, echo)
	leaveAt(t, filepath.Join(dir, fmt.Sprintf("0%d.sock", os.Getpid()))) // none of ours
	args := []string{"", "two words", "line\nline", "ü\u2028\x00<&>"}
	for _, pid := range []int{0, os.Getpid()} {
		text, err := Ask(context.Background(), dir, pid, Request{"say", 7, args})
		if want := fmt.Sprintf("say of 7 %q", args); text != want || err != nil {
			t.Errorf("%s, %v; want %s", text, err, want)
		}
	}
}

func TestAskError(t *testing.T) {
	dir := folder(t)
	want := Error{22, "the SAS is\nunequal \u202e", "hang up"}
	start(t, dir, func(context.Context, Request) (string, error) { return "no", &want })
	text, err := Ask(context.Background(), dir, 0, Request{Verb: "verify"})
	var e *Error
	if text != "" || !errors.As(err, &e) || *e != want {
		t.Errorf("%q, %#v", text, err)
	}
}

// What would not arrive as it is is not sent.
func TestAskTooMuch(t *testing.T) {
	dir := folder(t) // where nobody serves
	for _, arg := range []string{strings.Repeat("x", maxRequest), "\xff"} {
		var e *Error
		if _, err := Ask(context.Background(), dir, 0, Request{Verb: "say", Args: []string{arg}}); !errors.As(err, &e) || e.Status != 2 {
			t.Errorf("%.20q: %v", arg, err)
		}
	}
}

func TestNobody(t *testing.T) {
	dir := folder(t)
	expect := func(pid int) {
		t.Helper()
		if _, err := Ask(context.Background(), dir, pid, Request{Verb: "sas"}); !errors.Is(err, ErrNobody) {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	expect(0) // no folder
	do(t, os.Mkdir(dir, 0o700))
	expect(0)
	expect(1)
	leaveAt(t, socketPath(dir, 1))
	write(t, socketPath(dir, 2))
	expect(0)
	expect(1)
}

func TestSeveral(t *testing.T) {
	dir := folder(t)
	start(t, dir, echo)
	listenAt(t, socketPath(dir, 1))
	leaveAt(t, socketPath(dir, 3))
	_, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"})
	var e *Error
	if !errors.As(err, &e) || e.Status != 2 || !strings.Contains(e.Hint, "--pid") {
		t.Fatalf("%#v", err)
	}
	for _, pid := range []int{1, os.Getpid()} {
		if !strings.Contains(e.Message, fmt.Sprint(pid)) {
			t.Errorf("%d is not in %q", pid, e.Message)
		}
	}
	if text, err := Ask(context.Background(), dir, os.Getpid(), Request{Verb: "sas"}); text != "sas of 0 []" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(folder(t), "made", "too")
	s := start(t, dir, echo)
	path := socketPath(dir, os.Getpid())
	if hasModes {
		for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, path: os.ModeSocket | 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
	s.Close()
	start(t, dir, echo)
}

func TestServeTwice(t *testing.T) {
	dir := folder(t)
	start(t, dir, echo)
	var e *Error
	if _, err := Serve(dir, nobodyAsks(t)); !errors.As(err, &e) || e.Status != 31 {
		t.Errorf("%v", err)
	}
	if _, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); err != nil {
		t.Errorf("the first one: %v", err)
	}
}

// A process that is killed leaves its socket. Nobody is asked there, and the
// next to serve removes it, but nothing of those who live.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("SECURECALL_TEST_SERVE"); dir != "" {
		start(t, dir, echo)
		fmt.Println("serving")
		io.Copy(io.Discard, os.Stdin) // until the test ends, however it does
		return
	}
	dir := folder(t)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
	cmd.Env = append(os.Environ(), "SECURECALL_TEST_SERVE="+dir)
	in, err := cmd.StdinPipe()
	do(t, err)
	defer in.Close()
	out, err := cmd.StdoutPipe()
	do(t, err, cmd.Start())
	defer cmd.Process.Kill()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "serving\n" {
		t.Fatalf("%q, %v", line, err)
	}
	pid := cmd.Process.Pid
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); text != "sas of 0 []" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	start(t, dir, echo).Close()
	if _, err := os.Lstat(socketPath(dir, pid)); err != nil {
		t.Errorf("the socket of one who lives: %v", err)
	}

	do(t, cmd.Process.Kill())
	cmd.Wait()
	if _, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); !errors.Is(err, ErrNobody) {
		t.Errorf("after it was killed: %v", err)
	}
	busy := socketPath(dir, os.Getppid()) // it could be about to listen
	leaveAt(t, busy)
	leaveAt(t, socketPath(dir, os.Getpid()))                                                                 // whose id is ours now
	kept := []string{busy, filepath.Join(dir, "zids"), filepath.Join(dir, "x.sock"), socketPath(dir, 1<<30)} // no process
	for _, path := range kept[1:] {
		write(t, path)
	}
	start(t, dir, echo)
	if _, err := os.Lstat(socketPath(dir, pid)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of one who was killed: %v", err)
	}
	for _, path := range kept {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// Others are kept out even where the folder and the socket do not: the uid is
// compared, by both sides.
func TestOtherUser(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return // the system does not tell
	}
	us := os.Geteuid()
	dir := folder(t)
	s, err := serve(dir, us+1, nobodyAsks(t))
	do(t, err)
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); err == nil {
		t.Errorf("a server of another user answered %q", text)
	}
	s.Close()

	start(t, dir, nobodyAsks(t))
	var e *Error
	if _, err := ask(context.Background(), dir, us+1, 0, Request{Verb: "sas"}); !errors.As(err, &e) || !strings.Contains(e.Message, "another user") {
		t.Errorf("a server of another user was asked: %v", err)
	}
}

// Whatever answers at the socket, Ask returns an error and never success.
func TestBadReply(t *testing.T) {
	for name, answer := range map[string]string{
		"none":     "",
		"half":     `{"v":1,"ok":true`,
		"no line":  `{"v":1,"ok":true}`,
		"no JSON":  "ok\n",
		"version":  `{"v":2,"ok":true}` + "\n",
		"status 0": `{"v":1,"ok":false}` + "\n",
		"too long": `{"v":1,"ok":true,"text":"` + strings.Repeat("x", maxReply) + `"}` + "\n",
	} {
		dir := folder(t)
		do(t, os.Mkdir(dir, 0o700))
		l := listenAt(t, socketPath(dir, 1))
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(conn).ReadString('\n')
			conn.Write([]byte(answer))
			conn.Close()
		}()
		if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); err == nil {
			t.Errorf("%s: %.100q", name, text)
		}
	}
}

// Who asks does not wait longer than it wants to.
func TestAskContext(t *testing.T) {
	dir := folder(t)
	do(t, os.Mkdir(dir, 0o700))
	listenAt(t, socketPath(dir, 1)) // and accepts nobody
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, dir, 1, Request{Verb: "sas"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := Ask(ctx, dir, 0, Request{Verb: "sas"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with none left: %v", err)
	}
}

// The folder is taken away with the user's last session, and a process stays.
func TestSocketThatIsTakenAway(t *testing.T) {
	dir := folder(t)
	s := start(t, dir, echo)
	if s.Lost() {
		t.Error("it is lost at once")
	}
	do(t, os.RemoveAll(dir))
	if !s.Lost() {
		t.Fatal("it is not noticed")
	}
	start(t, dir, echo)
	s.Close()
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); text != "sas of 0 []" || err != nil {
		t.Errorf("at the new one: %q, %v", text, err)
	}
}
