package reflexive

import (
	"context"
	"errors"
	"net/netip"
)

// ErrOneAddress is what Discover's error is for a server that has no second
// address, as most have not.
var ErrOneAddress = errors.New("the server has only one address")

// Dependence is on what of the other end a NAT's mapping or filtering depends
// (RFC 4787, Sections 4.1 and 5).
type Dependence uint8

const (
	Unknown Dependence = iota
	EndpointIndependent
	AddressDependent
	AddressAndPortDependent
)

func (d Dependence) String() string {
	return [...]string{"unknown", "endpoint-independent", "address-dependent", "address-and-port-dependent"}[d&3]
}

// Behaviour is what a NAT does to a socket.
type Behaviour struct {
	Mapped    netip.AddrPort // the socket's address as the server sees it
	Mapping   Dependence     // when another Mapped is given
	Filtering Dependence     // whose packets are let in
}

// patience is how many requests a test of a NAT is worth whose outcome may be
// silence: 3.5 s.
const patience = 3

// Discover asks server, over a path that has sent nothing to any address of that
// server but possibly server itself, what kind of NAT is between them (RFC 5780,
// Sections 4.3 and 4.4). Where the server has only one address the Behaviour
// still has Mapped, and the error is ErrOneAddress. It takes up to 15 s.
func (p *Path) Discover(ctx context.Context, server netip.AddrPort) (Behaviour, error) {
	first, err := p.Ask(ctx, server)
	if err != nil {
		return Behaviour{}, err
	}
	b := Behaviour{Mapped: first.Mapped}
	other := first.Other
	if !other.IsValid() || other.Addr() == server.Addr() || other.Port() == server.Port() ||
		other.Addr().Is4() != server.Addr().Is4() {
		return b, ErrOneAddress
	}

	// Filtering before mapping: a request to the server's other address would
	// let its answers in.
	otherPort := netip.AddrPortFrom(server.Addr(), other.Port())
	switch heard, err := p.heard(ctx, server, other, Change{Addr: true, Port: true}); {
	case err != nil:
		return b, err
	case heard:
		b.Filtering = EndpointIndependent
	default:
		heard, err := p.heard(ctx, server, otherPort, Change{Port: true})
		if err != nil {
			return b, err
		}
		b.Filtering = AddressAndPortDependent
		if heard {
			b.Filtering = AddressDependent
		}
	}

	otherAddr := netip.AddrPortFrom(other.Addr(), server.Port())
	second, err := p.ask(ctx, otherAddr, otherAddr, Change{}, patience)
	if err != nil {
		return b, err
	}
	if second.Mapped == first.Mapped {
		b.Mapping = EndpointIndependent
		return b, nil
	}
	third, err := p.ask(ctx, other, other, Change{}, patience)
	if err != nil {
		return b, err
	}
	b.Mapping = AddressAndPortDependent
	if third.Mapped == second.Mapped {
		b.Mapping = AddressDependent
	}
	return b, nil
}

// heard reports whether the server's answer from elsewhere gets through.
func (p *Path) heard(ctx context.Context, server, source netip.AddrPort, change Change) (bool, error) {
	_, err := p.ask(ctx, server, source, change, patience)
	if errors.Is(err, ErrNoAnswer) {
		return false, nil
	}
	return err == nil, err
}
