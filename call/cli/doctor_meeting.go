package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"securecall/call"
	"securecall/nat"
	"securecall/nat/punched"
	"securecall/nat/reflexive"
	"securecall/nat/rendezvous"
)

// natTime is what a NAT's behaviour takes to be seen: silence, three times, of 3.5 s each.
const natTime = 15 * time.Second

// meeting tries the meeting point, and all that it names.
func (d *checkup) meeting() error {
	if d.via == nil {
		return nil
	}
	var relays []rendezvous.Relay
	var k check
	if err := d.during(d.via.String(), func(ctx context.Context) { relays, k = d.meet(ctx) }); err != nil {
		return err
	}
	if d.tell(k); k.status != 0 {
		return nil
	}
	if len(relays) == 0 {
		d.tell(prospects{}.check())
		return nil
	}
	var seen []sighting
	var by [2]check
	if err := d.during("STUN and the relay", func(ctx context.Context) {
		var all sync.WaitGroup
		all.Go(func() { seen = d.ask(ctx, relays) })
		for i, t := range []punched.Transport{punched.UDP, punched.TCP} {
			all.Go(func() { by[i] = d.allocate(ctx, relays, t) })
		}
		all.Wait()
	}); err != nil {
		return err
	}
	var p prospects
	if err := d.sight(seen, &p); err != nil {
		return err
	}
	p.relay = [2]bool{by[0].status == 0, by[1].status == 0}
	for i := range by {
		if p.relay[0] || p.relay[1] { // one is enough
			by[i].doubt, by[i].status = by[i].doubt || by[i].status != 0, 0
		}
	}
	d.tell(by[:]...)
	d.tell(p.check())
	return nil
}

// meet lets two meet at the meeting point, both of them us, and so learns what others are told.
// It takes no number, and so none away.
func (d *checkup) meet(ctx context.Context) ([]rendezvous.Relay, check) {
	const label = "meeting point"
	began := time.Now()
	client, err := rendezvous.Dial(ctx, *d.via, rendezvous.Options{})
	if err != nil {
		return nil, serverFailure(label, d.silent(ctx, err))
	}
	defer client.Close()
	took := time.Since(began)
	d.ahead, d.dated = client.ClockAhead()
	var name rendezvous.Name
	_, _ = rand.Read(name[:]) // never fails
	if err := client.Wait(ctx, name); err != nil {
		return nil, serverFailure(label, d.silent(ctx, err))
	}
	session, err := client.JoinName(ctx, name)
	if err != nil {
		return nil, serverFailure(label, d.silent(ctx, err))
	}
	trust := "its certificate is trusted"
	if d.via.Plain {
		trust = "without TLS: who meets whom can be read on the way"
	}
	return session.Relays, check{label: label, what: fmt.Sprintf("%v answers in %d ms; %s", *d.via, took.Milliseconds(), trust)}
}

// silent is err or, where the time was over, that.
func (d *checkup) silent(ctx context.Context, err error) error {
	var server *rendezvous.ServerError
	if errors.As(err, &server) {
		return err
	}
	kind := rendezvous.ErrUnreachable
	if ctx.Err() == nil {
		kind = rendezvous.ErrRefused
	}
	return &rendezvous.ServerError{Server: d.via.String(), Kind: kind, Err: late(ctx, err)}
}

// hostPort is a relay's address, for others than people.
func hostPort(r rendezvous.Relay) string { return net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port))) }

// anyPort is a socket at the address of --bind, of which a NAT knows nothing yet.
func (d *checkup) anyPort(ctx context.Context) (nat.Path, error) {
	return nat.Listen(ctx, netip.AddrPortFrom(d.bind.Addr(), 0))
}

// A sighting is how a STUN server sees a socket of ours, or why it does not.
type sighting struct {
	server string
	at     netip.AddrPort // of the server; not valid: it has no address that we reach
	local  netip.Addr     // ours towards it
	mapped netip.AddrPort
	other  netip.AddrPort // where else it answers (RFC 5780, Section 7.4); not valid: nowhere
	took   time.Duration
	err    error
}

