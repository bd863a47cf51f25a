package memnet

import (
	"container/heap"
	"errors"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"securecall/nat"
)

// path is a nat.Path. There is no goroutine that delivers: what is under way
// stands in the receiver's queue with its time, and ReadPacket waits for it.
type path struct {
	network *Network

	// Guarded by network.mu.
	addr   netip.AddrPort
	called map[netip.AddrPort]netip.AddrPort // by whom, at which of our addresses
	nat    *NAT                              // that it is behind; nil: none
	queue  queue

	arrived chan struct{} // something was queued
	closed  chan struct{}
	closing sync.Once
}

func (p *path) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		select {
		case <-p.closed:
			return 0, netip.AddrPort{}, net.ErrClosed
		default:
		}
		d, wait := p.next()
		switch {
		case wait > 0:
		case d.refused:
			return 0, d.from, nat.ErrRefused
		default:
			return copy(b, d.data), d.from, nil
		}
		// With nothing under way there is no timer, so that synctest sees a
		// deadlock for what it is.
		var due <-chan time.Time
		if wait < forever {
			due = time.After(wait) // collected as soon as we stop waiting
		}
		select {
		case <-p.closed:
		case <-p.arrived:
		case <-due:
		}
	}
}

// forever is the wait when nothing is under way.
const forever = time.Duration(math.MaxInt64)

// next takes the datagram that is due, or says how long until one will be.
func (p *path) next() (d datagram, wait time.Duration) {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	if len(p.queue) == 0 {
		return d, forever
	}
	if wait := time.Until(p.queue[0].due); wait > 0 {
		return d, wait
	}
	return heap.Pop(&p.queue).(datagram), 0
}

func (p *path) WritePacket(b []byte, to netip.AddrPort) error {
	select {
	case <-p.closed:
		return net.ErrClosed
	default:
	}
	if len(b) > maxDatagram {
		return errors.New("memnet: datagram too long")
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	from := p.network.from(p, to)
	if tap := p.network.currentTap(); tap != nil {
		if b = tap(from, to, append([]byte{}, b...)); b == nil {
			return nil
		}
	}
	p.network.Inject(from, to, b)
	return nil
}

func (p *path) LocalAddr() netip.AddrPort {
	p.network.mu.Lock()
	defer p.network.mu.Unlock()
	return p.addr
}

func (p *path) Source(netip.AddrPort) netip.AddrPort { return p.LocalAddr() }

// Close frees its addresses; what is under way to it is lost.
func (p *path) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		p.network.mu.Lock()
		defer p.network.mu.Unlock()
		p.network.forget(p)
	})
	return nil
}

// datagram is one under way, or the refusal of one.
type datagram struct {
	due     time.Time
	order   uint64 // among those due at one instant
	from    netip.AddrPort
	data    []byte
	refused bool
}

// queue is a heap of datagrams, the next due first.
type queue []datagram

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(d any)   { *q = append(*q, d.(datagram)) }

func (q queue) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].order < q[j].order
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	*q = (*q)[:last]
	return d
}
