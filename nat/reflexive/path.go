// Package reflexive finds out how others see this machine: the address that a
// NAT gives to a socket (RFC 8489), and what kind of NAT it is (RFC 5780).
//
// It asks over the very path that a call uses: a Path is a nat.Path that keeps
// back the answers to its own questions. Everything else, other STUN too, comes
// out of ReadPacket as before. Left out of RFC 8489: all but the Binding method
// over UDP, and authentication, which no public server wants for it.
//
// Nothing is sent unless somebody asks. The package starts no goroutine.
package reflexive

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"securecall/nat"
)

// A Path asks STUN servers over the nat.Path within. It is used like that one;
// questions may be put from any goroutine, and are answered only while somebody
// reads.
type Path struct {
	nat.Path
	random io.Reader

	open  atomic.Int32 // questions; 0: packets are not looked at
	mu    sync.Mutex   // guards random, and the queries of asked
	asked map[*asking]struct{}
}

type asking struct {
	query *Query
	moved chan struct{} // the query took a datagram
}

// New makes a Path of one that nobody reads yet. Transactions are numbered from
// random.
func New(path nat.Path, random io.Reader) *Path {
	return &Path{Path: path, random: random, asked: make(map[*asking]struct{})}
}

// ReadPacket is the path's, less the answers to our questions.
func (p *Path) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := p.Path.ReadPacket(b)
		if err == nil && p.open.Load() > 0 && n >= headerSize && b[0] <= 3 && p.take(from, b[:n]) {
			continue
		}
		return n, from, err
	}
}

func (p *Path) take(from netip.AddrPort, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.asked {
		if a.query.Receive(from, b) {
			select {
			case a.moved <- struct{}{}:
			default:
			}
			return true
		}
	}
	return false
}

// Ask asks server for our address. The error is ErrNoAnswer after half a minute,
// a *Refusal, or the context's.
func (p *Path) Ask(ctx context.Context, server netip.AddrPort) (Answer, error) {
	return p.ask(ctx, server, server, Change{}, maxRequests)
}

func (p *Path) ask(ctx context.Context, server, source netip.AddrPort, change Change, requests int) (Answer, error) {
	p.mu.Lock()
	q, err := NewQuery(p.random, server, source, change)
	if err != nil {
		p.mu.Unlock()
		return Answer{}, err
	}
	q.requests = requests
	a := &asking{query: q, moved: make(chan struct{}, 1)}
	p.asked[a] = struct{}{}
	q.Start(time.Now())
	p.mu.Unlock()
	p.open.Add(1)
	defer func() {
		p.open.Add(-1)
		p.mu.Lock()
		delete(p.asked, a)
		p.mu.Unlock()
	}()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		p.mu.Lock()
		request, due := q.NextPacket()
		answer, err, done := q.Result()
		deadline := q.Deadline()
		p.mu.Unlock()
		if done {
			return answer, err
		}
		if due {
			// A failure is a lost request: the next one may find the network up.
			_ = p.WritePacket(request, server)
		}
		timer.Reset(time.Until(deadline))
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-a.moved:
		case <-timer.C:
			p.mu.Lock()
			q.Advance(time.Now())
			p.mu.Unlock()
		}
	}
}
