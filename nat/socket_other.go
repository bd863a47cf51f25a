//go:build !linux || !(amd64 || arm64 || arm || riscv64 || loong64)

package nat

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// A socket is a UDP socket, as package net has it.
type socket struct {
	conn   *net.UDPConn
	failed atomic.Bool // an error was told, and the reader is to look at the queue (dial.go)
}

func newSocket(conn *net.UDPConn) (*socket, error) { return &socket{conn: conn}, nil }

// read waits for a datagram. One goroutine at a time reads.
func (s *socket) read(b, control []byte) (n, controlN int, from netip.AddrPort, err error) {
	if control == nil {
		n, from, err = s.conn.ReadFromUDPAddrPort(b)
		return n, 0, from, err
	}
	n, controlN, _, from, err = s.conn.ReadMsgUDPAddrPort(b, control)
	return n, controlN, from, err
}

// write sends a datagram.
func (s *socket) write(b, control []byte, to netip.AddrPort) (err error) {
	if control != nil {
		_, _, err = s.conn.WriteMsgUDPAddrPort(b, control, to)
		return err
	}
	_, err = s.conn.WriteToUDPAddrPort(b, to)
	return err
}
