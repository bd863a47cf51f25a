//go:build !linux

package mapping

import (
	"net/netip"
	"slices"

	"securecall/nat"
)

// defaultGateways guesses: in most homes the router has the first address of the
// network.
func defaultGateways() (gateways []netip.Addr) {
	for _, a := range nat.LocalAddrs(netip.AddrPortFrom(netip.IPv4Unspecified(), 1)) {
		if !a.Addr().IsPrivate() {
			continue
		}
		first := netip.PrefixFrom(a.Addr(), 24).Masked().Addr().Next()
		if !slices.Contains(gateways, first) {
			gateways = append(gateways, first)
		}
	}
	return gateways
}
