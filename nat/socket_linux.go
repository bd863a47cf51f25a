//go:build linux && (amd64 || arm64 || arm || riscv64 || loong64)

package nat

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// A socket is a UDP socket, read and written by system calls of our own.
//
// Package net would do but for one thing: before each system call Go's scheduler
// wakes the thread that watches over such as may wait for long, and puts it to
// sleep again. A call of a voice is idle 99 % of the time and wakes a hundred
// times a second, so that this is half of what it costs. A socket that never
// waits needs no watch; it is still package net that tells when there is
// something to read. docs/notes/one-processor.md has the figures.
type socket struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	v6   bool

	in datagram // the reader's

	// failed: a system call has told of an error of the queue (dial.go), and the
	// reader is to look there. Where a writer was told, it wakes from the same.
	failed atomic.Bool

	mu      sync.Mutex // many may write
	out     datagram
	control [64]byte // of out
}

// A datagram is one on its way in or out, as the kernel wants it. It stays where
// it is, so that no packet allocates.
type datagram struct {
	header syscall.Msghdr
	vector syscall.Iovec
	name   [syscall.SizeofSockaddrInet6]byte
	zone   string // of the scope in name, if it is not 0
	scope  uint32 // that zone belongs to
	call   func(fd uintptr) bool
	n      int
	err    syscall.Errno
}

func newSocket(conn *net.UDPConn) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, raw: raw}
	var name syscall.Sockaddr
	if e := raw.Control(func(fd uintptr) { name, err = syscall.Getsockname(int(fd)) }); e != nil || err != nil {
		return nil, err
	}
	_, s.v6 = name.(*syscall.SockaddrInet6)
	for _, d := range []*datagram{&s.in, &s.out} {
		d.header.Iov, d.header.Iovlen = &d.vector, 1
	}
	s.in.call = func(fd uintptr) bool {
		s.in.name = [len(s.in.name)]byte{}
		s.in.do(fd, syscall.SYS_RECVMSG)
		return s.in.err != syscall.EAGAIN || s.failed.Load()
	}
	s.out.call = func(fd uintptr) bool {
		s.out.do(fd, syscall.SYS_SENDMSG)
		return true // no room is a loss like any other: sound does not wait
	}
	return s, nil
}

// do makes the system call, which does not wait, and again if a signal came.
func (d *datagram) do(fd, number uintptr) {
	for {
		n, _, err := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&d.header)), syscall.MSG_DONTWAIT)
		if d.n, d.err = int(n), err; err != syscall.EINTR {
			return
		}
	}
}

// set points the kernel at the buffers. An empty datagram has none.
func (d *datagram) set(b, control []byte, nameLength uint32) {
	d.vector = syscall.Iovec{Base: unsafe.SliceData(b)}
	d.vector.SetLen(len(b))
	d.header.Name, d.header.Namelen = &d.name[0], nameLength
	if nameLength == 0 {
		d.header.Name = nil
	}
	d.header.Control, d.header.Flags = nil, 0
	if len(control) > 0 {
		d.header.Control = &control[0]
	}
	d.header.SetControllen(len(control))
}

// forget lets go of the buffers.
func (d *datagram) forget() { d.vector.Base, d.header.Control = nil, nil }

// read waits for a datagram. One goroutine at a time reads.
func (s *socket) read(b, control []byte) (n, controlN int, from netip.AddrPort, err error) {
	s.in.set(b, control, uint32(len(s.in.name)))
	defer s.in.forget()
	if err := s.raw.Read(s.in.call); err != nil {
		return 0, 0, from, err
	}
	if s.in.err != 0 {
		return 0, 0, from, s.in.err
	}
	return s.in.n, int(s.in.header.Controllen), s.in.address(), nil
}

// write sends a datagram.
func (s *socket) write(b, control []byte, to netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	length, err := s.out.setAddress(to, s.v6)
	if err != nil {
		return err
	}
	s.out.set(b, s.control[:copy(s.control[:], control)], length)
	defer s.out.forget()
	if err := s.raw.Write(s.out.call); err != nil {
		return err
	}
	if s.out.err != 0 {
		return s.out.err
	}
	return nil
}

// address is where the datagram came from (ip(7), ipv6(7): struct sockaddr_in
// and sockaddr_in6; the family is in the byte order of the machine).
func (d *datagram) address() netip.AddrPort {
	port := binary.BigEndian.Uint16(d.name[2:])
	switch binary.NativeEndian.Uint16(d.name[:]) {
	case syscall.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(d.name[4:8])), port)
	case syscall.AF_INET6:
		addr := netip.AddrFrom16([16]byte(d.name[8:24]))
		if scope := binary.NativeEndian.Uint32(d.name[24:]); scope != 0 && !addr.Is4In6() {
			if scope != d.scope { // looked up once, not for every packet
				d.scope, d.zone = scope, zoneOf(int(scope))
			}
			addr = addr.WithZone(d.zone)
		}
		return netip.AddrPortFrom(addr, port)
	}
	return netip.AddrPort{}
}

// setAddress makes to the address to send to, and returns its length.
func (d *datagram) setAddress(to netip.AddrPort, v6 bool) (length uint32, err error) {
	addr := to.Addr()
	switch {
	case !to.IsValid():
		return 0, nil
	case !v6 && !addr.Is4():
		return 0, syscall.EAFNOSUPPORT
	}
	d.name = [len(d.name)]byte{}
	binary.BigEndian.PutUint16(d.name[2:], to.Port())
	if !v6 {
		binary.NativeEndian.PutUint16(d.name[:], syscall.AF_INET)
		octets := addr.As4()
		copy(d.name[4:], octets[:])
		return syscall.SizeofSockaddrInet4, nil
	}
	binary.NativeEndian.PutUint16(d.name[:], syscall.AF_INET6)
	octets := addr.As16()
	copy(d.name[8:], octets[:])
	if zone := addr.Zone(); zone != "" {
		if zone != d.zone {
			d.scope, d.zone = scopeOf(zone), zone
		}
		binary.NativeEndian.PutUint32(d.name[24:], d.scope)
	}
	return syscall.SizeofSockaddrInet6, nil
}

func scopeOf(zone string) uint32 {
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	index, _ := strconv.ParseUint(zone, 10, 32) // 0, any, for nonsense
	return uint32(index)
}
