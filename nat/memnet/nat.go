package memnet

import (
	"net/netip"

	"securecall/nat"
)

// A NAT stands between paths of its own and the rest of the network. It maps an
// inside address to one of the same port outside where that is free, for all
// peers alike (RFC 4787, Section 4: endpoint-independent mapping, port
// preservation) and for ever.
type NAT struct {
	network *Network
	outside netip.Addr
	filter  Dependence

	// Guarded by network.mu.
	mappings []*mapping
	taken    map[uint16]bool // ports outside that were given, ever
}

type mapping struct {
	inside netip.AddrPort
	port   uint16
	sent   []netip.AddrPort // whom the inside has sent to
}

// NAT puts one on the network. A tap and Inject are outside of it.
func (n *Network) NAT(outside netip.Addr, filter Dependence) *NAT {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := &NAT{network: n, outside: outside, filter: filter, taken: map[uint16]bool{}}
	n.nats[outside] = t
	return t
}

// Path binds an address inside.
func (t *NAT) Path(inside netip.AddrPort) nat.Path {
	p := t.network.Path(inside).(*path)
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	p.nat = t
	return p
}

// Rebind forgets all mappings, as a router does that was started anew: what
// comes from inside next leaves from other ports.
func (t *NAT) Rebind() {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	t.mappings = nil
}

// out is the address outside that a datagram leaves from. The caller holds
// network.mu.
func (t *NAT) out(from, to netip.AddrPort) netip.AddrPort {
	var m *mapping
	for _, known := range t.mappings {
		if known.inside == from {
			m = known
		}
	}
	if m == nil {
		m = &mapping{inside: from, port: from.Port()}
		for t.taken[m.port] {
			m.port++
		}
		t.taken[m.port] = true
		t.mappings = append(t.mappings, m)
	}
	m.sent = append(m.sent, to)
	return netip.AddrPortFrom(t.outside, m.port)
}

// in is the path inside that a datagram to the NAT comes to; nil: it does not
// get in. The caller holds network.mu.
func (t *NAT) in(d direction) *path {
	for _, m := range t.mappings {
		if m.port != d.to.Port() {
			continue
		}
		for _, to := range m.sent {
			if t.filter == EndpointIndependent || to == d.from || t.filter == AddressDependent && to.Addr() == d.from.Addr() {
				return t.network.paths[m.inside]
			}
		}
	}
	return nil
}
