// Package mapping asks gateways to forward a UDP port to this machine: by PCP
// (RFC 6887), NAT-PMP (RFC 6886) and UPnP's Internet Gateway Device, all three at
// once, since no machine knows what its router speaks. What is mapped is renewed
// until it is given back.
//
// IPv4 only: with IPv6 there is no address to be told, and what firewalls let in
// is for ICE to find out. Left out of PCP: all opcodes but MAP, all options,
// announcements; of UPnP: events.
//
// Nothing is sent before Open. A gateway is whoever the routing table says it is:
// answers from others are not heard, and what it grants is taken within bounds.
// The package opens sockets and starts goroutines.
package mapping

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// lifetime is what is asked for: if this machine goes away without giving the
	// mapping back, it is gone soon enough.
	lifetime = 20 * time.Minute

	// What is granted counts as at least and at most that much: a gateway that
	// says less does not have us ask all the time, and one that says more may
	// have restarted since.
	leastGrant = time.Minute
	mostGrant  = time.Hour

	retryAfter   = 10 * time.Second // a renewal that failed
	giveBackTime = 2 * time.Second
	giveUpAfter  = 5 * time.Second // Open
	settleTime   = 500 * time.Millisecond
)

// ErrNoGateway is what Open's error is where no gateway maps the port.
var ErrNoGateway = errors.New("no gateway maps ports")

// Protocol is what the gateway speaks.
type Protocol string

const (
	PCP    Protocol = "PCP"
	NATPMP Protocol = "NAT-PMP"
	UPnP   Protocol = "UPnP"
)

// A Mapping is an address that a gateway forwards to the port. It is not valid
// when the mapping was lost.
type Mapping struct {
	External netip.AddrPort // may be private, where there is another NAT beyond
	By       Protocol
}

// Config is what Open needs.
type Config struct {
	// Local is the port to map; with an unspecified address, at that of this
	// machine which the gateway sees.
	Local netip.AddrPort
	// Gateways to ask; nil: the system's default ones.
	Gateways []netip.Addr
	// Protocols to try; nil: all.
	Protocols []Protocol
	// OnChange is told when the mapping moves or is lost after Open returned. It
	// must not wait, or close the Port.
	OnChange func(Mapping)
	Rand     io.Reader // nil: crypto/rand's
}

// A gateway is a router in one protocol.
type gateway interface {
	// find finds out whether it is there and speaks the protocol, and changes
	// nothing.
	find(ctx context.Context) error
	// ask maps the port, anew or again, or with no lifetime no longer.
	ask(ctx context.Context, lifetime time.Duration) (grant, error)
	protocol() Protocol
}

type grant struct {
	external netip.AddrPort
	lifetime time.Duration
}

// check puts the lifetime between bounds; an address that nobody reaches is an
// error.
func (g grant) check() (grant, error) {
	a := g.external.Addr()
	if g.external.Port() == 0 || !a.Is4() || !a.IsGlobalUnicast() {
		return grant{}, fmt.Errorf("the gateway gave an address that is nobody's: %v", g.external)
	}
	g.lifetime = min(max(g.lifetime, leastGrant), mostGrant)
	return g, nil
}

// A Port is one that a gateway forwards.
type Port struct {
	gateway gateway
	tell    func(Mapping)

	mu      sync.Mutex
	mapping Mapping

	stop    context.CancelFunc
	closing sync.Once
	workers sync.WaitGroup
}

// Open looks for all gateways in all protocols at once, within five seconds, and
// has the port mapped by the first of those found that does it: by PCP rather
// than NAT-PMP, which is older, rather than UPnP, which anybody on the network
// can be asked in. Only one is asked to, since a router takes what one protocol
// gives back for what another one mapped. The error is ErrNoGateway, wrapped,
// with what each said.
func Open(ctx context.Context, c Config) (*Port, error) {
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	addrs := c.Gateways
	if addrs == nil {
		addrs = defaultGateways()
	}
	var all []gateway // the preferred ones first
	for _, a := range addrs {
		p, err := newPCP(c.Rand, netip.AddrPortFrom(a, pcpPort), c.Local)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	for _, a := range addrs {
		all = append(all, &natPMP{server: a, port: c.Local.Port()})
	}
	for _, a := range addrs {
		all = append(all, &upnp{server: a, local: c.Local})
	}
	if c.Protocols != nil {
		all = slices.DeleteFunc(all, func(g gateway) bool { return !slices.Contains(c.Protocols, g.protocol()) })
	}
	return open(ctx, all, c.OnChange)
}

func open(ctx context.Context, all []gateway, tell func(Mapping)) (*Port, error) {
	ctx, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()
	found, errs := find(ctx, all)
	for i, g := range all {
		if !found[i] {
			continue
		}
		got, err := g.ask(ctx, lifetime)
		if err == nil {
			got, err = got.check()
			if err != nil {
				giveBack(g)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.protocol(), err))
			continue
		}
		p := &Port{gateway: g, tell: tell, mapping: Mapping{got.external, g.protocol()}}
		var life context.Context
		life, p.stop = context.WithCancel(context.Background())
		p.workers.Go(func() { p.keep(life, got) })
		return p, nil
	}
	return nil, errors.Join(append([]error{ErrNoGateway}, errs...)...)
}

// find looks for all gateways at once: until all have answered, the preferred
// one has, or some time has passed since any has.
func find(ctx context.Context, all []gateway) (found []bool, errs []error) {
	type answer struct {
		i   int
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found = make([]bool, len(all))
	answers := make(chan answer, len(all))
	for i, g := range all {
		go func() { answers <- answer{i, g.find(ctx)} }()
	}
	var settled <-chan time.Time
	for range all {
		select {
		case a := <-answers:
			if a.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", all[a.i].protocol(), a.err))
				continue
			}
			found[a.i] = true
			if a.i == 0 {
				return found, errs
			}
			if settled == nil {
				settled = time.After(settleTime)
			}
		case <-settled:
			return found, errs
		}
	}
	return found, errs
}

// Mapping is what the gateway forwards now.
func (p *Port) Mapping() Mapping {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mapping
}

// Close gives the mapping back, if the gateway answers within two seconds.
func (p *Port) Close() error {
	p.closing.Do(func() {
		p.stop()
		p.workers.Wait()
		giveBack(p.gateway)
	})
	return nil
}

func giveBack(g gateway) {
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	_, _ = g.ask(ctx, 0)
}

// keep renews the mapping at half of its life (RFC 6887, Section 11.2.1), and
// more often when that fails.
func (p *Port) keep(ctx context.Context, got grant) {
	granted := time.Now()
	wait := got.lifetime / 2
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		asking, cancel := context.WithTimeout(ctx, giveUpAfter)
		next, err := p.gateway.ask(asking, lifetime)
		cancel()
		if err == nil {
			next, err = next.check()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			got, granted = next, time.Now()
			wait = got.lifetime / 2
			p.set(Mapping{got.external, p.gateway.protocol()})
		default:
			wait = retryAfter
			if time.Since(granted) >= got.lifetime {
				wait = leastGrant
				p.set(Mapping{})
			}
		}
	}
}

func (p *Port) set(m Mapping) {
	p.mu.Lock()
	changed := m != p.mapping
	p.mapping = m
	p.mu.Unlock()
	if changed && p.tell != nil {
		p.tell(m)
	}
}
