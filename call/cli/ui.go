package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"securecall/audio/device"
	"securecall/call"
	"securecall/call/meet"
	"securecall/crypto/zrtp"
	"securecall/nat"
	"securecall/nat/mapping"
)

// show tells of one event. id is 0 where it is about no call.
func (s *screen) show(at time.Time, id int, e call.Event) {
	switch e := e.(type) {
	case call.Listening:
		s.open = true
		if e.Code != "" {
			s.code(at, e)
			break
		}
		s.say(s.talk, "the other side types one of these:")
		for _, a := range e.Addrs {
			s.say(s.results, "  securecall dial %s", a)
		}
		s.wait(at, "waiting for a call")
	case call.Dialing:
		if id != s.current {
			s.tried = nil
		}
		s.caller, s.current = true, id
		if !e.Addr.IsValid() {
			s.say(s.talk, "dialing %s through %s", printable(e.Peer), e.Server)
			s.wait(at, "waiting for a way to the other side")
			break
		}
		s.tried = append(s.tried, e.Addr)
		if len(s.tried) > 1 {
			s.say(s.talk, "nothing has come back yet: trying %s too", e.Addr)
			s.wait(at, "waiting for an answer from "+one(s.tried))
			break
		}
		if name := printable(e.Peer); name != e.Addr.String() {
			s.say(s.talk, "dialing %s at %s", name, e.Addr)
		} else {
			s.say(s.talk, "dialing %s", e.Addr)
		}
		s.wait(at, "waiting for an answer from "+e.Addr.String())
	case call.Refused:
		if !s.refused[e.Addr] {
			if s.refused == nil {
				s.refused = map[netip.AddrPort]bool{}
			}
			s.refused[e.Addr] = true
			d := refused(e.Addr)
			s.say(s.talk, "%s", d.what)
			s.say(s.talk, "  %s", d.hint)
		}
	case call.PathChanged:
		s.path = e.Kind
		switch {
		case s.verbose:
			s.say(s.talk, "path: %s, from %s to %s", e.Kind, e.Local, e.Remote)
		case s.talking:
			s.say(s.talk, "the network has changed: the call goes on, from %s to %s", e.Local, e.Remote)
		}
	case call.Secured:
		s.current = id
		s.secured(e)
		if s.caller {
			s.wait(at, "waiting for it to ring there")
		}
	case call.KeyChanged:
		s.keyChanged(e)
	case call.Guarded:
		s.guard(e.On)
	case call.Verified:
		s.verified(e)
	case call.Incoming:
		s.current = id
		s.incoming(at, e)
	case call.Ringing:
		s.say(s.talk, "it rings there")
		s.wait(at, "waiting for somebody to answer")
	case call.Answered:
		s.ringing, s.talking, s.muted, s.rang = false, true, false, ""
		s.said, s.heard = call.Quietest, call.Quietest
		what := "answered"
		if e.Mutual {
			what = "the other side has dialled you too"
		}
		if !s.guarded {
			what += ": you can speak now"
		}
		s.say(s.talk, "%s%s", what, s.keyHint())
		s.wait(at, "in the call")
	case call.Muted, call.Held, call.Recording, call.PeerRecording, call.Text, call.DTMF, call.Stats:
		s.showDoing(e)
	case call.DeviceState:
		s.deviceState(e)
	case call.Fault:
		d := diagnose(e.Err)
		if e.Hint != "" {
			d.hint = printable(e.Hint)
		}
		if said := execSaid(""); errors.As(e.Err, &said) {
			s.say(s.errors, "%s", d.what)
			break
		}
		if errors.Is(e.Err, meet.ErrGuessed) || isHookError(e.Err) { // to be known with -q as well
			s.wipe()
			complain(s.errors, d)
			break
		}
		s.say(s.talk, "%s", d.what)
		s.hint(d.hint)
	case call.Ended:
		s.ended(at, id, e)
	}
}

// code tells a call code, which is secret until it is used up.
func (s *screen) code(at time.Time, e call.Listening) {
	s.say(s.talk, "read this to the other side, who types it:")
	s.say(s.results, "  securecall dial --via %s %s", e.Server, s.paint(bold, e.Code))
	s.say(s.talk, "it is good for one call, in the next %d minutes; nobody else is to know it", int(e.Held.Minutes()))
	if e.ByName {
		s.say(s.talk, "whom you have been in a call with needs no code: securecall dial --via %s NAME", e.Server)
	}
	s.wait(at, "waiting for a call")
}