// sight tells where the relays see us, and has one that has two addresses show what kind of
// NAT is between.
func (d *checkup) sight(seen []sighting, p *prospects) error {
	d.tell(udpCheck(seen))
	for _, s := range seen {
		if s.err == nil {
			p.udp = true
			if s.mapped.Addr().Is4() && !d.outside.IsValid() {
				d.outside = s.mapped.Addr()
			}
		}
	}
	if !p.udp {
		return nil
	}
	b := reflexive.Behaviour{Mapping: mappingOf(seen)}
	for _, s := range seen {
		if s.err != nil || !s.other.IsValid() {
			continue
		}
		ctx, cancel := context.WithTimeout(d.ctx, natTime)
		var whole reflexive.Behaviour
		var err error
		stopped := d.watch(ctx, "the NAT, to see what it lets in", func(ctx context.Context) { whole, err = d.discover(ctx, s.at) })
		cancel()
		if stopped != nil {
			return stopped
		}
		if err == nil {
			b = whole
			break
		}
	}
	k, natted := natCheck(seen, b)
	p.nat, p.mapping = natted, b.Mapping
	d.tell(k)
	return nil
}

// asking opens a socket to ask from, which is read until it is closed.
func (d *checkup) asking(ctx context.Context) (*reflexive.Path, error) {
	socket, err := d.anyPort(ctx)
	if err != nil {
		return nil, err
	}
	path := reflexive.New(socket, rand.Reader)
	go func() {
		var b [1500]byte
		for {
			if _, _, err := path.ReadPacket(b[:]); err != nil && !errors.Is(err, nat.ErrRefused) {
				return
			}
		}
	}()
	return path, nil
}

func (d *checkup) discover(ctx context.Context, server netip.AddrPort) (reflexive.Behaviour, error) {
	path, err := d.asking(ctx)
	if err != nil {
		return reflexive.Behaviour{}, err
	}
	defer path.Close()
	return path.Discover(ctx, server)
}

// ask asks all servers from one socket, each over both families if it can be reached so.
func (d *checkup) ask(ctx context.Context, relays []rendezvous.Relay) (seen []sighting) {
	path, err := d.asking(ctx)
	if err != nil {
		return []sighting{{server: "this machine", err: err}}
	}
	defer path.Close()
	var mu sync.Mutex
	var all sync.WaitGroup
	tell := func(s sighting) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, s)
	}
	for _, r := range relays {
		all.Go(func() {
			addrs, err := nat.Resolve(ctx, hostPort(r), r.Port)
			if err != nil {
				tell(sighting{server: hostPort(r), err: err})
				return
			}
			asked := map[bool]bool{}
			for _, at := range addrs {
				if v4 := at.Addr().Is4(); !asked[v4] && reaches(path, at) {
					asked[v4] = true
					all.Go(func() { tell(askOne(ctx, path, hostPort(r), at)) })
				}
			}
			if len(asked) == 0 {
				tell(sighting{server: hostPort(r), err: nat.ErrNoRoute})
			}
		})
	}
	all.Wait()
	return seen
}

func askOne(ctx context.Context, path *reflexive.Path, server string, at netip.AddrPort) sighting {
	began := time.Now()
	a, err := path.Ask(ctx, at)
	return sighting{
		server: server, at: at, local: path.Source(at).Addr(),
		mapped: a.Mapped, other: a.Other, took: time.Since(began), err: late(ctx, err),
	}
}

// udpCheck is about whether UDP comes and goes.
func udpCheck(seen []sighting) check {
	k := check{label: "UDP"}
	var from, failed []string
	var first error
	known := map[netip.AddrPort]bool{}
	for _, s := range seen {
		if s.err != nil {
			if !slices.Contains(failed, s.server) {
				failed = append(failed, s.server)
			}
			if first == nil {
				first = s.err
			}
		} else if !known[s.mapped] {
			known[s.mapped] = true
			from = append(from, fmt.Sprintf("%v (in %d ms)", s.mapped, s.took.Milliseconds()))
		}
	}
	switch {
	case len(from) == 0:
		k.doubt = true
		k.what = fmt.Sprintf("nothing comes back from %s: %v", strings.Join(failed, ", "), oneLine(first))
		k.hint = "a firewall here lets no UDP out, or one there none in: calls have to go over the relay by TCP, with more delay"
	case len(failed) > 0:
		k.doubt = true
		k.what = fmt.Sprintf("seen from outside as %s; but nothing comes back from %s: %v", strings.Join(from, ", "), strings.Join(failed, ", "), oneLine(first))
		k.hint = "tell whoever runs the meeting point, if it goes on: one of its relays, or one family, is of no use"
	default:
		k.what = "seen from outside as " + strings.Join(from, ", ")
	}
	return k
}

// oneLine is the first of several joined errors.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// mappingOf is what several servers tell together of a NAT's mapping (RFC 4787, Section 4.1): they
// have been asked from one socket.
func mappingOf(seen []sighting) (m reflexive.Dependence) {
	for i, a := range seen {
		for _, b := range seen[i+1:] {
			switch {
			case a.err != nil || b.err != nil || a.at == b.at || a.at.Addr().Is4() != b.at.Addr().Is4():
			case a.mapped != b.mapped:
				return reflexive.AddressAndPortDependent // or by the address alone, which is no better
			case a.at.Addr() != b.at.Addr():
				m = reflexive.EndpointIndependent
			}
		}
	}
	return m
}

