package punched

import (
	"net"
	"sync"
	"time"
)

const (
	streamQueue    = 32              // packets that wait for the connection: 0.6 s of a call
	streamPatience = 5 * time.Second // for the connection to take one
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
			return
		case b := <-s.waiting:
			_ = s.Conn.SetWriteDeadline(time.Now().Add(streamPatience))
			if _, err := s.Conn.Write(b); err != nil {
				_ = s.Close()
				return
			}
			select {
			case s.free <- b:
			default:
			}
		}
	}
}

// Close closes the connection; what waits is lost.
func (s *stream) Close() (err error) {
	s.once.Do(func() {
		close(s.closed)
		err = s.Conn.Close()
	})
	return err
}
