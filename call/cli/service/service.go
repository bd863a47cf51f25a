// Package service speaks with the service manager that has started us, if one has: systemd, or
// anything else that keeps to sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). It
// tells when we wait, read settings again and stop, tells a watchdog that we are alive, and
// takes the sockets that were opened for us.
//
// It reads the environment, sends datagrams to a local socket, and keeps no goroutine. Left
// out are the store of file descriptors, main processes other than this one, and AF_VSOCK.
package service

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Manager is who has started us. A nil one, as well as one that nobody is behind, is told
// everything in vain.
type Manager struct {
	// Sockets are those that were opened for us. They are whoever takes them to close.
	Sockets []Socket

	notify   string        // where it wants to be told, or nothing
	watchdog time.Duration // the silence after which it ends us; 0: it never does
}

// A Socket is one that was opened for us: a Listener over TCP or a Conn over UDP.
type Socket struct {
	Name     string // FileDescriptorName= of its unit
	Listener *net.TCPListener
	Conn     *net.UDPConn
}

// An Error is an environment in which no service can run.
type Error struct{ what string }

func (e *Error) Error() string { return e.what }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// variables are what the environment has for us, and for no program that we start.
var variables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}

// Meet reads what the environment says of a manager, and takes it out of there. It is called
// once, before any program is started. The error is an *Error.
func Meet() (*Manager, error) {
	said := map[string]string{}
	for _, name := range variables {
		said[name] = os.Getenv(name)
		_ = os.Unsetenv(name)
	}
	m := &Manager{notify: said["NOTIFY_SOCKET"]}
	if m.notify != "" && m.notify[0] != '/' && m.notify[0] != '@' {
		return nil, errorf("NOTIFY_SOCKET %q is no local socket", m.notify)
	}
	if usec := said["WATCHDOG_USEC"]; usec != "" && ours(said["WATCHDOG_PID"], true) {
		n, err := strconv.ParseInt(usec, 10, 64)
		if err != nil || n <= 0 || n > int64(longestWatch/time.Microsecond) {
			return nil, errorf("WATCHDOG_USEC %q is no time", usec)
		}
		m.watchdog = time.Duration(n) * time.Microsecond
	}
	if fds := said["LISTEN_FDS"]; fds != "" && ours(said["LISTEN_PID"], false) {
		n, err := strconv.Atoi(fds)
		if err != nil || n < 0 || n > mostSockets {
			return nil, errorf("LISTEN_FDS %q is no number of sockets", fds)
		}
		names := strings.Split(said["LISTEN_FDNAMES"], ":")
		if said["LISTEN_FDNAMES"] == "" {
			names = make([]string, n)
		}
		if len(names) != n {
			return nil, errorf("LISTEN_FDS has %d sockets, and LISTEN_FDNAMES %d names", n, len(names))
		}
		for i, name := range names {
			s, err := passed(firstSocket+i, name)
			if err != nil {
				return nil, err
			}
			m.Sockets = append(m.Sockets, s)
		}
	}
	return m, nil
}

const (
	firstSocket  = 3 // SD_LISTEN_FDS_START
	mostSockets  = 64
	longestWatch = 365 * 24 * time.Hour
)

// ours tells whether a process id that the environment names is this one's: else it was meant
// for a program that has started us, and was handed on by mistake.
func ours(pid string, byDefault bool) bool {
	return pid == "" && byDefault || pid == strconv.Itoa(os.Getpid())
}
