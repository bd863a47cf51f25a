package memnet

import "net/netip"

// Dependence is on what of the other end a NAT's mapping or filtering depends
// (RFC 4787, Sections 4.1 and 5).
type Dependence uint8

const (
	EndpointIndependent Dependence = iota
	AddressDependent
	AddressAndPortDependent
)

// A Router is a NAT by prefixes, of every kind of mapping too: it stands between a
// private network and the rest, or another NAT's private
// network. Mappings do not expire. It numbers ports from 40001 on.
type Router struct {
	Public    netip.Addr
	Inside    netip.Prefix
	Mapping   Dependence
	Filtering Dependence
	Hairpin   bool // packets from inside to Public come back in

	next  uint16
	ports map[mappingKey]uint16
	holes map[uint16]*hole
}

// mappingKey is an inside address with as much of the other end as the mapping
// depends on.
type mappingKey struct{ inside, other netip.AddrPort }

type hole struct {
	inside netip.AddrPort
	let    map[netip.AddrPort]bool // as much of the other end as filtering depends on
}

// AddRouter puts a NAT into the network, a NAT behind another one before that. From
// then on nothing reaches an address
// inside but by it.
func (n *Network) AddRouter(nat Router) {
	n.mu.Lock()
	defer n.mu.Unlock()
	nat.next = 40000
	nat.ports, nat.holes = make(map[mappingKey]uint16), make(map[uint16]*hole)
	n.routers = append(n.routers, &nat)
}

// Forget has all NATs lose their mappings, as a restarted router does. New ones
// get other ports.
func (n *Network) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, nat := range n.routers {
		nat.ports, nat.holes = make(map[mappingKey]uint16), make(map[uint16]*hole)
	}
}

func (d Dependence) key(a netip.AddrPort) netip.AddrPort {
	switch d {
	case EndpointIndependent:
		return netip.AddrPort{}
	case AddressDependent:
		return netip.AddrPortFrom(a.Addr(), 0)
	}
	return a
}

// translate takes a datagram through the NATs on its way. The caller holds n.mu.
func (n *Network) translate(d direction) (direction, bool) {
	for _, nat := range n.routers { // inner ones come first
		if !nat.Inside.Contains(d.from.Addr()) || nat.Inside.Contains(d.to.Addr()) {
			if nat.Inside.Contains(d.to.Addr()) && !nat.Inside.Contains(d.from.Addr()) {
				return d, false // no such address out here
			}
			continue
		}
		if d.to.Addr() == nat.Public && !nat.Hairpin {
			return d, false
		}
		d.from = nat.out(d)
	}
	for i := len(n.routers) - 1; i >= 0; i-- { // outer ones first
		nat := n.routers[i]
		if d.to.Addr() != nat.Public {
			continue
		}
		h := nat.holes[d.to.Port()]
		if h == nil || !h.let[nat.Filtering.key(d.from)] {
			return d, false
		}
		d.to = h.inside
	}
	return d, true
}

// out maps the sender of a datagram and lets answers in.
func (nat *Router) out(d direction) netip.AddrPort {
	key := mappingKey{d.from, nat.Mapping.key(d.to)}
	port, mapped := nat.ports[key]
	if !mapped {
		nat.next++
		port = nat.next
		nat.ports[key] = port
		nat.holes[port] = &hole{inside: d.from, let: make(map[netip.AddrPort]bool)}
	}
	nat.holes[port].let[nat.Filtering.key(d.to)] = true
	return netip.AddrPortFrom(nat.Public, port)
}
