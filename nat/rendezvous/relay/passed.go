package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Sockets that somebody else has opened, such as a service manager: Settings.Packets and
// Settings.Listeners, in place of Bind.

// ErrPassed is why Start refuses sockets that somebody else has opened.
var ErrPassed = errors.New("those that were passed do not go together")

// passed checks the sockets that were opened for us. All are at one port, since clients are
// told of one, and there is one of UDP for each family: without it there is no STUN.
func (s *Server) passed() error {
	var all []net.Addr
	families := map[bool]bool{}
	for _, p := range s.Packets {
		is4 := addrPort(p.LocalAddr()).Addr().Is4()
		if families[is4] {
			return fmt.Errorf("%w: two are of UDP and of one family", ErrPassed)
		}
		families[is4] = true
		all = append(all, p.LocalAddr())
	}
	for _, l := range s.Listeners {
		all = append(all, l.Addr())
	}
	if len(s.Packets) == 0 {
		return fmt.Errorf("%w: none is of UDP", ErrPassed)
	}
	s.port = addrPort(all[0]).Port()
	for _, a := range all {
		if addrPort(a).Port() != s.port {
			return fmt.Errorf("%w: one is at port %d, another at %d", ErrPassed, s.port, addrPort(a).Port())
		}
	}
	return nil
}

// passedFamilies are where the relay's own sockets are bound. An unspecified IPv6 address
// without one of IPv4 beside it stands for both.
func (s *Server) passedFamilies() []family {
	binds := map[bool]netip.Addr{}
	for _, p := range s.Packets {
		a := addrPort(p.LocalAddr()).Addr()
		binds[a.Is4()] = a
	}
	if binds[false] == netip.IPv6Unspecified() && !binds[true].IsValid() {
		binds[true] = netip.IPv4Unspecified()
	}
	var all []family
	if a := binds[true]; a.IsValid() {
		all = append(all, family{"4", a})
	}
	if a := binds[false]; a.IsValid() {
		all = append(all, family{"6", a})
	}
	return all
}
