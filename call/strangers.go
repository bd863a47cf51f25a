package call

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"securecall/crypto/zrtp/wire"
)

// What a listener spends on people it does not know.
const (
	maxHalfOpen       = 256 // Hellos that no Commit has followed yet
	maxHalfOpenByAddr = 16  // of them from one network: an IPv4 address, an IPv6 /64
	finiteFieldRate   = 50  // DH2k and DH3k keys made a second

	// Key agreements begun a second that do not become calls, and how many at
	// once: of everybody, and of one network.
	guessRate, guessBurst       = 100, 256
	guessRateOne, guessBurstOne = 2, 16
	guessMemory                 = 10 * time.Minute // for which they are counted
	maxOpenByNetwork            = 2                // of one network that know a SAS and have not taken it
	guessNetworks               = 4096             // of which that is known
)

// network is what one person can have all addresses of: an IPv4 address, or an
// IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // never fails: a has so many bits
	return p
}

// greet makes a call from a stranger's datagram if it is a ZRTP Hello, and
// nil from everything else: nothing but a Hello costs memory. A full house
// drops one of those that have said no more than Hello, whichever chance hits:
// the oldest would be the one that has come furthest.
func (e *Endpoint) greet(d datagram, b []byte) *running {
	if !e.listens() || e.stopping || d.kind != kindZRTP {
		e.drops.add(dropForeign)
		return nil
	}
	p, err := wire.ParsePacket(b)
	if err != nil {
		e.drops.add(dropMalformed)
		return nil
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		e.drops.add(dropMalformed)
		return nil
	}
	hello, ok := m.(*wire.Hello)
	if !ok || e.next.KnownOnly && !e.knows(d.at, hello.ZID) {
		e.drops.add(dropStranger)
		return nil
	}
	e.makeRoom(d.from.Addr())
	c, err := newCallee(e.next, e.ownZID(), e.path, d.from)
	if err != nil {
		e.conf.OnEvent(0, Fault{Err: err})
		return nil
	}
	r := &running{core: c}
	c.admit = func() bool { return e.admit(r) }
	c.peerSSRC = p.SSRC
	e.calls = append(e.calls, r)
	e.locate(r, d.from)
	c.start(d.at)
	return r
}

// makeRoom keeps half-open exchanges within their limits. Those that have come
// to a Commit are bounded by guesses.
func (e *Endpoint) makeRoom(from netip.Addr) {
	var all, same []*running
	for _, r := range e.calls {
		if r.core.phase != agreeing || r.core.session.Begun() {
			continue
		}
		all = append(all, r)
		if network(r.core.remote.Addr()) == network(from) {
			same = append(same, r)
		}
	}
	switch {
	case len(same) >= maxHalfOpenByAddr:
		same[rand.N(len(same))].core.phase = ended
	case len(all) >= maxHalfOpen:
		all[rand.N(len(all))].core.phase = ended
	default:
		return
	}
	e.sweep()
}

// openOf counts the exchanges of a network whose other side knows the SAS and has not
// taken it: of so many it can choose one.
func (e *Endpoint) openOf(n netip.Prefix) (open int) {
	for _, r := range e.calls {
		c := r.core
		if c.phase == agreeing && c.session.Shown() && !c.session.Proven() && network(c.remote.Addr()) == n {
			open++
		}
	}
	return open
}

// Whoever is in the middle can end a key agreement when he knows our part of
// it, and has then seen a SAS that he may like or not. Two words are as many
// as 65,536: at some thousand trials a second he would soon have the ones that
// he needs. guesses bounds the trials and counts them, so that people can be
// told. The bound is not so low that a stranger who writes false addresses
// could easily use it up for everybody. One goroutine, control, owns it.
type guesses struct {
	open  func(netip.Prefix) int // how many of a network know a SAS and have not taken it
	slow  bucket                 // keys that take milliseconds
	begun bucket
	by    map[netip.Prefix]*bucket // of one network
	times []time.Time              // of those that have not become calls, for guessMemory
}

func newGuesses() *guesses {
	return &guesses{
		slow:  bucket{rate: finiteFieldRate, burst: finiteFieldRate},
		begun: bucket{rate: guessRate, burst: guessBurst},
		by:    map[netip.Prefix]*bucket{},
	}
}

// allow is asked before a key is made for somebody whom we did not call.
func (g *guesses) allow(now time.Time, from netip.Addr, finiteField bool) bool {
	n := network(from)
	if g.open != nil && g.open(n) >= maxOpenByNetwork {
		return false
	}
	one := g.by[n]
	if one == nil {
		if len(g.by) >= guessNetworks {
			for old, b := range g.by { // whoever is full again has nothing to lose
				if b.idle(now) || len(g.by) >= guessNetworks {
					delete(g.by, old)
				}
			}
		}
		one = &bucket{rate: guessRateOne, burst: guessBurstOne}
		g.by[n] = one
	}
	if !one.take(now) || finiteField && !g.slow.take(now) || !g.begun.take(now) {
		return false
	}
	g.trim(now)
	g.times = append(g.times, now)
	return true
}

// finished takes one back that has become a call, and returns how many others
// have not.
func (g *guesses) finished(now time.Time, from netip.Addr) int {
	g.trim(now)
	g.begun.give()
	if one := g.by[network(from)]; one != nil {
		one.give()
	}
	if n := len(g.times); n > 0 {
		g.times = g.times[:n-1]
	}
	return len(g.times)
}

func (g *guesses) trim(now time.Time) {
	old := 0
	for old < len(g.times) && now.Sub(g.times[old]) >= guessMemory {
		old++
	}
	g.times = g.times[old:]
}

// A bucket lets rate things a second pass, with a burst.
type bucket struct {
	rate   float64
	burst  float64
	level  float64 // how much has been used
	filled time.Time
}

// give takes one back.
func (b *bucket) give() { b.level = max(0, b.level-1) }

// idle tells whether nothing of it is in use.
func (b *bucket) idle(now time.Time) bool { return b.rate*now.Sub(b.filled).Seconds() >= b.level }

func (b *bucket) take(now time.Time) bool {
	if !b.filled.IsZero() {
		b.level = max(0, b.level-b.rate*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if b.level+1 > b.burst {
		return false
	}
	b.level++
	return true
}
