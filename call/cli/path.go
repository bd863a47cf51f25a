package cli

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/nat"
)

// find settles whom typed means: a contact, a call code or a host, and returns the code
// or the host to call. A contact's name wins, then, with --via, what looks like a code;
// contact:, code: and host: in front say which.
func (s *settings) find(typed string) (host string, code *callcode.Code, err error) {
	if host, ok := strings.CutPrefix(typed, "host:"); ok {
		s.address = host
		return host, nil, nil
	}
	if text, ok := strings.CutPrefix(typed, "code:"); ok {
		code, err := readCode(text)
		return "", code, err
	}
	name, asked := strings.CutPrefix(typed, "contact:")
	if s.cache == nil && asked {
		return "", nil, usagef("leave --ephemeral out", "--ephemeral knows no contacts, and %q is one", printable(name))
	}
	if s.cache != nil {
		if host, err := s.findContact(name); host != "" || err != nil {
			return host, nil, err
		}
		if asked {
			return "", nil, usagef("securecall contacts list shows who is known", "there is no contact %q", printable(name))
		}
	}
	if s.via != nil && callcode.Looks(typed) {
		code, err := readCode(typed)
		return "", code, err
	}
	if callcode.Looks(typed) {
		return "", nil, usagef("--via SERVER names the meeting point that the other side's listen --via has; host: in front says that it is a host",
			"that is a call code, and nothing says through which server")
	}
	s.address = typed
	return typed, nil, nil
}

// findContact is where to call a contact; empty: there is none of that name.
func (s *settings) findContact(name string) (host string, err error) {
	r, known, err := s.cache.Named(name)
	r.Wipe()
	switch {
	case err != nil:
		return "", &stateError{err}
	case !known:
		return "", nil
	case r.Address == "":
		return "", usagef("it was met by a call code, or has only called: ask for a new code and dial that, or an address: securecall dial --name "+quoted(name)+" bob.example",
			"no address is known of %q", printable(name))
	}
	s.expect = &call.Contact{ZID: r.ZID, Name: name}
	return r.Address, nil
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
