// Package nat is how a packet reaches the other side: here directly, over UDP on
// IPv4 and IPv6, both from one socket. nat/punched is a Path through NATs and over relays, behind the
// same interface; the call never knows how its path came about. nat/reflexive
// asks how others see this machine.
//
// The package opens sockets, which mark what they send as expedited forwarding
// (DSCP 46), and asks the system's resolver; it starts no goroutine. nat/memnet has Paths in memory for tests.
package nat

import (
	"errors"
	"net/netip"
)

// DefaultPort is RTP's own UDP port (RFC 3551, Section 8), where nothing else
// is said.
const DefaultPort = 5004

// ErrRefused is what ReadPacket returns, once each, for an ICMP "port
// unreachable": nobody listens there at this moment. The path stays usable. The
// address is the one that refused, or not valid where the system does not say.
var ErrRefused = errors.New("refused: nobody listens there")

// A Path carries datagrams between this machine and its peers. ReadPacket is
// called by one goroutine; WritePacket by any; Close by any, and it ends a
// ReadPacket that waits with an error that is net.ErrClosed.
type Path interface {
	// ReadPacket waits for a datagram, writes it to b and returns its length
	// and sender (IPv4 addresses unmapped). It does not allocate.
	ReadPacket(b []byte) (n int, from netip.AddrPort, err error)
	// WritePacket sends one datagram. A failure concerns this datagram only.
	// It does not allocate.
	WritePacket(b []byte, to netip.AddrPort) error
	// LocalAddr is the address the path is bound to.
	LocalAddr() netip.AddrPort
	// Source is the address from which a datagram to that peer leaves at this
	// moment or, where the system cannot say, LocalAddr. It is for telling people.
	Source(to netip.AddrPort) netip.AddrPort
	Close() error
}