func (s *screen) incoming(at time.Time, e call.Incoming) {
	from := e.Addr.String()
	s.rang = from
	if e.Contact != "" {
		s.rang = printable(e.Contact)
		from = s.rang + " at " + from
	}
	s.rang += " at " + at.Format("15:04")
	if s.accept {
		s.say(s.talk, "incoming call from %s: answering", from)
		return
	}
	if s.hooked {
		s.say(s.talk, "incoming call from %s: --on-incoming decides", from)
		s.wait(at, "waiting for --on-incoming")
		return
	}
	s.ringing = true
	if s.ask != nil {
		s.rung = time.Time{}
		s.ring(time.Now())
		s.say(s.ask, "incoming call from %s: a answer, d decline", from)
	}
	s.wait(at, "waiting for your answer")
}

func (s *screen) deviceState(e call.DeviceState) {
	what, name := "microphone", s.mic
	if e.Which == "speaker" {
		what, name = "speaker", s.speaker
	}
	if e.State == "back" {
		s.say(s.talk, "the %s %q is back", what, printable(name))
		return
	}
	text := fmt.Sprintf("the %s %q was lost", what, printable(name))
	var dev *device.Error
	switch {
	case errors.As(e.Err, &dev):
		text += ": " + printable(dev.Err.Error())
	case e.Err != nil:
		text += ": " + printable(e.Err.Error())
	}
	s.say(s.talk, "%s", text)
	s.hint("connect it again: the call goes on, in silence until then")
}

// ended says how a call went; why is in diagnose.
func (s *screen) ended(at time.Time, id int, e call.Ended) {
	if s.current != 0 && id != s.current {
		return // a caller who did not get as far as to ring
	}
	s.unprompt()
	if s.verbose && e.Stats.Sent+e.Stats.Received > 0 {
		s.say(s.talk, "%s", figuresText(e.Stats))
	}
	if e.Reason == call.ReasonNormal {
		s.say(s.results, "call ended after %s", clock(e.Duration))
	} else {
		s.failure(e)
	}
	s.current, s.ringing, s.talking, s.muted, s.sas, s.rang = 0, false, false, false, "", ""
	s.doings = doings{}
	s.guarded, s.changed, s.risk = false, false, false
	if s.many && s.open {
		s.wait(at, "waiting for a call")
	} else {
		s.done()
	}
}

// failure says why a call failed: our own end, or for a listener that goes on
// just news.
func (s *screen) failure(e call.Ended) {
	d := s.whyEnded(e)
	switch e.Reason {
	case call.ReasonDeclined, call.ReasonBusy, call.ReasonNoAnswer, call.ReasonInterrupted:
		if s.many {
			s.say(s.talk, "%s", d.what)
			return
		}
	}
	s.wipe()
	complain(s.errors, d)
}

