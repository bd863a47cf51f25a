package punched

import (
	"net"
	"sync"
)

const (
	maxDatagram = 2048 // bytes; more than any packet of a call
	inboxSize   = 64   // packets: more than half a second of a call
)

// inbox is where the peer's packets wait for ReadPacket, whichever way they
// came. It stands in for a socket's buffer: what does not fit is lost.
type inbox struct {
	mu     sync.Mutex
	filled sync.Cond
	first  int
	count  int
	closed bool
	slots  [inboxSize]struct {
		n int
		b [maxDatagram]byte
	}
}

func newInbox() *inbox {
	i := new(inbox)
	i.filled.L = &i.mu
	return i
}

func (i *inbox) put(b []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.count == inboxSize || len(b) > maxDatagram {
		return
	}
	s := &i.slots[(i.first+i.count)%inboxSize]
	s.n = copy(s.b[:], b)
	i.count++
	i.filled.Signal()
}

func (i *inbox) take(b []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.count == 0 && !i.closed {
		i.filled.Wait()
	}
	if i.closed {
		return 0, net.ErrClosed
	}
	s := &i.slots[i.first]
	i.first = (i.first + 1) % inboxSize
	i.count--
	return copy(b, s.b[:s.n]), nil
}

func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.filled.Broadcast()
}
