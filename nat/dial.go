package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// ErrNoRoute is what Dial's error is when this machine has no way to the peer
// from the address bound to: no network, or not of the peer's family. A caller
// that has another address of the peer tries that.
var ErrNoRoute = errors.New("no route")

var errOtherPeer = errors.New("this path reaches only the peer that it was opened to")

// Dial opens a path to one peer. bind is the local address, the zero AddrPort
// or an unspecified address for any; port 0 lets the system choose. The error
// is a *BindError where bind cannot be had, and ErrNoRoute (wrapped) where the
// peer cannot be reached from there. Nothing is sent. The context is for the
// opening only.
//
// The socket is connected: the system drops what comes from anybody else, and
// the peer's ICMP refusals come out of ReadPacket as ErrRefused.
func Dial(ctx context.Context, bind, peer netip.AddrPort) (Path, error) {
	bind, peer = unmap(bind), unmap(peer)
	addr := peer.Addr()
	if !peer.IsValid() || peer.Port() == 0 || addr.IsMulticast() || addr.IsUnspecified() {
		return nil, fmt.Errorf("%w: %v is not the address of one peer", ErrNoRoute, peer)
	}
	network := "udp6"
	if addr.Is4() {
		network = "udp4"
	}
	if bind.IsValid() && bind.Addr().Is4() != addr.Is4() {
		if !bind.Addr().IsUnspecified() {
			return nil, fmt.Errorf("%w from %v to %v: not of one family", ErrNoRoute, bind.Addr(), addr)
		}
		bind = netip.AddrPortFrom(unspecifiedLike(addr), bind.Port())
	}
	conn, err := new(net.Dialer).DialUDP(ctx, network, bind, peer)
	if err != nil {
		var call *os.SyscallError
		if errors.As(err, &call) && call.Syscall == "bind" {
			return nil, newBindError(bind, err)
		}
		return nil, fmt.Errorf("%w to %v: %w", ErrNoRoute, addr, cause(err))
	}
	enlarge(conn)
	expedite(conn)
	socket, err := newSocket(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w to %v: %w", ErrNoRoute, addr, cause(err))
	}
	return &dialled{socket: socket, local: localAddr(conn), peer: peer, addr: addr.WithZone("")}, nil
}

func unspecifiedLike(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// dialled is a path to one peer: a connected socket.
type dialled struct {
	*socket
	local netip.AddrPort
	peer  netip.AddrPort
	addr  netip.Addr // the peer's, without zone
}

func (p *dialled) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		n, _, from, err := p.read(b, nil)
		switch {
		case err == nil:
			// A stranger's datagram can have come in between bind and connect.
			if from.Port() == p.peer.Port() && from.Addr().Unmap().WithZone("") == p.addr {
				return n, p.peer, nil
			}
		case refused(err):
			return 0, p.peer, ErrRefused
		case !passing(err):
			return 0, netip.AddrPort{}, err
		}
	}
}

func (p *dialled) WritePacket(b []byte, to netip.AddrPort) error {
	if unmap(to) != p.peer {
		return errOtherPeer
	}
	// The system reports an ICMP message about an earlier datagram here, and
	// has then not sent this one. Others may have come in the meantime.
	var err error
	for range maxWrites {
		if err = p.write(b, nil, netip.AddrPort{}); err == nil || !refused(err) && !passing(err) {
			return err
		}
	}
	if refused(err) {
		return ErrRefused
	}
	return err
}

// maxWrites is how often a datagram is tried that ICMP messages are in the way
// of.
const maxWrites = 4

func (p *dialled) LocalAddr() netip.AddrPort { return p.local }
func (p *dialled) Close() error              { return p.conn.Close() }
