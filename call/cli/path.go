package cli

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"securecall/call"
	"securecall/nat"
)

// find settles whom typed means, a contact or a host, and returns the host to
// call. A contact's name wins; contact: and host: in front say which.
func (s *settings) find(typed string) (host string, err error) {
	if host, ok := strings.CutPrefix(typed, "host:"); ok {
		s.address = host
		return host, nil
	}
	name, asked := strings.CutPrefix(typed, "contact:")
	if s.cache == nil {
		if asked {
			return "", usagef("leave --ephemeral out", "--ephemeral knows no contacts, and %q is one", printable(name))
		}
		return typed, nil
	}
	r, known, err := s.cache.Named(name)
	r.Wipe()
	switch {
	case err != nil:
		return "", &stateError{err}
	case known && r.Address == "":
		return "", usagef("call it once by its address: securecall dial --name "+quoted(name)+" host:PEER",
			"no address is known of %q", printable(name))
	case known:
		s.expect = &call.Contact{ZID: r.ZID, Name: name}
		return r.Address, nil
	case asked:
		return "", usagef("securecall contacts list shows who is known", "there is no contact %q", printable(name))
	}
	s.address = typed
	return typed, nil
}

func quoted(name string) string {
	if strings.ContainsAny(name, " '\"") {
		return strconv.Quote(name)
	}
	return name
}

// reach opens a path to a host, and returns the addresses at which to try it.
func reach(ctx context.Context, bind netip.AddrPort, host string) (nat.Path, []netip.AddrPort, error) {
	addrs, err := nat.Resolve(ctx, host, nat.DefaultPort)
	if ctx.Err() != nil {
		return nil, nil, errInterrupted
	}
	if err != nil {
		return nil, nil, err
	}
	return nat.Dial(ctx, bind, addrs...)
}
