package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// listener takes TCP connections, as many as the limits allow.
type listener struct {
	net.Listener
	s *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || errors.Is(err, net.ErrClosed) {
				return nil, err
			}
			time.Sleep(50 * time.Millisecond) // out of file descriptors, say: pion would end for good
			continue
		}
		if s := l.s.admit(c); s != nil {
			return s, nil
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// admit counts a TCP connection, or returns nil.
func (s *Server) admit(c net.Conn) *stream {
	now, a := time.Now(), addrPort(c.RemoteAddr()).Addr()
	release := s.sources.Hold(now, kindTCP, a)
	if release == nil {
		s.announce.Hit(now, "TCPConnectionsPerNetwork", a)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.streams) >= s.Limits.TCPConnections {
		release()
		s.announce.Hit(now, "TCPConnections", a)
		return nil
	}
	one := &stream{Conn: c, s: s, release: release}
	s.streams[one] = struct{}{}
	return one
}

// A stream is a TCP connection that hands on one whole message at each Read.
// pion would read on without bound, one call inside the other, for a message
// that comes octet by octet, and takes 64 KiB for one.
type stream struct {
	net.Conn
	s       *Server
	release func()
	closed  atomic.Bool
	buf     [maxMessage]byte
	have    int
}

// maxMessage is the longest message that is taken, in octets: as much as pion
// takes over UDP. It has room for what fits into an Ethernet frame.
const maxMessage = 1600

var errStream = errors.New("neither STUN nor TURN, or too long")

func (c *stream) Read(b []byte) (int, error) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(c.s.Limits.IdleTime))
	for {
		n, err := messageLen(c.buf[:c.have])
		switch {
		case err != nil:
			return 0, err
		case n > 0 && n <= c.have:
			if len(b) < n {
				return 0, io.ErrShortBuffer
			}
			copy(b, c.buf[:n])
			c.have = copy(c.buf[:], c.buf[n:c.have])
			if c.s.mayAsk(b[:n], c.Conn.RemoteAddr()) {
				return n, nil
			}
			continue
		}
		got, err := c.Conn.Read(c.buf[c.have:])
		if err != nil {
			return 0, err
		}
		c.have += got
	}
}

// messageLen is how long the message is that begins with b, or 0 if that does
// not show yet (RFC 8489, Section 6.2.2; RFC 8656, Section 12.5).
func messageLen(b []byte) (int, error) {
	if len(b) < 4 {
		return 0, nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0] < 4: // STUN
		if n%4 != 0 {
			return 0, errStream
		}
		n += 20
	case b[0] >= 0x40 && b[0] < 0x50: // ChannelData, padded to four octets
		n = 4 + (n+3)&^3
	default:
		return 0, errStream
	}
	if n > maxMessage-1 { // pion drops what fills its buffer
		return 0, errStream
	}
	return n, nil
}

// Write gives whoever does not take what is sent some seconds, since pion's
// only reader of a relay's socket waits meanwhile.
func (c *stream) Write(b []byte) (int, error) {
	_ = c.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	n, err := c.Conn.Write(b)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

func (c *stream) Close() error {
	if !c.closed.Swap(true) {
		c.release()
		c.s.mu.Lock()
		delete(c.s.streams, c)
		c.s.mu.Unlock()
	}
	return c.Conn.Close()
}
