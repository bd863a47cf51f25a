//go:build !linux

package nat

import (
	"net"
	"net/netip"
)

// origins is for Linux only; here the system chooses the address to answer
// from.
type origins struct{}

func newOrigins(*net.UDPConn, bool) *origins { return nil }

func (*origins) read(conn *net.UDPConn, b []byte) (int, netip.AddrPort, error) {
	return conn.ReadFromUDPAddrPort(b)
}

func (*origins) write(conn *net.UDPConn, b []byte, to netip.AddrPort) error {
	_, err := conn.WriteToUDPAddrPort(b, to)
	return err
}