// whyEnded is what a person learns from the end of a call that did not end
// normally.
func (s *screen) whyEnded(e call.Ended) diagnosis {
	d := diagnosis{status: int(e.Reason)}
	if e.Err != nil {
		d = diagnose(e.Err)
	}
	what, hint := "", ""
	switch e.Reason {
	case call.ReasonNoAnswer:
		if !s.caller {
			if e.Err == nil {
				what = "the caller hung up before you answered"
			}
			if s.rang != "" {
				what = "missed call from " + s.rang + ": " + cmp.Or(what, d.what)
			}
			break
		}
		what, hint = "it rang, and nobody answered", "try again later; --timeout 2m lets it ring for longer"
	case call.ReasonBusy:
		if !s.caller {
			what = "the caller was told that you are busy"
			break
		}
		what, hint = "busy: the other side is in another call", "try again later"
	case call.ReasonDeclined:
		if e.Err != nil {
			break // it says why
		}
		what = "declined"
		if s.caller {
			hint = "they do not take it now: ask by another way when it suits, or try again later"
		}
	case call.ReasonUnreachable:
		if len(s.tried) == 0 { // a call code
			hint = "call again with a new code; if it goes on, one of the two networks lets nothing through, and the meeting point has no relay"
			break
		}
		what = fmt.Sprintf("nothing came back from %s", one(s.tried))
		hint = "check the address; is securecall listen running there, and do firewall and router let UDP through?"
	case call.ReasonLost:
		what, hint = "the other side was lost: nothing valid was heard for 30 seconds", "its network or its program has gone; dial again"
	case call.ReasonNotZRTP:
		what = fmt.Sprintf("something answers at %s, but not with ZRTP", one(s.tried))
		hint = "it is no securecall, and nothing was said to it; check address and port"
	case call.ReasonRequire:
		hint = "it is decided when keys are agreed, before anybody can compare: call without --require first, and compare the words by voice or --verify-via"
	case call.ReasonKeysChanged:
		what = "the other side's keys are not the expected ones, and nobody is here to decide"
		hint = "it lost or restored what it remembers, or somebody is in between: call from a terminal, without --require, and compare the words"
	case call.ReasonSAS:
		if errors.Is(e.Err, call.ErrUnequalThere) {
			break
		}
		what = "the words are not the same: somebody may be in between, listening to both of you"
		hint = "tell the other side by another way; call again over another network, and compare again; a verification of before was taken away"
	case call.ReasonKeys:
		if errors.Is(e.Err, zrtp.ErrLargeCommit) {
			hint = "--key-agreement X255 does without that packet, and without what guards against future quantum computers"
			break
		}
		if errors.Is(e.Err, call.ErrBrokenOff) {
			hint = "call again; if it goes on, somebody may be interfering: do not widen your lists of algorithms for it"
			break
		}
		if errors.Is(e.Err, call.ErrHalfway) {
			hint = "it had too little time (--timeout), or the network loses or somebody withholds packets: call again"
			break
		}
		hint = "both sides must share an algorithm of each kind (--key-agreement, --cipher, --auth, --hash, --sas); if they do, somebody is interfering"
	case call.ReasonFault:
		hint = "this is a fault of securecall, not yours: please report it, with what was done and what -v says"
	case call.ReasonInterrupted:
		what = "interrupted"
	}
	if what != "" {
		d.what = what
	}
	if d.what == "" {
		d.what = e.Reason.String()
	}
	if d.hint == "" {
		d.hint = hint
	}
	return d
}

func (s *screen) keyHint() string {
	if s.ask == nil {
		return ""
	}
	return " (v verify, m mute, q hang up, ? help)"
}

// figuresText is one line of figures for -v.
func figuresText(st call.Stats) string {
	f := newFigures(st)
	trip := "not known yet"
	if f.RTT > 0 {
		trip = fmt.Sprintf("%.0f ms", f.RTT)
	}
	text := fmt.Sprintf("round trip %s · jitter here %.1f ms, there %.1f ms · lost here %.1f %%, there %.1f %% · delay %.0f ms · quality here %s, there %s",
		trip, f.Jitter, f.PeerJitter, f.Loss, f.PeerLoss, f.PlayoutDelay, opinion(f.MOS), opinion(f.PeerMOS))
	if f.Redundancy > 0 {
		text += fmt.Sprintf(" · redundancy %d", f.Redundancy)
	}
	text += fmt.Sprintf(" · %d sent, %d received", f.Sent, f.Received)
	var causes []string
	for cause, n := range f.Dropped {
		if n > 0 {
			causes = append(causes, fmt.Sprintf("%d %s", n, printable(cause)))
		}
	}
	if len(causes) == 0 {
		return text
	}
	slices.Sort(causes)
	return text + " · dropped: " + strings.Join(causes, ", ")
}

// opinion is a mean opinion score, from 1 to 5; 0: not known.
func opinion(mos float64) string {
	if mos == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f", mos)
}

// A diagnosis is an error as a person needs it: what happened, what to do
// next, and the exit status for scripts.
type diagnosis struct {
	what, hint string
	status     int
}

const statusUsage = 2

// errInterrupted is an interrupt before there was anything to hang up.
var errInterrupted = errors.New("interrupted")

