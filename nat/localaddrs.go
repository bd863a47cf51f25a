package nat

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
)

// LocalAddrs are the addresses to dial for somebody who listens at bind: bind
// itself, or where that is unspecified every address of the interfaces that
// are up: public before private ones and IPv4 before IPv6. Loopback addresses
// are among them only if there is nothing else; link-local ones never, since
// they mean nothing without the interface's name on the other machine.
func LocalAddrs(bind netip.AddrPort) []netip.AddrPort {
	bind = unmap(bind)
	if bind.IsValid() && !bind.Addr().IsUnspecified() {
		return []netip.AddrPort{bind}
	}
	var all []netip.Addr
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if network, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(network.IP); ok {
					all = append(all, addr.Unmap())
				}
			}
		}
	}
	return dialable(bind, all)
}

// dialable chooses and sorts those of a machine's addresses at which somebody
// listening at the unspecified address bind can be dialled.
func dialable(bind netip.AddrPort, all []netip.Addr) []netip.AddrPort {
	var global, loopback []netip.Addr
	for _, a := range all {
		switch {
		case bind.Addr().Is4() && !a.Is4() || slices.Contains(global, a):
		case a.IsLoopback():
			loopback = append(loopback, a)
		case a.IsGlobalUnicast(): // private ones too, link-local ones not
			global = append(global, a)
		}
	}
	if len(global) == 0 {
		global = loopback
	}
	slices.SortStableFunc(global, func(a, b netip.Addr) int { return cmp.Compare(rank(a), rank(b)) })
	addrs := make([]netip.AddrPort, len(global))
	for i, a := range global {
		addrs[i] = netip.AddrPortFrom(a, bind.Port())
	}
	return addrs
}

// sharedSpace is between a provider and its NAT (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// IsPrivate reports whether a means nothing to others on the Internet: a NAT is between it
// and them (RFC 1918, 4193, 6598). A loopback address is not private.
func IsPrivate(a netip.Addr) bool { return a.IsPrivate() || sharedSpace.Contains(a) }

func rank(a netip.Addr) (r int) {
	if IsPrivate(a) {
		r = 2
	}
	if a.Is6() {
		r++
	}
	return r
}
