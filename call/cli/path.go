package cli

import (
	"context"
	"net/netip"
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
	if host, ok := strings.CutPrefix(typed, "host:"); ok || strings.TrimSpace(typed) == "" {
		if strings.TrimSpace(host) == "" {
			return who, usagef("securecall dial bob.example; in a script, is the variable set?", "there is nobody to call: the peer is empty")
		}
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

// quoted is a name as it can be pasted into a shell: it may have come from somebody else.
func quoted(name string) string {
	if strings.Trim(name, wordLetters) == "" {
		return name
	}
	return quotePOSIX(name)
}

const wordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// atOnce is how long something may take without a word about it.
const atOnce = 100 * time.Millisecond

// lookup returns the addresses at which to try a host. A name server that takes its time is said
// to be waited for, and is for no longer than a person who does not answer.
func (p *phone) lookup(ctx context.Context, host string) (addrs []netip.AddrPort, err error) {
	limited, cancel := context.WithTimeout(ctx, p.s.timeout)
	defer cancel()
	defer func(begun time.Time) {
		p.s.timeout = max(p.s.timeout-time.Since(begun), time.Millisecond) // the rest is for the call
	}(time.Now())
	done := make(chan struct{})
	go func() {
		addrs, err = nat.Resolve(limited, host, nat.DefaultPort)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(atOnce):
		p.screen.wait(time.Now(), "looking up "+printable(host))
		p.screen.waitFor(done)
	}
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	return addrs, err
}
