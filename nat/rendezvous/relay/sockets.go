package relay

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v5"

	"securecall/nat/rendezvous/quota"
)

// Ports for relaying are those that IANA leaves to everybody (RFC 6335,
// Section 6), so that a firewall can have a rule for them.
const lowPort, highPort = 49152, 65535

// generator opens the sockets of allocations.
type generator struct{ s *Server }

// Validate has nothing to find out.
func (g *generator) Validate() error { return nil }

var (
	errQuota  = errors.New("no more allocations")
	errNoPort = errors.New("no free port")
	errUDP    = errors.New("only UDP is relayed")
)

// AllocatePacketConn opens a socket for a credential. There is none in the
// requests by which pion looks for even ports, which are not offered.
func (g *generator) AllocatePacketConn(c turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	if c.UserID == "" || c.RequestedPort != 0 {
		return nil, nil, errNoPort
	}
	var public netip.Addr
	for _, a := range g.s.public {
		if a.Is4() == (c.Network == "udp4") {
			public = a
		}
	}
	var bind netip.Addr
	for _, f := range g.s.families() {
		if "udp"+f.name == c.Network {
			bind = f.bind
		}
	}
	if !public.IsValid() || !bind.IsValid() {
		return nil, nil, errFamily
	}
	u := g.s.allocate(c.UserID)
	if u == nil {
		return nil, nil, errQuota
	}
	for range 16 {
		port := uint16(lowPort + rand.N(highPort-lowPort+1))
		socket, err := net.ListenUDP(c.Network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, port)))
		if err != nil {
			continue
		}
		g.s.mu.Lock()
		g.s.ports[port] = true
		g.s.mu.Unlock()
		a := &allocated{PacketConn: socket, s: g.s, user: u}
		a.free = sync.OnceFunc(func() {
			g.s.mu.Lock()
			delete(g.s.ports, port)
			g.s.mu.Unlock()
			g.s.free(u)
		})
		return a, net.UDPAddrFromAddrPort(netip.AddrPortFrom(public, port)), nil
	}
	g.s.free(u)
	return nil, nil, errNoPort
}

// AllocateListener is for RFC 6062, which is not offered.
func (g *generator) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errUDP
}

// AllocateConn is for RFC 6062, which is not offered.
func (g *generator) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) { return nil, errUDP }

// allocated is the relay's own socket of one allocation. What is over its
// limits is lost, as on any network.
type allocated struct {
	net.PacketConn
	s    *Server
	user *user
	free func()

	mu     sync.Mutex
	octets quota.Bucket
}

// may counts a packet of n octets.
func (a *allocated) may(n int, peer netip.Addr) bool {
	now := time.Now()
	if a.user.octets.Add(int64(n)) > a.s.Limits.OctetsPerCredential {
		a.s.announce.Hit(now, "OctetsPerCredential", peer)
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.octets.Take(now, a.s.Limits.OctetsPerAllocation, n) {
		a.s.announce.Hit(now, "OctetsPerAllocation", peer)
		return false
	}
	return true
}

func (a *allocated) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := a.PacketConn.ReadFrom(b)
		if err != nil || a.may(n, addrPort(from).Addr()) {
			return n, from, err
		}
	}
}

func (a *allocated) WriteTo(b []byte, to net.Addr) (int, error) {
	peer := addrPort(to)
	if !a.s.maySend(peer) || !a.may(len(b), peer.Addr()) {
		return len(b), nil
	}
	return a.PacketConn.WriteTo(b, to)
}

func (a *allocated) Close() error {
	a.free()
	return a.PacketConn.Close()
}

// packetConn is the UDP socket that clients speak to.
type packetConn struct {
	net.PacketConn
	s *Server
}

func (p *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil || p.s.mayAsk(b[:n], from) {
			return n, from, err
		}
	}
}

// mayAsk counts b if it is a STUN request: those are answered to whatever
// address stands on them, and cost the most.
func (s *Server) mayAsk(b []byte, from net.Addr) bool {
	// The class is in two bits of the type; 00 is a request (RFC 8489, Section 5).
	if len(b) < 2 || b[0] > 3 || b[0]&1 != 0 || b[1]&0x10 != 0 {
		return true
	}
	now, a := time.Now(), addrPort(from).Addr()
	if s.sources.Take(now, kindRequests, a) {
		return true
	}
	s.announce.Hit(now, "RequestsPerNetwork", a)
	return false
}

// addrPort is a as a netip.AddrPort.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
