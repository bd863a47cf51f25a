//go:build linux && (amd64 || arm64 || arm || riscv64 || loong64)

package device

import (
	"net"
	"syscall"
	"unsafe"
)

// A stream reads and writes a connection by system calls of our own, which do
// not wait. Package net's wake the thread of Go's scheduler that watches over
// those that may, and a call wakes a hundred times a second to do next to
// nothing: docs/notes/one-processor.md has the figures.
type stream struct {
	conn    net.Conn
	raw     syscall.RawConn
	in, out transfer
}

// A transfer is one read or write, as the kernel wants it.
type transfer struct {
	b    []byte
	n    int
	err  syscall.Errno
	call func(fd uintptr) bool
}

func newStream(conn net.Conn) *stream {
	s := &stream{conn: conn}
	if c, ok := conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn() // nil: as package net does it
	}
	s.in.call = func(fd uintptr) bool {
		s.in.do(fd, syscall.SYS_READ)
		return s.in.err != syscall.EAGAIN
	}
	s.out.call = func(fd uintptr) bool {
		s.out.do(fd, syscall.SYS_WRITE)
		return true
	}
	return s
}

func (t *transfer) do(fd, number uintptr) {
	for {
		n, _, err := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))), uintptr(len(t.b)))
		if t.n, t.err = int(n), err; err != syscall.EINTR {
			return
		}
	}
}

// Read is called by one goroutine at a time.
func (s *stream) Read(b []byte) (int, error) {
	s.in.b = b
	if s.raw == nil || s.raw.Read(s.in.call) != nil || s.in.err != 0 || s.in.n == 0 {
		return s.conn.Read(b) // which says what is the matter
	}
	return s.in.n, nil
}

// tryWrite writes as much of b as there is room for at once, which may be
// nothing. It is called by one goroutine at a time.
func (s *stream) tryWrite(b []byte) int {
	s.out.b = b
	if s.raw == nil || s.raw.Write(s.out.call) != nil || s.out.err != 0 {
		return 0
	}
	return s.out.n
}
