package nat

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// socketBuffer is what is asked of the system for each direction, in bytes:
// some 2000 packets, so that a busy moment of the reader loses none. The
// system may give less.
const socketBuffer = 512 << 10

// Listen opens a path to everybody who calls at bind. An unspecified IPv6
// address takes calls over both families, and over IPv4 alone where the kernel
// has no IPv6; an unspecified IPv4 address only over IPv4. Port 0 lets the
// system choose. The error is a *BindError. The context is for the opening
// only.
//
// A path bound to an unspecified address answers each peer from the address
// where that peer called, as a connected peer expects (on Linux; elsewhere the
// system chooses).
func Listen(ctx context.Context, bind netip.AddrPort) (Path, error) {
	bind = unmap(bind)
	if !bind.IsValid() {
		bind = netip.AddrPortFrom(netip.IPv6Unspecified(), bind.Port())
	}
	socket, bind, err := open(ctx, bind)
	if err != nil {
		return nil, err
	}
	return listenOn(socket, boundTo(socket, bind)), nil
}

// listenOn makes a path of a bound socket.
func listenOn(s *socket, local netip.AddrPort) Path {
	p := &listening{socket: s, local: local}
	if local.Addr().IsUnspecified() {
		p.origins = newOrigins(s.conn, local.Addr().Is6())
	}
	return p
}

// open binds a socket, and returns what it was bound to but for the port: an
// unspecified IPv6 address is both families, or IPv4 alone where there is no
// IPv6. The error is a *BindError.
func open(ctx context.Context, bind netip.AddrPort) (*socket, netip.AddrPort, error) {
	network := "udp6"
	switch {
	case bind.Addr().Is4():
		network = "udp4"
	case bind.Addr().IsUnspecified():
		network = "udp" // both families
	}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, network, bind.String())
	if network == "udp" && noFamily(err) {
		bind = netip.AddrPortFrom(netip.IPv4Unspecified(), bind.Port())
		conn, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", bind.String())
	}
	if err != nil {
		return nil, bind, newBindError(bind, err)
	}
	socket, err := newSocket(conn.(*net.UDPConn))
	if err != nil {
		conn.Close()
		return nil, bind, newBindError(bind, err)
	}
	enlarge(socket.conn)
	expedite(socket.conn)
	return socket, bind, nil
}

// boundTo is bind with the port that the system has chosen.
func boundTo(s *socket, bind netip.AddrPort) netip.AddrPort {
	local := localAddr(s.conn)
	if bind.Addr().Is4() {
		// Go names an unspecified address by the family of the socket.
		return netip.AddrPortFrom(bind.Addr(), local.Port())
	}
	return local
}

// listening is a path to anybody: an unconnected socket.
type listening struct {
	*socket
	local   netip.AddrPort
	origins *origins // nil: bound to one address, or the system cannot tell
}

func (p *listening) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		var n int
		var from netip.AddrPort
		var err error
		if p.origins != nil {
			n, from, err = p.origins.read(p.socket, b)
		} else {
			n, _, from, err = p.read(b, nil)
		}
		switch {
		case err == nil:
			return n, unmap(from), nil
		case refused(err): // Windows only
			return 0, netip.AddrPort{}, ErrRefused
		case !passing(err):
			return 0, netip.AddrPort{}, err
		}
	}
}

func (p *listening) WritePacket(b []byte, to netip.AddrPort) error {
	to = unmap(to)
	if p.origins != nil {
		return p.origins.write(p.socket, b, to)
	}
	return p.write(b, nil, to)
}

func (p *listening) LocalAddr() netip.AddrPort { return p.local }
func (p *listening) Close() error              { return p.conn.Close() }

func (p *listening) Source(to netip.AddrPort) netip.AddrPort { return sourceOf(p.local, to) }

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func localAddr(conn *net.UDPConn) netip.AddrPort {
	return unmap(conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

// enlarge asks for larger buffers; a refusal costs only reserve.
func enlarge(conn *net.UDPConn) {
	_ = conn.SetReadBuffer(socketBuffer)
	_ = conn.SetWriteBuffer(socketBuffer)
}

// Winsock's error numbers, which package syscall does not give these names.
const (
	wsaEACCES        = syscall.Errno(10013)
	wsaEADDRINUSE    = syscall.Errno(10048)
	wsaEADDRNOTAVAIL = syscall.Errno(10049)
	wsaEAFNOSUPPORT  = syscall.Errno(10047)
	wsaEMSGSIZE      = syscall.Errno(10040)
	wsaECONNRESET    = syscall.Errno(10054)
)

// anyOf reports whether err is one of the system's errors given.
func anyOf(err error, numbers ...syscall.Errno) bool {
	var got syscall.Errno
	if !errors.As(err, &got) {
		return false
	}
	for _, n := range numbers {
		if got == n {
			return true
		}
	}
	return false
}

// refused: an ICMP port unreachable for something sent earlier.
func refused(err error) bool { return anyOf(err, syscall.ECONNREFUSED, wsaECONNRESET) }

// passing: an error of one datagram (an ICMP message other than a refusal, a
// datagram longer than the buffer), after which reading goes on. An ICMP
// message can come from any router, and from anybody: none of them may end or
// delay anything.
func passing(err error) bool {
	return anyOf(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EMSGSIZE, wsaEMSGSIZE,
		syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.EACCES, syscall.EPROTO, syscall.EOPNOTSUPP, syscall.ETIMEDOUT) ||
		anyOf(err, elsewhere...)
}

// noFamily: the kernel has no such address family, or no address of it.
func noFamily(err error) bool {
	return anyOf(err, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EADDRNOTAVAIL, wsaEAFNOSUPPORT, wsaEADDRNOTAVAIL)
}
