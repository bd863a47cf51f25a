package punched

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// docs/notes/ice.md says why these.
const (
	checkInterval = 20 * time.Millisecond
	maxChecks     = 1500 // intervals that a pair is tried for: half a minute
	relayWait     = 300 * time.Millisecond

	// Consent is asked for every 4 to 6 s and expires after 30 (RFC 7675,
	// Section 5.1); the library calls the way to that "disconnected", then
	// "failed".
	consentLeast  = 4 * time.Second
	consentSpread = 2 * time.Second
	consentDoubt  = 13 * time.Second
	consentExpiry = 30 * time.Second
)

func (p *Path) newAgent() (*ice.Agent, error) {
	var spread [2]byte
	if _, err := io.ReadFull(p.random, spread[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	consent := consentLeast + consentSpread*time.Duration(binary.BigEndian.Uint16(spread[:]))/0x10000
	agent, err := ice.NewAgentWithOptions(
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithDisableActiveTCP(),
		ice.WithLocalCredentials(p.local.textUfrag(), p.local.textPwd()),
		ice.WithCheckInterval(checkInterval),
		ice.WithMaxBindingRequests(maxChecks),
		ice.WithHostAcceptanceMinWait(0),
		ice.WithSrflxAcceptanceMinWait(0),
		ice.WithPrflxAcceptanceMinWait(0),
		ice.WithRelayAcceptanceMinWait(p.relayWait()),
		ice.WithKeepaliveInterval(consent),
		ice.WithDisconnectedTimeout(consentDoubt),
		ice.WithFailedTimeout(consentExpiry-consentDoubt),
		ice.WithBindingRequestHandler(p.authenticated),
		ice.WithLoggerFactory(logs{p.conf.Log}),
	)
	if err != nil {
		return nil, fmt.Errorf("ICE agent: %w", err)
	}
	// These two only store the function.
	_ = agent.OnSelectedCandidatePairChange(p.selected)
	_ = agent.OnConnectionStateChange(p.state)
	return agent, nil
}

// relayWait is how long a pair with a relay waits for a better one. There is
// none to wait for where no other is allowed.
func (p *Path) relayWait() time.Duration {
	if p.conf.RelayOnly {
		return 0
	}
	return relayWait
}

// addBases gives the agent one candidate of each address family that we have
// host candidates of: the socket. The addresses of the machine, and those that
// NATs give it, have that same base (RFC 8445, Section 5.1.1.2), and checks from
// them would be the same packets. The caller holds mu.
func (p *Path) addBases() error {
	var next bases
	for i, c := range p.local.Candidates {
		base := &next.v4
		if c.Addr.Addr().Is6() {
			base = &next.v6
		}
		if c.Type != Host || *base != nil {
			continue
		}
		*base = newView(carrierFunc(p.send), c.Addr, p.signed, p.unheard)
		if err := p.addView(*base, c, i); err != nil {
			return err
		}
	}
	p.bases.Store(&next)
	return nil
}

type carrierFunc func(b []byte, to netip.AddrPort) error

func (f carrierFunc) send(b []byte, to netip.AddrPort) error { return f(b, to) }

// addView gives the agent a candidate of ours, at index i of the Description.
// The caller holds mu.
func (p *Path) addView(v *view, c Candidate, i int) error {
	candidate, err := agentCandidate(c, i)
	if err != nil {
		return err
	}
	p.views[candidate.ID()] = localView{v, c}
	if err := p.agent.AddVirtualCandidate(candidate, v); err != nil {
		delete(p.views, candidate.ID())
		return fmt.Errorf("ICE agent: %w", err)
	}
	return nil
}

// agentCandidate is a candidate as the library has it; i is its index in the
// Description.
func agentCandidate(c Candidate, i int) (ice.Candidate, error) {
	addr, port, priority := c.Addr.Addr().String(), int(c.Addr.Port()), priority(c.Type, i)
	switch c.Type {
	case Host:
		return ice.NewCandidateHost(&ice.CandidateHostConfig{
			Network: "udp", Address: addr, Port: port, Component: ice.ComponentRTP, Priority: priority,
		})
	case Reflexive:
		return ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{
			Network: "udp", Address: addr, Port: port, Component: ice.ComponentRTP, Priority: priority,
		})
	}
	return ice.NewCandidateRelay(&ice.CandidateRelayConfig{
		Network: "udp", Address: addr, Port: port, Component: ice.ComponentRTP, Priority: priority,
	})
}

// Connect does what Begin does, if that was not done, and waits until there is a
// way, there is none, or ctx ends, which leaves the checks running.
func (p *Path) Connect(ctx context.Context, remote Description) error {
	if err := p.Begin(remote); err != nil {
		return err
	}
	for {
		p.mu.Lock()
		w, failed, shut, news := p.way.Load(), p.failed, p.shut, p.news
		session := p.session
		p.mu.Unlock()
		switch {
		case shut:
			return ErrNoRoute
		case w != nil && w.session == session:
			return nil
		case failed:
			return ErrNoRoute
		}
		select {
		case <-news:
		case <-p.life.Done():
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoRoute, ctx.Err())
		}
	}
}

