package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"securecall/call"
)

// What a person reads about security, and nothing else.

// manyAttempts is how many broken-off key agreements are worth a warning: each is
// one more chance in 65,536 for who tries for the same words. A caller on a bad
// network leaves one or two.
const manyAttempts = 3

// secured says the line that always tells the truth about security, and the
// SAS so that it can be read aloud.
func (s *screen) secured(e call.Secured) {
	if e.ByCode && e.Auxiliary != "match" {
		s.say(s.results, "%s", s.paint(red, "encrypted, but the other side does NOT have the secret of the call code"))
		return // which ends the call
	}
	s.sas = e.SAS
	s.trust, s.peer = newStanding(e), printable(e.Contact)
	s.say(s.results, "secured with %s · %s · %s · %s", s.whom(e), human(e.KeyAgreement), human(e.Cipher), s.standing(e))
	words := strings.Join(strings.Fields(e.SAS), "  ")
	hint := ""
	if s.ask != nil {
		hint = "(press v and type what you hear)"
		room := 79 - columns("read to each other:   "+words+hint)
		hint = strings.Repeat(" ", min(8, max(2, room))) + hint
	}
	words = s.paint(bold, words)
	s.another = e.Another
	switch {
	case e.Verified:
		s.say(s.talk, "  the same installation as last time: no need to compare again (the words of this call: %s)", words)
	case s.split:
		s.say(s.results, "read out:   %s%s", s.paint(bold, e.Own), hint)
		s.say(s.talk, "  the other side has the other half: if it is not what stands in this program, it says so")
	default:
		s.say(s.results, "read to each other:   %s%s", words, hint)
		s.say(s.talk, "  both must see the same: if not, somebody is listening in, and you should hang up")
	}
	switch {
	case e.Itself:
		if thisMachine(e.Remote.Addr()) {
			s.say(s.talk, "  this is your own installation, nothing is remembered")
		} else {
			s.say(s.talk, "  the other side says that it is your own installation, which anybody can say; nothing is remembered")
		}
	case e.PeerVerified:
		s.say(s.talk, "  the other side has verified you")
	}
	switch {
	case e.ByCode:
		s.say(s.talk, "  both sides have used the same call code")
	case e.Auxiliary == "match":
		s.say(s.talk, "  both sides have the secret of --secret-file")
	case e.Auxiliary == "mismatch":
		s.say(s.talk, "%s", s.paint(yellow, "  the other side does not have the secret of --secret-file: it proves nothing in this call"))
	}
	if e.Discloses {
		s.say(s.results, "%s", s.paint(red, "  the other side's program says that it discloses its keys to somebody: others may be listening by its leave"))
	}
	if e.Attempts >= manyAttempts {
		s.say(s.results, "%s", s.paint(red, fmt.Sprintf("  %d key agreements were begun with this program and broken off in the last minutes: somebody may be trying for the same words", e.Attempts)))
	}
	if s.verbose {
		s.say(s.talk, "  role %s · hash %s · tag %s · SAS %s · peer %s · %s", e.Role, human(e.Hash), human(e.Auth), e.SASType, e.ZID, printable(e.PeerClient))
	}
}

// thisMachine tells whether an address is one of ours.
func thisMachine(a netip.Addr) bool {
	if a = a.Unmap().WithZone(""); a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range addrs {
		if p, err := netip.ParsePrefix(i.String()); err == nil && p.Addr().Unmap() == a {
			return true
		}
	}
	return false
}

// whom is the peer, by name where it has proved it.
func (s *screen) whom(e call.Secured) string {
	if e.Contact != "" {
		return printable(e.Contact) + " at " + e.Remote.String()
	}
	return e.Remote.String()
}

// standing is how far the peer can be trusted.
func (s *screen) standing(e call.Secured) string {
	switch {
	case e.Another:
		return s.paint(red, "NOT the installation that you called")
	case e.Verified:
		return s.paint(green, "verified")
	case e.Continuity == "mismatch":
		return s.paint(red, "NOT the expected keys")
	case e.Continuity == "match":
		return s.paint(yellow, "the same as last time, not verified yet")
	case e.ByCode:
		return s.paint(yellow, "by the call code, words not compared yet")
	}
	return s.paint(yellow, "not verified yet")
}

// keyChanged says what it means, in plain words.
func (s *screen) keyChanged(e call.KeyChanged) {
	who, name := "the other side", printable(e.Contact)
	if name != "" {
		who = name
	}
	s.changed = true
	s.called, s.answering = name, e.ZID
	if e.Another {
		s.say(s.results, "%s", s.paint(red, "WARNING: this is not the installation you knew as "+who))
		s.say(s.talk, "  Either %s uses another machine or began anew, or somebody else answers there.", who)
	} else {
		s.say(s.results, "%s", s.paint(red, "WARNING: the keys of "+who+" are not those that your last call left"))
		s.say(s.talk, "  Either one of you lost what was remembered or restored it from an old copy,\n  or somebody is in between, listening to both of you.")
	}
	if s.ask == nil {
		return
	}
	s.say(s.talk, "  Compare the words: press v and type what you hear. Your microphone is open while you do,\n  and otherwise closed until they are the same. x lets you speak at your own risk.")
}

// guard tells whether the microphone is closed for the keys' sake.
func (s *screen) guard(on bool) {
	s.guarded = on
	switch {
	case on:
		s.say(s.talk, "your microphone is closed, since the keys have changed: the other side hears silence")
	case s.risk:
		s.say(s.talk, "%s", s.paint(red, "your microphone is open, at your own risk: nothing is verified"))
	}
	s.redraw()
}

// verified says that the SAS was compared.
func (s *screen) verified(e call.Verified) {
	how := "what the other side read out was typed"
	if e.How == "via" {
		how = "the command of --verify-via printed them"
	}
	s.say(s.results, "%s: the words are the same (%s)", s.paint(green, "verified"), how)
	switch {
	case s.another:
		s.say(s.talk, "  the name %s still is the other installation's; if it should be this one's from now on:", s.called)
		s.say(s.talk, "  securecall contacts forget %s && securecall contacts rename %s %[1]s", quoted(s.called), s.answering)
	case s.changed:
		s.say(s.talk, "  the new keys are remembered from now on")
	}
	s.changed, s.guarded, s.risk = false, false, false
	s.trust.word, s.trust.style = "verified", green
	if s.typing != nil && !s.typing.lasting {
		s.unprompt()
	}
	s.redraw()
}
