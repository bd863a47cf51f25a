package cli

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"securecall/call"
	"securecall/call/meet"
	"securecall/crypto/callcode"
	"securecall/crypto/zidcache"
	"securecall/nat"
)

// A callee is whom to call, by one of these.
type callee struct {
	host    string
	code    *callcode.Code
	contact *zidcache.Record // through --via
}

// find settles whom typed means: a contact, a call code or a host. A contact's name wins,
// then, with --via, what looks like a code; contact:, code: and host: in front say which.
func (s *settings) find(typed string) (who callee, err error) {
	if host, ok := strings.CutPrefix(typed, "host:"); ok {
		s.address = host
		return callee{host: host}, nil
	}
	if text, ok := strings.CutPrefix(typed, "code:"); ok {
		who.code, err = readCode(text)
		return who, err
	}
	name, asked := strings.CutPrefix(typed, "contact:")
	if s.cache == nil && asked {
		return who, usagef("leave --ephemeral out", "--ephemeral knows no contacts, and %q is one", printable(name))
	}
	if s.cache != nil {
		if who, err := s.findContact(name); who != (callee{}) || err != nil {
			return who, err
		}
		if asked {
			return who, usagef("securecall contacts list shows who is known", "there is no contact %q", printable(name))
		}
	}
	if s.via != nil && callcode.Looks(typed) {
		who.code, err = readCode(typed)
		return who, err
	}
	if callcode.Looks(typed) {
		return who, usagef("--via SERVER names the meeting point that the other side's listen --via has; host: in front says that it is a host",
			"that is a call code, and nothing says through which server")
	}
	s.address = typed
	return callee{host: typed}, nil
}

// findContact is how to call a contact: with --via where both have met before, else at an
// address; none: there is no contact of that name.
func (s *settings) findContact(name string) (who callee, err error) {
	r, known, err := s.cache.Named(name)
	if _, kept := s.from["via"]; kept && r.Address != "" && !meet.Meetable(&r, time.Now()) {
		s.via = nil // it is kept for others: this one is known by an address alone
	}
	switch {
	case err != nil:
		return who, &stateError{err}
	case !known:
		return who, nil
	case s.via != nil && !meet.Meetable(&r, time.Now()):
		r.Wipe()
		return who, usagef("ask for a code and dial that; from then on the name is enough",
			"there is nothing yet by which %q is to be found at a meeting point: that takes one call", printable(name))
	case s.via != nil:
		s.expect = &call.Contact{ZID: r.ZID, Name: name}
		return callee{contact: &r}, nil
	}
	r.Wipe()
	if r.Address == "" {
		return who, usagef("securecall dial --via SERVER "+quoted(name)+", if the other side says listen --via; or an address: securecall dial --name "+quoted(name)+" bob.example",
			"no address is known of %q", printable(name))
	}
	s.expect = &call.Contact{ZID: r.ZID, Name: name}
	return callee{host: r.Address}, nil
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
