package punched

import (
	"net/netip"

	"securecall/nat"
)

// Kind is what lies between the two sides.
type Kind uint8

const (
	None    Kind = iota // no way, not yet or no longer
	Direct              // from interface to interface
	Punched             // through one NAT or more, by a hole
	Relayed             // over a TURN server, ours or the peer's or both
)

func (k Kind) String() string {
	return [...]string{"none", "direct", "punched", "relayed"}[k&3]
}

// A Route is the way that packets take.
type Route struct {
	Kind   Kind
	Local  netip.AddrPort // an interface's, or the relay's that is ours
	Remote netip.AddrPort // where packets to the peer go
}

// way is a Route with what it takes to send there.
type way struct {
	carrier carrier
	route   Route
	local   CandidateType
	session uint64 // of ICE; each restart begins the next
}

// kindOf is what the types and addresses of the selected pair tell. Where the
// peer's own address is the one that we reach, a NAT of ours is still between,
// if ours is private and the peer's is not.
func kindOf(local, remote CandidateType, from, to netip.Addr) Kind {
	switch {
	case local == Relay || remote == Relay:
		return Relayed
	case remote == Reflexive || isPrivate(from) && !isPrivate(to):
		return Punched
	}
	return Direct
}

func isPrivate(a netip.Addr) bool { return nat.IsPrivate(a) || a.IsLoopback() }