// Begin begins the checks with what the other side described: for each session
// once, after a Restart with what the other side's Restart returned. More
// candidates of the same session come by Add, or by Begin again.
func (p *Path) Begin(remote Description) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remote != nil {
		if !p.remote.SameSession(remote) {
			return ErrRestart
		}
		p.addRemote(remote)
		return nil
	}
	ufrag, pwd := remote.textUfrag(), remote.textPwd()
	key := stun.NewShortTermIntegrity(pwd)
	p.key.Store(&key)
	var err error
	switch {
	case p.started:
		err = p.agent.SetRemoteCredentials(ufrag, pwd)
	case p.conf.Controlling:
		_, err = p.agent.StartDial(ufrag, pwd)
	default:
		_, err = p.agent.StartAccept(ufrag, pwd)
	}
	if err != nil {
		return fmt.Errorf("ICE agent: %w", err)
	}
	p.started = true
	p.remote = &Description{ufrag: remote.ufrag, pwd: remote.pwd}
	p.addRemote(remote)
	return nil
}

// Add takes further candidates of the session that began. It reports whether they
// are of that session: if not, the peer has restarted, or Begin is still to come.
func (p *Path) Add(remote Description) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remote == nil || !p.remote.SameSession(remote) {
		return false
	}
	p.addRemote(remote)
	return true
}

// addRemote hands the agent those candidates that it does not have. Addresses of
// loopback mean the peer only where we are on loopback ourselves: elsewhere our
// checks would go to programs of this machine. The caller holds mu.
func (p *Path) addRemote(d Description) {
	for i, c := range d.Candidates {
		if c.Addr.Addr().IsLoopback() && !p.onLoopback() || len(p.remote.Candidates) >= maxCandidates || p.remote.has(c.Addr) {
			continue
		}
		candidate, err := agentCandidate(c, i)
		if err != nil {
			continue // of no address that ParseDescription lets through
		}
		p.remote.Candidates = append(p.remote.Candidates, c)
		_ = p.agent.AddRemoteCandidate(candidate)
	}
	h := &heardOf{since: time.Now()}
	if p.hearing != nil {
		h.since = p.hearing.since
	}
	for _, c := range p.remote.Candidates {
		h.addrs = append(h.addrs, c.Addr)
	}
	p.hearing = h
	go p.hears(p.agent, h)

	if w := p.way.Load(); w != nil && w.session == p.session {
		better := *w
		better.route.Kind = kindOf(w.local, p.called(w.route.Remote), w.route.Local.Addr(), w.route.Remote.Addr())
		if better.route != w.route {
			p.set(&better)
		}
	}
}

