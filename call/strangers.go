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
	if m, err := wire.Parse(p.Message); err != nil {
		e.drops.add(dropMalformed)
		return nil
	} else if _, ok := m.(*wire.Hello); !ok {
		e.drops.add(dropStranger)
		return nil
	}
	e.makeRoom(d.from.Addr())
	c, err := newCore(&e.conf, e.zid, e.path.LocalAddr(), d.from, false)
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

// A bucket lets rate things a second pass, with a burst of as many.
type bucket struct {
	rate   float64
	level  float64 // how much has been used
	filled time.Time
}

func (b *bucket) take(now time.Time) bool {
	if !b.filled.IsZero() {
		b.level = max(0, b.level-b.rate*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if b.level+1 > b.rate {
		return false
	}
	b.level++
	return true
}
