package service

import (
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is what RELOADING=1 has to come with under Type=notify-reload: the time in
// microseconds, by CLOCK_MONOTONIC, so that an earlier READY=1 is not taken for its answer.
func monotonic() []string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return nil
	}
	return []string{"MONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/int64(time.Microsecond), 10)}
}

// passed takes a file descriptor that was opened for us. It is closed: what is returned has
// one of its own, which no program that we start inherits.
func passed(fd int, name string) (Socket, error) {
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	if f == nil {
		return Socket{}, errorf("socket %d (%q) was not passed", fd, name)
	}
	defer f.Close()
	if c, err := net.FilePacketConn(f); err == nil {
		if u, ok := c.(*net.UDPConn); ok {
			return Socket{Name: name, Conn: u}, nil
		}
		_ = c.Close()
	}
	if l, err := net.FileListener(f); err == nil {
		if t, ok := l.(*net.TCPListener); ok && listens(t) {
			return Socket{Name: name, Listener: t}, nil
		}
		_ = l.Close()
	}
	return Socket{}, errorf("socket %d (%q) neither listens over TCP nor is of UDP", fd, name)
}

// listens tells a listening socket from a connection, which Accept=yes would pass.
func listens(l syscall.Conn) (is bool) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		is = err == nil && n == 1
	})
	return is
}
