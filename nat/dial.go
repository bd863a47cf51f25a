package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
)

// ErrNoRoute is what Dial's error is when this machine has no way to the peer
// from the address bound to: no network, or not of the peer's family.
var ErrNoRoute = errors.New("no route")

// MaxPeers is how many addresses of one peer are tried. Who answers for its
// name could otherwise make us write to any number of others.
const MaxPeers = 6

// Dial opens a path to somebody who may be at any of peers. bind is the local
// address, the zero AddrPort or an unspecified address for any, of both
// families; port 0 lets the system choose. It returns those of peers that there
// is a route to, in the order in which to try them: the families in turn, and
// else as they were given (RFC 8305, Section 4). The error is a *BindError where
// bind cannot be had, and ErrNoRoute (wrapped) where no peer can be reached.
// Nothing is sent. The context is for the opening only.
//
// The socket is not connected: the peer may move, and from an unspecified
// address each datagram leaves by what is the way to it at that moment, so that
// we may move too. What strangers send comes out of ReadPacket like the peer's.
// On Linux so does ErrRefused, with the address that refused; on Windows
// without; other systems tell connected sockets alone, and so nobody here.
func Dial(ctx context.Context, bind netip.AddrPort, peers ...netip.AddrPort) (Path, []netip.AddrPort, error) {
	bind = unmap(bind)
	var reachable []netip.AddrPort
	err := fmt.Errorf("%w: no address", ErrNoRoute)
	for i, peer := range peers {
		_, peerErr := source(ctx, bind, unmap(peer))
		var taken *BindError
		switch {
		case errors.As(peerErr, &taken):
			return nil, nil, peerErr
		case peerErr == nil:
			reachable = append(reachable, unmap(peer))
		case i == 0:
			err = peerErr
		}
	}
	if len(reachable) == 0 {
		return nil, nil, err
	}
	if !bind.IsValid() || bind.Addr().IsUnspecified() {
		bind = netip.AddrPortFrom(netip.IPv6Unspecified(), bind.Port())
	}
	socket, bind, err := open(ctx, bind)
	if err != nil {
		return nil, nil, err
	}
	p := &dialling{socket: socket, local: boundTo(socket, bind)}
	askForErrors(p.conn)
	reachable = alternate(reachable)
	return p, reachable[:min(len(reachable), MaxPeers)], nil
}

// source finds out whether there is a route from bind to peer, and from which of
// our addresses a datagram would leave. Nothing is sent.
func source(ctx context.Context, bind, peer netip.AddrPort) (netip.Addr, error) {
	addr := peer.Addr()
	if !peer.IsValid() || peer.Port() == 0 || addr.IsMulticast() || addr.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%w: %v is not the address of one peer", ErrNoRoute, peer)
	}
	network, from := "udp6", netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	if addr.Is4() {
		network, from = "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	if bind.IsValid() && !bind.Addr().IsUnspecified() {
		if bind.Addr().Is4() != addr.Is4() {
			return netip.Addr{}, fmt.Errorf("%w from %v to %v: not of one family", ErrNoRoute, bind.Addr(), addr)
		}
		from = netip.AddrPortFrom(bind.Addr(), 0)
	}
	conn, err := new(net.Dialer).DialUDP(ctx, network, from, peer)
	if err != nil {
		var call *os.SyscallError
		if errors.As(err, &call) && call.Syscall == "bind" {
			return netip.Addr{}, newBindError(bind, err)
		}
		return netip.Addr{}, fmt.Errorf("%w to %v: %w", ErrNoRoute, addr, cause(err))
	}
	defer conn.Close()
	return localAddr(conn).Addr(), nil
}

// alternate has the families take turns, beginning with the first one's: the
// second attempt is then of the other family, whatever is wrong with the first.
func alternate(addrs []netip.AddrPort) []netip.AddrPort {
	var turns [2][]netip.AddrPort
	for _, a := range addrs {
		turn := &turns[0]
		if a.Addr().Is4() != addrs[0].Addr().Is4() {
			turn = &turns[1]
		}
		if !slices.Contains(*turn, a) {
			*turn = append(*turn, a)
		}
	}
	var all []netip.AddrPort
	for i := range max(len(turns[0]), len(turns[1])) {
		for _, turn := range turns {
			if i < len(turn) {
				all = append(all, turn[i])
			}
		}
	}
	return all
}

// dialling is a path to one peer, wherever it is.
type dialling struct {
	*socket
	local netip.AddrPort
}

func (p *dialling) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		if from, is := p.nextRefusal(); is {
			return 0, from, ErrRefused
		}
		n, _, from, err := p.read(b, nil)
		switch {
		case err == nil:
			return n, unmap(from), nil
		case refused(err) && !errorQueues: // Windows
			return 0, netip.AddrPort{}, ErrRefused
		case refused(err), passing(err):
			p.failed.Store(true)
		case !anyOf(err, syscall.EAGAIN): // a writer has woken us
			return 0, netip.AddrPort{}, err
		}
	}
}

func (p *dialling) WritePacket(b []byte, to netip.AddrPort) error {
	// The system reports an ICMP message about an earlier datagram here, and
	// has then not sent this one. Others may have come in the meantime.
	var err error
	for range maxWrites {
		if err = p.write(b, nil, unmap(to)); err == nil || !refused(err) && !passing(err) {
			return err
		}
		p.failed.Store(true) // the reader's to tell
	}
	if refused(err) {
		return ErrRefused
	}
	return err
}

// maxWrites is how often a datagram is tried that ICMP messages are in the way
// of.
const maxWrites = 4

// nextRefusal is the next address that the system was told refuses, if one was.
func (p *dialling) nextRefusal() (from netip.AddrPort, is bool) {
	if !p.failed.Load() {
		return from, false
	}
	p.failed.Store(false) // before looking: what comes now is seen, or sets it again
	for {
		from, err, more := takeError(p.conn)
		switch {
		case !more:
			return netip.AddrPort{}, false
		case refused(err):
			p.failed.Store(true) // there may be more
			return unmap(from), true
		}
	}
}

func (p *dialling) LocalAddr() netip.AddrPort { return p.local }
func (p *dialling) Close() error              { return p.conn.Close() }

func (p *dialling) Source(to netip.AddrPort) netip.AddrPort { return sourceOf(p.local, to) }

// sourceOf is Source of a path that is bound to local.
func sourceOf(local, to netip.AddrPort) netip.AddrPort {
	if addr, err := source(context.Background(), local, unmap(to)); err == nil {
		return netip.AddrPortFrom(addr, local.Port())
	}
	return local
}
