package nat

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ErrAddress is what Resolve's error is when the text is not the address of a
// peer, whatever the network says.
var ErrAddress = errors.New("not an address")

// A NameError is a name that did not resolve.
type NameError struct {
	Name string
	Err  error // the resolver's, or the context's
}

func (e *NameError) Error() string {
	var dns *net.DNSError
	if errors.As(e.Err, &dns) && dns.IsNotFound {
		return fmt.Sprintf("there is no host named %q", e.Name)
	}
	return fmt.Sprintf("could not look up the name %q: %v", e.Name, e.Err)
}

func (e *NameError) Unwrap() error { return e.Err }

// Resolve finds the addresses of a peer given as host, host:port, an IPv4
// address, with or without port, an IPv6 address, or [IPv6] with or without
// port; without a port it takes defaultPort. Ports are decimal, 1 to 65535. It
// returns at least one address, in the system's order of preference, without
// repeats. The error is ErrAddress (wrapped) or a *NameError.
func Resolve(ctx context.Context, s string, defaultPort uint16) ([]netip.AddrPort, error) {
	host, port, err := splitHostPort(s, defaultPort)
	if err != nil {
		return nil, err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), port)}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, &NameError{Name: host, Err: err}
	}
	var addrs []netip.AddrPort
	for _, a := range found {
		if ap := netip.AddrPortFrom(a.Unmap(), port); !slices.Contains(addrs, ap) {
			addrs = append(addrs, ap)
		}
	}
	if len(addrs) == 0 {
		return nil, &NameError{Name: host, Err: errors.New("it has no address")}
	}
	return addrs, nil
}

// splitHostPort is net.SplitHostPort, stricter about what it takes and without
// the need of a port.
func splitHostPort(s string, defaultPort uint16) (host string, port uint16, err error) {
	bad := func(why string) (string, uint16, error) {
		return "", 0, fmt.Errorf("%q: %w: %s", s, ErrAddress, why)
	}
	port = defaultPort
	digits, hasPort := "", false
	if rest, bracketed := strings.CutPrefix(s, "["); bracketed {
		inside, after, closed := strings.Cut(rest, "]")
		if addr, err := netip.ParseAddr(inside); !closed || err != nil || !addr.Is6() {
			return bad("brackets hold an IPv6 address")
		}
		host = inside
		if after != "" {
			if digits, hasPort = strings.CutPrefix(after, ":"); !hasPort {
				return bad("after ] comes nothing or a port")
			}
		}
	} else if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() {
		host = s
	} else if host, digits, hasPort = strings.Cut(s, ":"); strings.Contains(digits, ":") {
		return bad("an IPv6 address with a port stands in brackets, [address]:port")
	}
	if hasPort {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != digits {
			return bad("ports are numbers from 1 to 65535")
		}
		port = uint16(n)
	}
	if host == "" {
		return bad("no host")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("/@?#[]", r) }) {
		return bad("no host has such a name")
	}
	return host, port, nil
}
