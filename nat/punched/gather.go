package punched

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/turn/v5"

	"securecall/nat"
	"securecall/nat/reflexive"
)

const (
	stunPort = 3478 // RFC 8489, Section 18.6; TURN has the same
	tlsPort  = 5349

	// gatherTime is how long one server may take. Who waits for Gather waits for
	// the slowest.
	gatherTime = 5 * time.Second

	familyNotSupported = 440 // RFC 8656, Section 19
)

// Servers takes the place of Config's STUN and TURN, from the next Gather on: new
// credentials, for one. Relays that stand are kept.
func (p *Path) Servers(stun []string, turn []TURN) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conf.STUN, p.conf.TURN = stun, turn
}

// Map makes an address at which a gateway forwards to the socket a candidate, in the
// place of Config's Mapped.
func (p *Path) Map(a netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conf.Mapped = []netip.AddrPort{a}
	if !p.shut && !p.conf.RelayOnly && p.local.add(Candidate{Reflexive, a}) {
		p.tellLocal()
	}
}

// Gather asks all servers at once, and returns when each has answered or will
// not, or ctx ends. What they say is in Local as soon as it is known. The error
// joins a *ServerError for each server that was of no use; the others' candidates
// are there all the same.
func (p *Path) Gather(ctx context.Context) error {
	ctx, cancel := p.living(ctx)
	defer cancel()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed []error
	)
	ask := func(server string, f func(context.Context) error) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, gatherTime)
			defer cancel()
			if err := f(ctx); err != nil {
				if errors.Is(err, context.DeadlineExceeded) {
					err = reflexive.ErrNoAnswer
				}
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, &ServerError{Server: server, Err: err})
			}
		})
	}
	p.mu.Lock()
	stun, turn := p.conf.STUN, p.conf.TURN
	p.mu.Unlock()
	if !p.conf.RelayOnly {
		for _, s := range stun {
			ask(s, func(ctx context.Context) error { return p.gatherReflexive(ctx, s) })
		}
	}
	for _, t := range turn {
		ask(t.Server, func(ctx context.Context) error { return p.gatherRelay(ctx, t) })
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shut {
		p.local.Complete = true
		p.tellLocal()
	}
	return errors.Join(failed...)
}

// tellLocal tells of the Description as it is. The caller holds mu.
func (p *Path) tellLocal() {
	if p.conf.OnLocal != nil {
		d := p.local
		p.later(func() { p.conf.OnLocal(d) })
	}
}

// gatherReflexive asks a STUN server for our address, over each address family
// that it and we have.
func (p *Path) gatherReflexive(ctx context.Context, server string) error {
	addrs, err := nat.Resolve(ctx, server, stunPort)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var errs [2]error
	asked := 0
	for i, v4 := range []bool{true, false} {
		at, ok := p.firstOf(addrs, v4)
		if !ok {
			continue
		}
		asked++
		wg.Go(func() { _, errs[i] = p.askReflexive(ctx, at) })
	}
	wg.Wait()
	if asked == 0 {
		return nat.ErrNoRoute
	}
	if asked == 1 || errs[0] != nil && errs[1] != nil {
		return errors.Join(errs[:]...)
	}
	return nil // one family is enough
}

// askReflexive asks the server at an address, and takes the answer for a
// candidate.
func (p *Path) askReflexive(ctx context.Context, at netip.AddrPort) (netip.AddrPort, error) {
	answer, err := p.path.Ask(ctx, at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if answer.Mapped.Addr().Is4() != at.Addr().Is4() {
		return netip.AddrPort{}, errors.New("the server's answer makes no sense")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.conf.RelayOnly && p.local.add(Candidate{Reflexive, answer.Mapped}) {
		p.tellLocal()
	}
	return answer.Mapped, nil
}

// firstOf is the first address of a family that our socket can reach.
func (p *Path) firstOf(addrs []netip.AddrPort, v4 bool) (netip.AddrPort, bool) {
	for _, h := range p.hosts() {
		if h.Addr().Is4() != v4 {
			continue
		}
		for _, a := range addrs {
			if a.Addr().Is4() == v4 {
				return a, true
			}
		}
	}
	return netip.AddrPort{}, false
}

// gatherRelay has an address allocated, unless there is one that still stands.
func (p *Path) gatherRelay(ctx context.Context, server TURN) error {
	port := uint16(stunPort)
	if server.Transport == TLS {
		port = tlsPort
	}
	addrs, err := nat.Resolve(ctx, server.Server, port)
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(server.Server)
	if err != nil {
		host = strings.Trim(server.Server, "[]")
	}
	if old := p.relayOf(server); old != nil {
		if p.stands(ctx, old) {
			return nil
		}
		old.close()
	}
	err = nat.ErrNoRoute
	for _, v4 := range []bool{true, false} {
		at, ok := p.firstOf(addrs, v4)
		if !ok {
			continue
		}
		if server.Transport == UDP && p.relayAt(at) != nil {
			return errors.New("configured twice")
		}
		if err = p.allocate(ctx, server, host, at); err == nil || errors.Is(err, ErrCredentials) {
			return err
		}
	}
	return err
}

func (p *Path) allocate(ctx context.Context, server TURN, host string, at netip.AddrPort) error {
	var mapped netip.AddrPort
	var asking sync.WaitGroup
	if server.Transport == UDP {
		// Any TURN server answers this too, and it says later on whether the
		// server still sees us where it did.
		asking.Go(func() { mapped, _ = p.askReflexive(ctx, at) })
	}
	r, err := p.newRelay(ctx, server, host, at, turn.RequestedAddressFamilyIPv4)
	var refusal *reflexive.Refusal
	if errors.As(err, &refusal) && refusal.Code == familyNotSupported {
		r, err = p.newRelay(ctx, server, host, at, turn.RequestedAddressFamilyIPv6)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	r.ready = true
	p.keep(r)
	if p.shut {
		p.mu.Unlock()
		r.close()
		return net.ErrClosed
	}
	err = p.offer(r)
	if err == nil {
		p.tellLocal()
	}
	p.mu.Unlock()
	if err != nil {
		r.close()
		return err
	}
	asking.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	r.mapped = mapped
	return nil
}

// relayOf is our relay at a server.
func (p *Path) relayOf(server TURN) *relay {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range *p.relays.Load() {
		if r.ready && r.server.Server == server.Server && r.server.Transport == server.Transport {
			return r
		}
	}
	return nil
}

// stands reports whether the server still knows us: an allocation belongs to the
// address that it was made from (RFC 8656, Section 3.2).
func (p *Path) stands(ctx context.Context, r *relay) bool {
	if r.gone.Load() {
		return false
	}
	if r.stream != nil {
		local, ok := r.stream.LocalAddr().(*net.TCPAddr)
		if !ok {
			return false
		}
		addr := local.AddrPort().Addr().Unmap()
		for _, h := range p.hosts() {
			if h.Addr() == addr {
				return true
			}
		}
		return addr.IsLoopback()
	}
	mapped, err := p.askReflexive(ctx, r.at)
	if err != nil {
		return false
	}
	p.mu.Lock()
	moved := mapped != r.mapped
	p.mu.Unlock()
	return !moved && r.known(ctx)
}
