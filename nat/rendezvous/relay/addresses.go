package relay

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// addresses finds out by which addresses others reach this machine.
func (s *Server) addresses() {
	s.own = map[netip.Addr]bool{}
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				s.own[addr.Unmap()] = true
			}
		}
	}
	for _, family := range s.families() {
		a := family.bind
		if a.IsUnspecified() {
			a = ownAddress(family.name)
		}
		for _, public := range s.Settings.Public {
			if public.Is4() == (family.name == "4") {
				a = public
			}
		}
		if a.IsValid() {
			s.public = append(s.public, a)
			s.own[a] = true
		}
	}
}

// ownAddress is the address that the system would send from to somebody far
// away. Nothing is sent: the addresses are for documentation (RFC 5737, 3849).
func ownAddress(family string) netip.Addr {
	far := map[string]string{"4": "192.0.2.1:9", "6": "[2001:db8::1]:9"}[family]
	c, err := net.Dial("udp"+family, far)
	if err != nil {
		return map[string]netip.Addr{"4": netip.AddrFrom4([4]byte{127, 0, 0, 1}), "6": {}}[family]
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
}

// wrapping are the prefixes of IPv6 addresses that stand for IPv4 ones: NAT64
// (RFC 6052, 8215), 6to4 (RFC 3056), Teredo (RFC 4380), and IPv4-compatible
// ones. Through them a private IPv4 address could be meant.
var wrapping = []netip.Prefix{
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("::/96"),
}

// reserved are further addresses that are nobody's on the Internet: "this
// network" (RFC 1122), between a provider and its NAT (RFC 6598), protocol
// assignments (RFC 6890), benchmarks (RFC 2544), future use (RFC 1112), the
// private IPv6 addresses of before RFC 4193 (RFC 3879), discards (RFC 6666).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("100::/64"),
}

// public tells whether a may be relayed to.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, p := range wrapping {
		if p.Contains(a) {
			return false
		}
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// mayReach is asked before a permission is given to a peer.
func (s *Server) mayReach(_ net.Addr, peer net.IP) bool {
	a, ok := netip.AddrFromSlice(peer)
	// Our own address can be that of another one's relay; which port, is
	// seen to where packets are sent.
	return ok && (s.Private || public(a) || s.own[a.Unmap()] && !a.Unmap().IsLoopback())
}

// maySend is asked for each packet.
func (s *Server) maySend(to netip.AddrPort) bool {
	a := to.Addr().Unmap()
	if s.Private || !s.own[a] {
		return true // there is a permission
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ports[to.Port()]
}

// noFamily: the kernel has no such address family.
func noFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