// hears counts what was told of the peer as heard of once the agent has it: that takes it in by
// goroutines of its own, and a check that overtook them would be from a hole in its eyes.
func (p *Path) hears(agent *ice.Agent, h *heardOf) {
	for range patientTries {
		if known, err := agent.GetRemoteCandidates(); err != nil || h.isIn(known) {
			break
		}
		runtime.Gosched()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hearing == h { // nothing newer, and no other session
		p.heardOf.Store(h)
	}
}

// patientTries is how often the agent is asked: it may never take a candidate.
const patientTries = 1000

func (p *Path) onLoopback() bool {
	if p.conf.RelayOnly {
		return true // no check of ours goes to any address but by a relay
	}
	for _, c := range p.local.Candidates {
		if c.Type == Host && c.Addr.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// Restart begins the next ICE session (RFC 8445, Section 9), because the network
// has changed or the way is lost: with a new name and password, the addresses of
// the machine as they are now, and the same socket and relays. Packets travel on
// by the old way until Connect finds a new one. The other side must restart too,
// and get the Description; Gather, called again, renews what servers say.
func (p *Path) Restart() (Description, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.newSession(); err != nil {
		return Description{}, err
	}
	p.session++
	// It closes the views that the agent has.
	if err := p.agent.Restart(p.local.textUfrag(), p.local.textPwd()); err != nil {
		return Description{}, fmt.Errorf("ICE agent: %w", err)
	}
	if err := p.addBases(); err != nil {
		return Description{}, err
	}
	for _, r := range *p.relays.Load() {
		if r.ready {
			if err := p.offer(r); err != nil {
				return Description{}, err
			}
		}
	}
	return p.local, nil
}

// offer makes a relay a candidate of this session. The caller holds mu.
func (p *Path) offer(r *relay) error {
	c := Candidate{Relay, r.relayed}
	if !p.local.add(c) {
		return nil
	}
	v := newView(r, r.relayed, p.signed, p.unheard)
	r.view.Store(v)
	return p.addView(v, c, len(p.local.Candidates)-1)
}

// authenticated is called by the agent for each request with the right password:
// its sender may send media. It must not select anything, which true would do.
func (p *Path) authenticated(_ *stun.Message, _, remote ice.Candidate, _ *ice.CandidatePair) bool {
	p.admit(addrOf(remote))
	return false
}

// selected is called by the agent, in order, for each pair that it selects.
func (p *Path) selected(local, remote ice.Candidate) {
	to := addrOf(remote)
	p.admit(to)
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.views[local.ID()]
	if !ok { // of an earlier session
		return
	}
	p.set(&way{
		carrier: v.view.carrier,
		session: p.session,
		local:   v.Type,
		route: Route{
			Kind:   kindOf(v.Type, p.called(to), v.Addr.Addr(), to.Addr()),
			Local:  v.Addr,
			Remote: to,
		},
	})
}

// called is what the peer calls an address of its own. One that it has not named is a hole; or its
// checks were quicker than its words, and then addRemote learns better. The caller holds mu.
func (p *Path) called(addr netip.AddrPort) CandidateType {
	if p.remote != nil {
		for _, c := range p.remote.Candidates {
			if c.Addr == addr {
				return c.Type
			}
		}
	}
	return Reflexive
}

// signed tells whether an answer has the peer's password.
func (p *Path) signed(answer []byte) bool {
	m, key := new(stun.Message), p.key.Load()
	return key != nil && stun.Decode(answer, m) == nil && key.Check(m) == nil
}

// unheard tells whether a check comes from a relay of the peer's that we have not
// heard of. The agent would take that address for a hole in a NAT, a better way than
// the direct one that opens at the same time. The check is repeated, and the relay's
// name is on its way; if it is not, the check counts once relayed pairs do. Whoever
// sends us packets can have this asked, so it takes no lock.
func (p *Path) unheard(request []byte, from netip.AddrPort) bool {
	var m stun.Message
	var priority ice.PriorityAttr
	if stun.Decode(request, &m) != nil || priority.GetFrom(&m) != nil || priority>>8&notRelay != 0 {
		return false
	}
	h := p.heardOf.Load()
	return h == nil || time.Since(h.since) < relayWait && !slices.Contains(h.addrs, from)
}

// heardOf is what Candidates a session has of the peer's.
type heardOf struct {
	since time.Time // the session began
	addrs []netip.AddrPort
}

// isIn tells whether the agent has all of them.
func (h *heardOf) isIn(known []ice.Candidate) bool {
	for _, a := range h.addrs {
		if !slices.ContainsFunc(known, func(c ice.Candidate) bool { return addrOf(c) == a }) {
			return false
		}
	}
	return true
}

// state is called by the agent, in order, for each change of its state.
func (p *Path) state(s ice.ConnectionState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s {
	case ice.ConnectionStateFailed:
		p.failed = true
		p.set(nil)
	case ice.ConnectionStateChecking:
		p.failed = false // what came before was of the session before
	}
}

// set makes w the way, and has it told. The caller holds mu.
func (p *Path) set(w *way) {
	if p.shut {
		return
	}
	before := p.Route()
	p.way.Store(w)
	p.changed()
	if after := p.Route(); after != before && p.conf.OnRoute != nil {
		p.later(func() { p.conf.OnRoute(after) })
	}
}

func addrOf(c ice.Candidate) netip.AddrPort {
	addr, err := netip.ParseAddr(c.Address())
	if err != nil || c.Port() < 0 || c.Port() > 0xffff {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(c.Port()))
}