// errStdoutGone ends a call whose results nobody reads any more.
var errStdoutGone = errors.New("stdout is closed: nobody reads what is written there")

// diagnose finds out what to say about err.
func diagnose(err error) diagnosis {
	if d, ok := ctlFailure(err); ok {
		return d
	}
	d := diagnosis{what: printable(err.Error()), status: int(call.ReasonFault)}
	if hint, ok := meetingFailure(err); ok {
		d.hint = hint
		return d
	}
	if hint, ok := doingFailure(err); ok {
		d.hint, d.status = hint, int(call.ReasonNotPossible)
		return d
	}
	var (
		usage *usageError
		dev   *device.Error
		bind  *nat.BindError
		port  *portError
		cert  *certificateError
		file  *settingsError
		nodes *natsError
		name  *nat.NameError
		state *stateError
		priv  *secretError
		out   *fs.PathError
	)
	switch {
	case errors.As(err, &state):
		d = stateFailure(err)
	case isHookError(err):
		d.hint, d.status = hookHint, int(call.ReasonNotPossible)
	case errors.As(err, &priv):
		d.hint, d.status = "a file with the secret, that the user who runs this can read", int(call.ReasonNotPossible)
	case errors.As(err, &usage):
		d.hint, d.status = usage.hint, statusUsage
	case errors.As(err, &dev):
		d.hint, d.status = printable(dev.Hint), int(call.ReasonDevice)
		if dev.File {
			d.status = int(call.ReasonNotPossible)
		}
	case errors.As(err, &bind):
		flag := "--bind"
		if errors.As(err, &port) {
			flag = port.flag
		}
		d.hint, d.status = flag+" ADDR:PORT chooses another; port 0 is any free one", int(call.ReasonNotPossible)
		if bind.Hint != "" {
			d.hint = bind.Hint + "; " + d.hint
		}
	case errors.As(err, &cert):
		d.hint, d.status = cert.hint(), int(call.ReasonNotPossible)
	case errors.As(err, &file):
		d.hint, d.status = file.advice(), int(call.ReasonNotPossible)
	case errors.As(err, &nodes):
		d.hint, d.status = "--nats nats://HOST:4222, or several with commas between them; is nats-server running there, with JetStream?", int(call.ReasonNotPossible)
	case errors.As(err, &name):
		d.hint, d.status = "check the spelling; no contact has that name either; an address such as 192.0.2.7 needs no name server", int(call.ReasonUnreachable)
	case errors.Is(err, mapping.ErrNoGateway):
		d.hint, d.status = "have the router forward the port by hand, or call by a code (--via)", int(call.ReasonNotPossible)
	case errors.Is(err, nat.ErrAddress):
		d.hint, d.status = "a peer is host, host:port or [v6]:port", statusUsage
	case errors.Is(err, nat.ErrNoRoute):
		d.hint, d.status = "is this machine connected, and --bind an address of the peer's family?", int(call.ReasonUnreachable)
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		d.what = errInterrupted.Error()
		d.status = int(call.ReasonInterrupted)
	case errors.As(err, &out) && (out.Path == os.Stdout.Name() || out.Path == os.Stderr.Name()):
		d.status = int(call.ReasonNotPossible)
		d.hint = "give it room, or a reader"
		if errors.Is(err, syscall.EPIPE) {
			d.what = errStdoutGone.Error()
		}
	case errors.Is(err, errStdoutGone):
		d.hint, d.status = "give it a reader", int(call.ReasonNotPossible)
	}
	return d
}

// one is all of the addresses of which any might be right.
func one(tried []netip.AddrPort) string {
	var text []string
	for _, a := range tried {
		text = append(text, a.String())
	}
	return strings.Join(text, " or ")
}

// refused is said once, at once; dialling goes on.
func refused(a netip.AddrPort) diagnosis {
	return diagnosis{
		what: fmt.Sprintf("nobody listens at %s at this moment", a),
		hint: "trying on until --timeout; is securecall listen running there?",
	}
}

// complain says what went wrong, and what to do next.
func complain(w io.Writer, d diagnosis) {
	fmt.Fprintf(w, "securecall: %s\n", d.what)
	if d.hint != "" {
		fmt.Fprintf(w, "  %s\n", d.hint)
	}
}
