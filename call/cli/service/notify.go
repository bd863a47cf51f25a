package service

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// patience is how long a manager may take to accept what it is told: whoever tells it has
// better things to do.
const patience = time.Second

// Ready says that we wait for calls, or wait again after Reloading; status is a line for
// people. Its error is worth telling: a manager that does not hear it takes us for hung.
func (m *Manager) Ready(status string) error { return m.tell("READY=1", "STATUS="+status) }

// Reloading says that settings are read again. Ready must follow.
func (m *Manager) Reloading() {
	_ = m.tell(append([]string{"RELOADING=1"}, monotonic()...)...)
}

// StopsWith says that we are about to end: as soon as ctx is cancelled, and at the latest when
// stop is called.
func (m *Manager) StopsWith(ctx context.Context) (stop func()) {
	told := sync.OnceFunc(m.stopping)
	cancel := context.AfterFunc(ctx, told)
	return func() {
		cancel()
		told() // waits where the other one is about it
	}
}

func (m *Manager) stopping() { _ = m.tell("STOPPING=1", "STATUS=ending") }

// Alive tells the watchdog that we work; status is a line for people, or nothing. It has to
// come at least every Beat from the very loop that would hang: from a goroutine that has
// nothing else to do, it would prove nothing.
func (m *Manager) Alive(status string) {
	lines := []string{"WATCHDOG=1"}
	if status != "" {
		lines = append(lines, "STATUS="+status)
	}
	_ = m.tell(lines...)
}

// Beat is how often Alive is to be called: half of the watchdog's time, as
// sd_watchdog_enabled(3) recommends. 0: there is no watchdog.
func (m *Manager) Beat() time.Duration {
	if m == nil || m.notify == "" {
		return 0
	}
	return m.watchdog / 2
}

// tell sends one datagram. The socket is opened each time, so that a manager which begins
// anew is found again.
func (m *Manager) tell(lines ...string) error {
	if m == nil || m.notify == "" {
		return nil
	}
	// A leading @ is an abstract name here as there.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.notify, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("the service manager cannot be told: %w", err)
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("the service manager cannot be told: %w", err)
	}
	return nil
}
