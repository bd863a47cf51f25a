package cli

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
	"securecall/call/cli/service"
	"securecall/nat/memnet"
)

// managed is a service manager with a watchdog, and what it hears.
func managed(t *testing.T, watchdog time.Duration) (m *service.Manager, next func() string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	if m, err = service.Meet(); err != nil {
		t.Fatal(err)
	}
	return m, func() string {
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

// The watchdog is told nothing while the loop of the calls does not turn, and something when
// it does.
func TestWatchdogHearsOfTheLoop(t *testing.T) {
	m, next := managed(t, 4*time.Second)
	p := &phone{manager: m}
	e, err := call.NewListener(call.Config{
		Mic:     func() (audio.Source, error) { return device.OpenSource("none", device.Options{}) },
		Speaker: func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) },
		OnEvent: func(int, call.Event) {},
	}, memnet.New(1).Path(netip.MustParseAddrPort("192.0.2.1:5004")), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.beat(t.Context(), e) // e does not run
	_ = m.Ready("a mark")
	if got := next(); got != "READY=1\nSTATUS=a mark" {
		t.Errorf("a loop that does not turn was told as %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan call.Ended, 1)
	go func() { done <- e.Run(ctx) }()
	p.beat(t.Context(), e)
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("a loop that turns was told as %q", got)
	}
	cancel()
	<-done
}

// A meeting point comes round in the loop that takes connections, whether anybody comes or
// not; and a server that is stuck is not alive.
func TestWatchdogHearsOfTheMeetingPoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	beats := make(chan struct{})
	b := &beating{TCPListener: l.(*net.TCPListener), every: time.Millisecond, beat: func() { beats <- struct{}{} }}
	type accepted struct {
		c   net.Conn
		err error
	}
	taken := make(chan accepted)
	go func() {
		for {
			c, err := b.Accept()
			taken <- accepted{c, err}
			if err != nil {
				return
			}
		}
	}()
	wait := func(what string) {
		t.Helper()
		select {
		case <-beats:
		case <-time.After(10 * time.Second):
			t.Fatal("no beat " + what)
		}
	}
	wait("while nobody comes")
	wait("while nobody comes, again")
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for came := false; !came; {
		select {
		case a := <-taken:
			if a.err != nil {
				t.Fatal(a.err)
			}
			_ = a.c.Close()
			came = true
		case <-beats:
		}
	}
	wait("after somebody has come")
	_ = l.Close()
	for {
		select {
		case a := <-taken:
			if a.err == nil {
				t.Error("a connection at a closed listener")
			}
			return
		case <-beats:
		}
	}
}
