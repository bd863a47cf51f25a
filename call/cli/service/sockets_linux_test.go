package service

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain is also the service: a process of its own, with sockets passed as 3 and on.
func TestMain(m *testing.M) {
	if os.Getenv("SECURECALL_TEST_SERVICE") == "" {
		os.Exit(m.Run())
	}
	manager, err := Meet()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(0)
	}
	for _, s := range manager.Sockets {
		if s.Conn != nil {
			fmt.Println(s.Name, "udp", s.Conn.LocalAddr())
		} else {
			fmt.Println(s.Name, "tcp", s.Listener.Addr())
		}
	}
	// What we start has no socket of ours.
	out, err := exec.Command("sh", "-c", "ls -l /proc/self/fd; env").CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
}

// serve starts the service with files as its sockets. A shell writes LISTEN_PID, as a manager
// does between fork and exec.
func serve(t *testing.T, names string, files ...*os.File) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `export LISTEN_PID=$$; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "SECURECALL_TEST_SERVICE=1", fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// file is the descriptor of a socket.
func file(t *testing.T, of interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := of.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestSocketsAreTakenOver(t *testing.T) {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := serve(t, "turn:meet", file(t, conn), file(t, l))
	for _, want := range []string{"turn udp " + conn.LocalAddr().String(), "meet tcp " + l.Addr().String()} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "socket:[") || strings.Contains(out, "LISTEN_") {
		t.Errorf("programs that it starts have its sockets, or hear of them:\n%s", out)
	}
}

func TestSocketsWithoutNames(t *testing.T) {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if out := serve(t, "", file(t, conn)); !strings.HasPrefix(out, " udp "+conn.LocalAddr().String()+"\n") {
		t.Errorf("a socket without a name:\n%s", out)
	}
}

// What is passed and is no socket to wait at ends the service with a word.
func TestWhatIsNoSocketToWaitAt(t *testing.T) {
	l, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	local, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/local", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for what, f := range map[string]*os.File{"a connection": file(t, c.(*net.TCPConn)), "a local socket": file(t, local), "a file": null} {
		if out := serve(t, "meet", f); !strings.HasPrefix(out, `error: socket 3 ("meet")`) {
			t.Errorf("%s:\n%s", what, out)
		}
	}
}
