// Package memnet is a network in memory for tests: datagrams between nat.Paths
// with loss, delay, reordering and repetition, NATs, and somebody in the middle.
//
// It is meant for testing/synctest: a reader waits on channels and timers only,
// and there is no goroutine behind it, so that virtual time advances as soon as
// every end waits. It works in real time too. What happens to a datagram
// depends on the seed, the direction and the number of datagrams sent before in
// that direction, and on nothing else, so that a test that fails fails again.
//
// Unlike real paths these allocate; allocations are measured without them.
package memnet

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"securecall/nat"
)

const (
	maxDatagram = 65507 // bytes; the most that UDP over IPv4 carries
	queueSize   = 1024  // datagrams under way to or waiting at one address
	firstPort   = 49152 // for ports that the network chooses
)

// Conditions are those of one direction between two addresses. The zero value
// delivers everything once, in order and at once.
type Conditions struct {
	Loss      float64       // probability that a datagram is lost, 0 to 1
	Duplicate float64       // probability that it arrives twice, 0 to 1
	Delay     time.Duration // every datagram takes this
	Jitter    time.Duration // and up to this more, evenly spread: what overtakes is reordered
}

// A Tap sees each datagram that is sent, before loss and delay, and returns
// what travels on: b, something else, or nil to drop it. It may change b. It
// runs in the sender's goroutine, so several can be in it at once, and it may
// call the Network's methods.
type Tap func(from, to netip.AddrPort, b []byte) []byte

// Network connects the paths made from it. Its methods may be called from any
// goroutine.
type Network struct {
	seed uint64

	mu         sync.Mutex
	paths      map[netip.AddrPort]*path
	nats       map[netip.Addr]*NAT
	conditions map[direction]Conditions
	chance     map[direction]*rand.Rand
	tap        Tap
	refuse     bool
	port       uint16
	sent       uint64    // orders datagrams that are due at one instant
	routers    []*Router // inner ones first
}

// direction with a zero AddrPort stands for any address there.
type direction struct{ from, to netip.AddrPort }

// New makes a network on which nothing is lost or late.
func New(seed uint64) *Network {
	return &Network{
		seed:       seed,
		paths:      make(map[netip.AddrPort]*path),
		nats:       make(map[netip.Addr]*NAT),
		conditions: make(map[direction]Conditions),
		chance:     make(map[direction]*rand.Rand),
		port:       firstPort,
	}
}

// SetConditions sets those from one address to another, from now on. A zero
// AddrPort is any address. The closest match counts: both addresses, then the
// sender's alone, then the receiver's alone, then those for all.
func (n *Network) SetConditions(from, to netip.AddrPort, c Conditions) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conditions[direction{from, to}] = c
}

// SetTap sets the tap; nil takes it away.
func (n *Network) SetTap(tap Tap) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = tap
}

func (n *Network) currentTap() Tap {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tap
}

// SetRefuse says whether the sender to an address that nobody has is told, by
// nat.ErrRefused after a round trip, or hears nothing (the default).
func (n *Network) SetRefuse(refuse bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = refuse
}

// Inject sends a datagram from any address, past the tap: for attackers, and
// for taps that hold back or repeat.
func (n *Network) Inject(from, to netip.AddrPort, b []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d, ok := n.translate(direction{from, to}); ok {
		n.send(d, b)
	}
}

// Path binds an address; port 0 lets the network choose one. The address must
// be a specific one that no open path of the network has: anything else is a
// mistake in the test, and panics.
func (n *Network) Path(addr netip.AddrPort) nat.Path {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !addr.IsValid() || addr.Addr().IsUnspecified() {
		panic(fmt.Sprintf("memnet: cannot bind %v", addr))
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	for choose := addr.Port() == 0; choose; choose = n.paths[addr] != nil {
		addr = netip.AddrPortFrom(addr.Addr(), n.port)
		n.port = max(n.port+1, firstPort) // wraps
	}
	if n.paths[addr] != nil {
		panic(fmt.Sprintf("memnet: %v is bound already", addr))
	}
	p := &path{
		network: n, addr: addr, called: map[netip.AddrPort]netip.AddrPort{},
		arrived: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	n.paths[addr] = p
	return p
}

// Also gives p another address: what comes there comes to p, and p answers from
// where it was called, as a path to everybody does.
func (n *Network) Also(p nat.Path, addr netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths[addr] = p.(*path)
}

// Move gives p another address in place of all that it has: its machine is in
// another network. What is under way to the old ones is lost.
func (n *Network) Move(p nat.Path, addr netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	moved := p.(*path)
	n.forget(moved)
	n.paths[addr] = moved
	moved.addr, moved.nat = addr, nil
	clear(moved.called)
}

// forget frees the addresses of p. The caller holds n.mu.
func (n *Network) forget(p *path) {
	for addr, has := range n.paths {
		if has == p {
			delete(n.paths, addr)
		}
	}
	p.queue = nil
}

// from is the address that what p sends to somebody leaves from.
func (n *Network) from(p *path, to netip.AddrPort) netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	from, called := p.called[to]
	if !called {
		from = p.addr
	}
	if p.nat != nil {
		return p.nat.out(from, to)
	}
	return from
}

// reach is the path that a datagram comes to; nil: none. The caller holds n.mu.
func (n *Network) reach(d direction) *path {
	if t := n.nats[d.to.Addr()]; t != nil {
		return t.in(d)
	}
	p := n.paths[d.to]
	if p == nil || p.nat != nil {
		return nil
	}
	p.called[d.from] = d.to
	return p
}

// send decides what happens to a datagram. The caller holds n.mu.
func (n *Network) send(d direction, b []byte) {
	c, r := n.conditionsOf(d), n.chanceOf(d)
	// All drawn for every datagram: one more lost leaves the fate of the
	// others as it was.
	lost, twice := r.Float64() < c.Loss, r.Float64() < c.Duplicate
	first, second := c.draw(r), c.draw(r)
	if lost {
		return
	}
	to := n.reach(d)
	if to == nil {
		if sender := n.paths[d.from]; n.refuse && sender != nil {
			back := n.conditionsOf(direction{d.to, d.from})
			n.deliver(sender, datagram{from: d.to, refused: true}, first+back.Delay)
		}
		return
	}
	n.deliver(to, datagram{from: d.from, data: append([]byte(nil), b...)}, first)
	if twice {
		n.deliver(to, datagram{from: d.from, data: append([]byte(nil), b...)}, second)
	}
}

func (c Conditions) draw(r *rand.Rand) time.Duration {
	return c.Delay + time.Duration(r.Float64()*float64(c.Jitter))
}

func (n *Network) deliver(p *path, d datagram, after time.Duration) {
	if len(p.queue) >= queueSize {
		return
	}
	n.sent++
	d.due, d.order = time.Now().Add(after), n.sent
	heap.Push(&p.queue, d)
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

func (n *Network) conditionsOf(d direction) Conditions {
	for _, key := range [...]direction{d, {from: d.from}, {to: d.to}} {
		if c, set := n.conditions[key]; set {
			return c
		}
	}
	return n.conditions[direction{}]
}

// chanceOf is the randomness of one direction.
func (n *Network) chanceOf(d direction) *rand.Rand {
	r := n.chance[d]
	if r == nil {
		h := fnv.New64a()
		fmt.Fprint(h, d.from, d.to)
		r = rand.New(rand.NewPCG(n.seed, h.Sum64()))
		n.chance[d] = r
	}
	return r
}
