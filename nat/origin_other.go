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

func (*origins) read(s *socket, b []byte) (int, netip.AddrPort, error) {
	n, _, from, err := s.read(b, nil)
	return n, from, err
}

func (*origins) write(s *socket, b []byte, to netip.AddrPort) error { return s.write(b, nil, to) }