// natCheck says what kind of NAT there is, and whether there is one; b is what is known of it.
func natCheck(seen []sighting, b reflexive.Behaviour) (k check, natted bool) {
	k = check{label: "NAT"}
	for _, s := range seen {
		natted = natted || s.err == nil && s.mapped.Addr() != s.local
	}
	if !natted {
		k.what = "none: this machine has the address by which it is seen"
		return k, false
	}
	mapping := map[reflexive.Dependence]string{
		reflexive.Unknown:                 "cannot be told: the server has one address",
		reflexive.EndpointIndependent:     "endpoint-independent: the same port for all",
		reflexive.AddressDependent:        "address-dependent: another port for each other side",
		reflexive.AddressAndPortDependent: "address-and-port-dependent: another port for each other side",
	}[b.Mapping]
	k.what = "there is one; mapping " + mapping
	if b.Mapping != reflexive.Unknown || b.Filtering != reflexive.Unknown {
		k.what += "; filtering " + map[reflexive.Dependence]string{
			reflexive.Unknown:                 "cannot be told",
			reflexive.EndpointIndependent:     "endpoint-independent: everybody is let in",
			reflexive.AddressDependent:        "address-dependent: who was sent something is let in",
			reflexive.AddressAndPortDependent: "address-and-port-dependent: who was sent something is let in, from there alone",
		}[b.Filtering]
	}
	if b.Mapping > reflexive.EndpointIndependent {
		k.doubt = true
		k.hint = "have the router forward a port (--map, or by hand), or leave it to the relay"
	}
	return k, true
}

// allocate has the relays give an address each over one transport, and gives those back.
func (d *checkup) allocate(ctx context.Context, relays []rendezvous.Relay, t punched.Transport) check {
	k := check{label: "relay by " + t.String()}
	socket, err := d.anyPort(ctx)
	if err != nil {
		return failure(k.label, err)
	}
	conf := punched.Config{Path: socket, RelayOnly: true}
	for _, r := range relays {
		conf.TURN = append(conf.TURN, punched.TURN{Server: hostPort(r), Transport: t, Username: r.Username, Password: r.Password})
	}
	path, err := punched.New(conf)
	if err != nil {
		return failure(k.label, err)
	}
	defer path.Close()
	err = path.Gather(ctx)
	var given []string
	for _, c := range path.Local().Candidates {
		given = append(given, c.Addr.String())
	}
	hint := "is TURN open there, and does a firewall here or there let it through? tell whoever runs the meeting point"
	if errors.Is(err, punched.ErrCredentials) {
		hint = "the meeting point and that relay do not have the same secret: tell whoever runs them"
	}
	switch {
	case len(given) == 0:
		k.what, k.hint, k.status = oneLine(err), hint, int(call.ReasonServer)
	case err != nil:
		k.what, k.hint, k.doubt = fmt.Sprintf("lends us %s; but %s", strings.Join(given, ", "), oneLine(err)), hint, true
	default:
		k.what = "lends us " + strings.Join(given, ", ")
	}
	return k
}

// prospects are what is known about the ways of a call by a code.
type prospects struct {
	udp     bool // something came back
	nat     bool
	mapping reflexive.Dependence
	relay   [2]bool // by UDP, by TCP
}

// check says what follows.
func (p prospects) check() check {
	k := check{label: "calls by code"}
	relay := p.relay[0] || p.relay[1]
	switch {
	case !p.udp && relay:
		k.what = "go over the relay"
		if !p.relay[0] {
			k.what += ", by TCP"
		}
		return k
	case !p.udp:
		k.doubt = true
		k.what = "go directly, or not at all: the meeting point has no STUN and no relay that we reach"
		k.hint = "within one network they work; for others have the meeting point's STUN and TURN opened, or take another one"
		return k
	case !p.nat:
		k.what = "go directly, where a firewall here lets them"
	case p.mapping == reflexive.EndpointIndependent:
		k.what = "go directly to nearly everybody"
	case p.mapping == reflexive.Unknown:
		k.what = "go directly where the NATs of both sides let them"
	default:
		k.what = "go directly only to those whose NAT lets everybody in, or who have none"
	}
	if relay {
		k.what += ", and else over the relay"
		return k
	}
	k.doubt = true
	k.what += ", and else not at all: there is no relay that we reach"
	k.hint = "have the meeting point's TURN opened, or take another one"
	return k
}
