//go:build linux

package main

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"securecall/audio"
	"securecall/nat"
)

// A line is a caller's path, which notes how late the listener's packets have come.
type line struct {
	conn    *net.UDPConn
	control [64]byte

	read delays // from when the kernel had a packet until we had
	came delays // behind where the listener's packets belong

	first   bool
	seq     uint16
	turn    time.Duration // at which the packet of that number is due, from some beginning
	some    [50]time.Duration
	counted int
}

func newLine(from netip.Addr) (*line, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return nil, err
	}
	return &line{conn: conn}, failed
}

// ReadPacket implements nat.Path.
func (l *line) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	n, control, _, from, err := l.conn.ReadMsgUDPAddrPort(b, l.control[:])
	if err != nil {
		return 0, from, err
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	// The only control message is the kernel's time (socket(7)).
	if header := syscall.CmsgLen(0); control >= syscall.CmsgLen(int(unsafe.Sizeof(syscall.Timespec{}))) {
		seconds := binary.NativeEndian.Uint64(l.control[header:])
		at := time.Unix(int64(seconds), int64(binary.NativeEndian.Uint64(l.control[header+8:])))
		l.read.note(time.Since(at))
		if n >= 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] > 223) { // RTP (RFC 5761, Section 4)
			l.heard(at, binary.BigEndian.Uint16(b[2:]))
		}
	}
	return n, from, nil
}

// heard weighs when a packet has come: fifty of them against the earliest, by their
// numbers.
func (l *line) heard(at time.Time, seq uint16) {
	if !l.first {
		l.first, l.seq, l.turn = true, seq, time.Duration(at.UnixNano())
	}
	l.turn += time.Duration(int16(seq-l.seq)) * audio.FrameDuration
	l.seq = seq
	l.some[l.counted] = time.Duration(at.UnixNano()) - l.turn
	if l.counted++; l.counted < len(l.some) {
		return
	}
	l.counted = 0
	earliest := slices.Min(l.some[:])
	for _, d := range l.some {
		l.came.note(d - earliest)
	}
}

// WritePacket implements nat.Path.
func (l *line) WritePacket(b []byte, to netip.AddrPort) error {
	_, err := l.conn.WriteToUDPAddrPort(b, to)
	return err
}

// LocalAddr implements nat.Path.
func (l *line) LocalAddr() netip.AddrPort {
	return l.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Source implements nat.Path.
func (l *line) Source(netip.AddrPort) netip.AddrPort { return l.LocalAddr() }

// Close implements nat.Path.
func (l *line) Close() error { return l.conn.Close() }

var _ nat.Path = (*line)(nil)
