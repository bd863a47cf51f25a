package service

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// environment is what a manager says to this process, and nothing else of its kind.
func environment(t *testing.T, said map[string]string) {
	t.Helper()
	for _, name := range variables {
		t.Setenv(name, said[name]) // which puts back what was there before
	}
}

// hears opens a socket for notifications, and returns its next datagram each time.
func hears(t *testing.T, name string) func() string {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return func() string {
		t.Helper()
		b := make([]byte, 4096)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestManagerIsTold(t *testing.T) {
	names := []string{filepath.Join(t.TempDir(), "notify")}
	if runtime.GOOS == "linux" {
		names = append(names, "@securecall-test-"+strconv.Itoa(os.Getpid()))
	}
	for _, name := range names {
		next := hears(t, name)
		environment(t, map[string]string{"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": strconv.Itoa(os.Getpid())})
		m, err := Meet()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range variables {
			if _, is := os.LookupEnv(v); is {
				t.Errorf("%s is there for programs that we start", v)
			}
		}
		if m.Beat() != 15*time.Second {
			t.Errorf("a watchdog of 30 s, and a beat of %v", m.Beat())
		}
		if err := m.Ready("waiting"); err != nil {
			t.Error(err)
		}
		m.Reloading()
		m.Alive("")
		m.Alive("5 connected")
		ctx, cancel := context.WithCancel(t.Context())
		stop := m.StopsWith(ctx)
		cancel()
		stop()
		if got := next(); got != "READY=1\nSTATUS=waiting" {
			t.Errorf("ready: %q", got)
		}
		if got := next(); got != "RELOADING=1" && !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("reloading: %q", got)
		}
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("alive: %q", got)
		}
		if got := next(); got != "WATCHDOG=1\nSTATUS=5 connected" {
			t.Errorf("alive, with a status: %q", got)
		}
		if got := next(); got != "STOPPING=1\nSTATUS=ending" {
			t.Errorf("stopping: %q", got)
		}
	}
}

func TestNobodyIsToldInVain(t *testing.T) {
	environment(t, nil)
	m, err := Meet()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Manager{m, nil} {
		if err := m.Ready(""); err != nil || m.Beat() != 0 {
			t.Errorf("%v, a beat of %v", err, m.Beat())
		}
		m.Alive("")
		m.StopsWith(t.Context())()
	}
}

// "A manager that does not hear it takes us for hung": that is worth an error.
func TestReadinessThatNobodyHears(t *testing.T) {
	environment(t, map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "gone")})
	m, err := Meet()
	if err != nil {
		t.Fatal(err)
	}
	if m.Ready("") == nil {
		t.Error("nobody is there, and that is no error")
	}
}

// sd_watchdog_enabled(3), sd_listen_fds(3): what names another process was meant for that one.
func TestWhatWasMeantForAnotherProcess(t *testing.T) {
	other := strconv.Itoa(os.Getpid() + 1)
	environment(t, map[string]string{
		"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": other,
		"LISTEN_PID": other, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "turn",
	})
	m, err := Meet()
	if err != nil || m.Beat() != 0 || len(m.Sockets) != 0 {
		t.Errorf("a beat of %v, %d sockets, %v", m.Beat(), len(m.Sockets), err)
	}
	if _, is := os.LookupEnv("LISTEN_FDS"); is {
		t.Error("LISTEN_FDS is handed on")
	}
}

// Without LISTEN_PID sockets are nobody's; without WATCHDOG_PID a watchdog is everybody's.
func TestWhatNamesNoProcess(t *testing.T) {
	environment(t, map[string]string{"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "1000000", "LISTEN_FDS": "1"})
	m, err := Meet()
	if err != nil || m.Beat() != time.Second/2 || len(m.Sockets) != 0 {
		t.Errorf("a beat of %v, %d sockets, %v", m.Beat(), len(m.Sockets), err)
	}
}

func TestNonsenseInTheEnvironment(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for what, said := range map[string]map[string]string{
		"a socket elsewhere":      {"NOTIFY_SOCKET": "vsock:2:1234"},
		"a relative socket":       {"NOTIFY_SOCKET": "notify"},
		"no time":                 {"WATCHDOG_USEC": "soon"},
		"a time below zero":       {"WATCHDOG_USEC": "-1"},
		"a time without end":      {"WATCHDOG_USEC": "9223372036854775807"},
		"no number of sockets":    {"LISTEN_PID": pid, "LISTEN_FDS": "two"},
		"fewer than no sockets":   {"LISTEN_PID": pid, "LISTEN_FDS": "-1"},
		"too many sockets":        {"LISTEN_PID": pid, "LISTEN_FDS": "1000000"},
		"more names than sockets": {"LISTEN_PID": pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"},
	} {
		environment(t, said)
		if _, err := Meet(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
