package call

import (
	"net/netip"
	"time"

	"securecall/crypto/zrtp/wire"
)

// What a listener spends on people it does not know.
const (
	maxHalfOpen       = 64 // exchanges that have not proved themselves yet
	maxHalfOpenByAddr = 4  // of them from one IP address
	finiteFieldRate   = 50 // DH2k and DH3k keys made a second
	guessRate         = 10 // key agreements begun a second that do not become calls
	guessBurst        = 64
	guessMemory       = 10 * time.Minute // for which they are counted
)

// greet makes a call from a stranger's datagram if it is a ZRTP Hello, and
// nil from everything else: nothing but a Hello costs memory. A full house
// drops its oldest half-open exchange.
func (e *Endpoint) greet(d datagram, b []byte) *running {
	if e.peer.IsValid() || e.stopping || d.kind != kindZRTP {
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
	if !ok || e.conf.KnownOnly && !e.knows(d.at, hello.ZID) {
		e.drops.add(dropStranger)
		return nil
	}
	e.makeRoom(d.from.Addr())
	c, err := newCore(&e.conf, e.ownZID(), e.path.LocalAddr(), d.from, false)
	if err != nil {
		e.conf.OnEvent(0, Fault{Err: err})
		return nil
	}
	r := &running{core: c}
	c.admit = func() bool { return e.admit(r) }
	c.peerSSRC = p.SSRC
	e.calls = append(e.calls, r)
	c.start(d.at)
	return r
}

// makeRoom keeps half-open exchanges within their limits.
func (e *Endpoint) makeRoom(from netip.Addr) {
	var all, same int
	var oldest, oldestSame *running
	for _, r := range e.calls { // in the order of their arrival
		if r.core.phase != agreeing {
			continue
		}
		all++
		if oldest == nil {
			oldest = r
		}
		if r.core.remote.Addr() == from {
			same++
			if oldestSame == nil {
				oldestSame = r
			}
		}
	}
	switch {
	case same >= maxHalfOpenByAddr:
		oldestSame.core.phase = ended
	case all >= maxHalfOpen:
		oldest.core.phase = ended
	default:
		return
	}
	e.sweep()
}

// Whoever is in the middle can end a key agreement when he knows our part of
// it, and has then seen a SAS that he may like or not. Two words are as many
// as 65,536: at some thousand trials a second he would soon have the ones that
// he needs. guesses bounds the trials and counts them, so that people can be
// told. One goroutine, control, owns it.
type guesses struct {
	slow  bucket // keys that take milliseconds
	begun bucket
	times []time.Time // of those that have not become calls, for guessMemory
}

func newGuesses() *guesses {
	return &guesses{slow: bucket{rate: finiteFieldRate, burst: finiteFieldRate}, begun: bucket{rate: guessRate, burst: guessBurst}}
}

// allow is asked before a key is made for somebody whom we did not call.
func (g *guesses) allow(now time.Time, finiteField bool) bool {
	if finiteField && !g.slow.take(now) || !g.begun.take(now) {
		return false
	}
	g.trim(now)
	g.times = append(g.times, now)
	return true
}

// finished takes one back that has become a call, and returns how many others
// have not.
func (g *guesses) finished(now time.Time) int {
	g.trim(now)
	g.begun.level = max(0, g.begun.level-1)
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
