package punched

import (
	"net"
	"sync"
	"time"
)

const (
	streamQueue    = 32              // packets that wait for the connection: 0.6 s of a call
	streamPatience = 5 * time.Second // for the connection to take one
	lastPackets    = 100 * time.Millisecond
)

// A stream is a connection to a TURN server over which nobody waits: what it does not take in
// time is lost, as it is where a socket of UDP has no room. A network that has gone would
// otherwise hold up sound and control until TCP gives it up, in a quarter of an hour. What has taken
// none of a packet for streamPatience is closed: after a part of one nothing makes sense any more.
type stream struct {
	net.Conn
	waiting chan []byte
	free    chan []byte // octets to be used again
	closed  chan struct{}
	once    sync.Once
}

func newStream(c net.Conn) *stream {
	s := &stream{Conn: c, waiting: make(chan []byte, streamQueue), free: make(chan []byte, streamQueue), closed: make(chan struct{})}
	go s.send()
	return s
}

// Write takes b, which is one whole packet, or loses it.
func (s *stream) Write(b []byte) (int, error) {
	var packet []byte
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	case packet = <-s.free:
	default:
	}
	select {
	case s.waiting <- append(packet[:0], b...):
	default:
	}
	return len(b), nil
}

func (s *stream) send() {
	for {
		select {
		case <-s.closed:
			s.sendLast()
			return
		case b := <-s.waiting:
			_ = s.Conn.SetWriteDeadline(time.Now().Add(streamPatience))
			if _, err := s.Conn.Write(b); err != nil {
				_ = s.Close()
				_ = s.Conn.Close()
				return
			}
			select {
			case s.free <- b:
			default:
			}
		}
	}
}

// sendLast sends what waits, as far as that goes at once, and closes the connection.
func (s *stream) sendLast() {
	defer s.Conn.Close()
	_ = s.Conn.SetWriteDeadline(time.Now().Add(lastPackets))
	for {
		select {
		case b := <-s.waiting:
			if _, err := s.Conn.Write(b); err != nil {
				return
			}
		default:
			return
		}
	}
}

// Close has the connection closed, a moment later: what was written before is sent first.
func (s *stream) Close() error {
	s.once.Do(func() {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(lastPackets)) // of a Write that is under way
		close(s.closed)
	})
	return nil
}
