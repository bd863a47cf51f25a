package rendezvous

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"securecall/nat/rendezvous/quota"
)

// A gate is a listener that lets no more in than the limits say, before
// anything is spent on a handshake.
type gate struct {
	net.Listener
	server *Server
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if m := g.meter(c); m != nil {
			return m, nil
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // a reset costs us nothing more
		}
		_ = c.Close()
	}
}

// meter counts a new connection, or returns nil.
func (g *gate) meter(c net.Conn) *metered {
	s := g.server
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	m := &metered{Conn: c, server: s, from: ap.Addr().Unmap()}
	if !hold(&s.connections, s.Limits.Connections) {
		s.hit("Connections", m.from)
		return nil
	}
	if !s.proxy(m.from) { // else it is counted when the proxy has said for whom
		if m.release = s.admit(m.from); m.release == nil {
			s.connections.Add(-1)
			return nil
		}
	}
	return m
}

// A metered connection ends when more comes from it than the limits allow,
// whatever that is: handshakes, empty fragments, pings.
type metered struct {
	net.Conn
	server  *Server
	from    netip.Addr
	release func() // nil: not counted by network
	octets  quota.Bucket
	closed  atomic.Bool
}

var errFlood = errors.New("too much comes from there")

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if n > 0 && !m.octets.Take(time.Now(), m.server.Limits.Octets, n) {
		m.server.hit("Octets", m.from)
		return 0, errFlood
	}
	return n, err
}

func (m *metered) Close() error {
	if !m.closed.Swap(true) {
		m.server.connections.Add(-1)
		if m.release != nil {
			m.release()
		}
	}
	return m.Conn.Close()
}
