package cli

import (
	"errors"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/call/meet"
	"securecall/crypto/callcode"
	"securecall/nat/punched"
	"securecall/nat/rendezvous"
)

// Meeting at a server, by a call code or as contacts: --via, and what can be wrong with it.

func readVia(c *ucli.Context) (server *rendezvous.Address, relayOnly bool, err error) {
	relayOnly = c.Bool("relay-only")
	if !c.IsSet("via") || c.String("via") == "none" { // none: whatever a file says
		if relayOnly {
			return nil, false, usagef("name a meeting point with --via", "--relay-only needs a relay")
		}
		return nil, false, nil
	}
	a, err := rendezvous.ParseAddress(c.String("via"))
	if err != nil {
		return nil, false, usagef("e.g. --via meet.example, --via meet.example:8443, or ws://HOST without TLS", "--via: %v", err)
	}
	return &a, relayOnly, nil
}

// checkListen refuses what does not go with --via, or without it.
func (s *settings) checkListen() error {
	switch {
	case s.via == nil && s.require == call.RequireCode:
		return errCodeRequired
	case s.via != nil && s.auxiliary != nil:
		return errAnotherSecret
	}
	return s.checkWay(s.via != nil)
}

// checkDial refuses what does not go with who is to be called.
func (s *settings) checkDial(who callee) error {
	switch {
	case who.code != nil && s.via == nil:
		return usagef("--via SERVER names the meeting point that the other side has", "a call code, and nothing says through which server")
	case who.host != "" && s.via != nil:
		return usagef("securecall contacts list shows who is known; an address is reached without --via", "--via is for call codes and contacts, and there is no contact %q", printable(who.host))
	case who.code == nil && s.require == call.RequireCode:
		return errCodeRequired
	case s.via != nil && s.auxiliary != nil:
		return errAnotherSecret
	case who.host != "" && s.mapPort:
		return usagef("listen --map, or call by a code", "--map is for being called: nobody calls a dialler")
	}
	return s.checkWay(who.host == "")
}

// checkWay refuses what does not go with meeting at a server, or without it.
func (s *settings) checkWay(meets bool) error {
	switch {
	case s.mapPort && s.relayOnly:
		return usagef("leave one of them out", "--relay-only uses no port of the router's: there is nothing for --map")
	case !meets && s.relayOnly:
		return usagef("call by a code: the other side says listen --via, and reads it to you", "--relay-only goes with a call code or a contact")
	}
	return nil
}

var (
	errCodeRequired  = usagef("securecall listen --via SERVER prints a code, and securecall dial --via SERVER CODE calls by it", "--require code needs a call code")
	errAnotherSecret = usagef("leave one of them out", "who meets by a code or as a contact has a secret already: there is no place for another")
)

// meeting is what package meet needs to know of the flags.
func (s *settings) meeting() meet.Options {
	return meet.Options{Server: *s.via, Bind: s.bind, RelayOnly: s.relayOnly, Map: s.mapPort}
}

// meets makes the dialler of somebody who is met at a server.
func (s *settings) meets(q *queue, attended bool, who callee) *meet.Dialer {
	if who.contact != nil {
		return meet.NewContactDialer(s.config(q, attended), s.meeting(), who.contact)
	}
	return meet.NewDialer(s.config(q, attended), s.meeting(), *who.code)
}

func readCode(text string) (*callcode.Code, error) {
	code, err := callcode.Parse(text)
	if err == nil {
		return &code, nil
	}
	hint := "a code is a number and three words, as in 48-harbor-violin-echo; ask for it again if in doubt: one wrong try uses it up"
	var word *callcode.WordError
	if errors.As(err, &word) && len(word.Near) > 0 {
		hint = "" // which the error itself says
	}
	return nil, usagef(hint, "%v", err)
}

// meetingFailure is what to say where two people did not meet, or did not stay together.
func meetingFailure(err error) (hint string, ok bool) {
	const another = "ask the other side for a new code"
	var gone *rendezvous.GoneError
	if errors.As(err, &gone) {
		return "a new code comes", true
	}
	for _, f := range []struct {
		err  error
		hint string
	}{
		{meet.ErrWrongCode, "it is used up: " + another + ", and check each word"},
		{meet.ErrGuessed, "a new code comes; if it goes on, somebody is trying to get in"},
		{meet.ErrLeft, "a new code comes"},
		{meet.ErrBusy, "try again later"},
		{meet.ErrNotThere, "it has to say listen --via with the same server; if one of you has forgotten the other, or started anew, only a call code or an address will do"},
		{meet.ErrGone, "it may have been interrupted: try again with a new code"},
		{meet.ErrOtherEnd, "both sides should have the same version of securecall"},
		{meet.ErrBroken, "the server is not working as it should, or interferes: try another"},
		{call.ErrStranger, "--accept ask answers anybody with the code; a new code comes"},
		{call.ErrNotMet, "somebody is interfering: call again, through another server"},
		{call.ErrUnequalThere, "speak with them by another way; call again over another network, and compare again"},
		{call.ErrNotAccepted, "one of you has lost, restored or forgotten what it remembers, or somebody is in between: have them call from a terminal, and compare the words"},
		{call.ErrCodeSecret, "do not trust this server; call again through another one"},
		{punched.ErrNoRoute, "one of the two networks lets nothing through, and the meeting point has no relay that both reach"},
		{rendezvous.ErrUnknown, "check the number, and that both sides have the same --via; or " + another},
		{rendezvous.ErrUsed, "somebody has called with it before, or tried wrong words: " + another},
		{rendezvous.ErrExpired, "the other side has gone, or the code's time is over: " + another},
		{rendezvous.ErrLimit, "the server lets this network, or everybody, have no more for the moment: try again in a minute"},
		{rendezvous.ErrUnavailable, "a fault of the server's: try again later, or another server"},
		{rendezvous.ErrNotTrusted, "check the name; a server of your own needs a certificate that this machine trusts (SSL_CERT_FILE)"},
		{rendezvous.ErrNotRendezvous, "is securecall rendezvous running there? ws:// in front of the name is without TLS"},
		{rendezvous.ErrUnreachable, "is this machine connected, and the server's name right?"},
		{rendezvous.ErrRefused, "try again later, or another server"},
		{rendezvous.ErrLost, "trying again may help"},
	} {
		if errors.Is(err, f.err) {
			return f.hint, true
		}
	}
	return "", false
}
