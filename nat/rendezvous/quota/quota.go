// Package quota bounds what one network, and what everybody together, may have
// of something: so many at once (Hold), or so many in a time (Take). It
// has no goroutine and no clock; the time is an argument. A Table may be used
// by any goroutine.
package quota

import (
	"net/netip"
	"sync"
	"time"
)

// Network is what one person can have all addresses of: an IPv4 address, or an
// IPv6 /64. What is no address is the zero Prefix, a network like any other.
func Network(a netip.Addr) netip.Prefix {
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for the zero Addr only
	return p
}

// A Rate lets Burst through at once, and then one each Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// A Bucket counts what has passed at a Rate. It is the time at which it will be
// empty (the "generic cell rate algorithm"): one word where a level
// and its time would be two. Its zero value is empty.
type Bucket struct{ empty time.Time }

// Take takes n, or nothing and returns false if that would be too many.
func (b *Bucket) Take(now time.Time, r Rate, n int) bool {
	empty := b.empty
	if empty.Before(now) {
		empty = now
	}
	empty = empty.Add(time.Duration(n) * r.Every)
	if empty.Sub(now) > time.Duration(r.Burst)*r.Every {
		return false
	}
	b.empty = empty
	return true
}

// Give gives n back.
func (b *Bucket) Give(r Rate, n int) { b.empty = b.empty.Add(-time.Duration(n) * r.Every) }

// Idle tells whether it is as good as new.
func (b *Bucket) Idle(now time.Time) bool { return !b.empty.After(now) }

// A Kind is one of the things that a Table counts, from 0.
type Kind int

// tableSize is how many networks a Table knows at once: some 10 MB. All that
// come when it is full share the allowance of one.
const tableSize = 1 << 16

// A Table counts, for each network, several kinds of things.
type Table struct {
	rates []Rate // by Kind; zero for those that are held
	most  []int  // by Kind; zero for those that are taken

	mu     sync.Mutex
	by     map[netip.Prefix]*source
	others source // all that the table has no room for
	swept  time.Time
}

type source struct {
	buckets []Bucket
	held    []int
}

// NewTable makes a Table in which a kind is bounded by its rate or by how many
// may be held at once.
func NewTable(rates []Rate, most []int) *Table {
	t := &Table{rates: rates, most: most, by: map[netip.Prefix]*source{}}
	t.others = t.source()
	return t
}

func (t *Table) source() source {
	return source{buckets: make([]Bucket, len(t.rates)), held: make([]int, len(t.most))}
}

// Take takes one of kind for the network of a, or returns false.
func (t *Table) Take(now time.Time, k Kind, a netip.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(now, a).buckets[k].Take(now, t.rates[k], 1)
}

// Give gives back what Take took.
func (t *Table) Give(k Kind, a netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.by[Network(a)]; s != nil {
		s.buckets[k].Give(t.rates[k], 1)
	}
}

// Hold takes one of kind until Release is called, or returns nil.
func (t *Table) Hold(now time.Time, k Kind, a netip.Addr) (release func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(now, a)
	if s.held[k] >= t.most[k] {
		return nil
	}
	s.held[k]++
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.held[k]--
	})
}

func (t *Table) find(now time.Time, a netip.Addr) *source {
	n := Network(a)
	if s := t.by[n]; s != nil {
		return s
	}
	if len(t.by) >= tableSize {
		t.sweep(now)
		if len(t.by) >= tableSize {
			return &t.others
		}
	}
	s := t.source()
	t.by[n] = &s
	return &s
}

// sweep forgets the networks that have nothing to lose, once a second at most:
// whoever comes from ever new addresses shall not make us search for long.
func (t *Table) sweep(now time.Time) {
	if now.Sub(t.swept) < time.Second {
		return
	}
	t.swept = now
	for n, s := range t.by {
		if s.idle(now) {
			delete(t.by, n)
		}
	}
}

func (s *source) idle(now time.Time) bool {
	for i := range s.buckets {
		if !s.buckets[i].Idle(now) {
			return false
		}
	}
	for _, n := range s.held {
		if n > 0 {
			return false
		}
	}
	return true
}
