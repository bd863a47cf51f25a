package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"securecall/call"
)

// What two people do in a call besides talking: the keys for it, and what is
// said of it.

// doings are those of the call that is shown.
type doings struct {
	trust       standing
	peer        string // the contact's name; empty: a stranger
	path        string
	stats       *call.Stats // the last; nil: none yet
	came        time.Time   // when packets came last, by these
	said, heard float64     // levels, in dBFS

	held, recording, peerRecords bool
	telling                      bool // r was pressed, and the other side is not told yet

	byTurns bool // the last to close or open the microphone was push-to-talk
	tones   string
	toned   time.Time // when the last of them was sent
}

// toneShown is how long tones stay in the status line.
const toneShown = 3 * time.Second

// callKeys need a call in which people talk; A to D are tones too, but have
// other meanings on a keyboard.
const (
	callKeys = "mhirt " + toneKeys
	toneKeys = "0123456789*#"
)

// doing carries out a key of callKeys.
func (p *phone) doing(e endpoint, key byte) {
	s := p.screen
	switch key {
	case 'm', ' ':
		s.byTurns = key == ' '
		e.Do(s.current, either(s.muted, call.Mute, call.Unmute))
	case 'h':
		e.Do(s.current, either(s.held, call.Hold, call.Unhold))
	case 'r':
		p.record(e)
	case 'i':
		s.figures()
	case 't':
		p.askText(e)
	default:
		if err := e.Press(s.current, string(key)); err != nil {
			s.notDone("no tone was sent", err)
			return
		}
		s.tone(key)
	}
}

// record begins a recording, or ends it even before it has begun.
func (p *phone) record(e endpoint) {
	s := p.screen
	begun := s.recording || s.telling
	if !begun {
		s.say(s.talk, "telling the other side that you record: nothing is written before it knows")
	}
	s.telling = !begun
	e.Do(s.current, either(begun, call.Record, call.EndRecord))
}

// either is what a key does that ends what it has begun.
func either(on bool, begin, end call.Command) call.Command {
	if on {
		return end
	}
	return begin
}

// lacking says why a key of ours does nothing at this moment.
func (s *screen) lacking(key byte) {
	switch {
	case s.hooked && (key == 'a' || key == 'd'):
		s.say(s.ask, "the command of --on-incoming decides about calls")
	case key == 'a' || key == 'd':
		s.say(s.ask, "nothing rings here: there is nothing to answer or to decline")
	case key == 'v':
		s.say(s.ask, "there is nothing to compare yet: no call has keys")
	case key == 'x':
		s.say(s.ask, "x is for keys that have changed, and these have not")
	case strings.IndexByte(callKeys, key) < 0: // no key of ours
	case s.current == 0:
		s.say(s.ask, "%s is for a call, and there is none", keyName(key))
	default:
		s.say(s.ask, "%s is for a call, and this one is not answered yet", keyName(key))
	}
}

func keyName(key byte) string {
	if key == ' ' {
		return "space"
	}
	return string(key)
}

// figures answers the key i.
func (s *screen) figures() {
	if s.stats == nil {
		s.say(s.ask, "there are no figures yet: the first come after 5 seconds of the call")
		return
	}
	s.say(s.ask, "%s", figuresText(*s.stats))
}

// tone shows a tone that is on its way: in the status line, since there will
// be more of them.
func (s *screen) tone(key byte) {
	now := time.Now()
	if s.live == nil {
		s.say(s.ask, "tone %c", key)
		return
	}
	if now.Sub(s.toned) >= toneShown {
		s.tones = ""
	}
	s.tones, s.toned = s.tones+string(key), now
	s.redraw()
}

// askText lets the person type a line for the other side.
func (p *phone) askText(e endpoint) {
	s := p.screen
	id := s.current
	s.prompt("type a line for the other side, then Enter (Esc sends nothing):", func(text string) {
		if text = strings.TrimSpace(text); text == "" {
			s.say(s.ask, "nothing was sent")
		} else if err := e.Say(id, strings.ToValidUTF8(text, "")); err != nil {
			s.notDone("not sent", err)
		}
	})
	s.typing.limit, s.typing.lasting = call.MaxText, true
}

// notDone says why something was not done, to who asked for it.
func (s *screen) notDone(what string, err error) {
	d := diagnose(err)
	s.say(s.ask, "%s: %s", what, d.what)
	if d.hint != "" {
		s.say(s.ask, "  %s", d.hint)
	}
}

// they are the other side, by name where it has one.
func (s *screen) they() string {
	if s.peer != "" {
		return s.peer
	}
	return "the other side"
}

// showDoing tells of an event of what is done in a call.
func (s *screen) showDoing(e call.Event) {
	switch e := e.(type) {
	case call.Muted:
		s.muted = e.On
		s.say(s.talk, "%s", mutedText(e.On, s.byTurns))
	case call.Held:
		s.held = e.On
		s.say(s.talk, "%s", heldText(e.On, s.muted))
	case call.Recording:
		s.recordingEvent(e)
	case call.PeerRecording:
		s.peerRecords = e.On
		if e.On {
			s.say(s.results, "%s", s.paint(red, s.they()+" records this call"))
		} else {
			s.say(s.results, "%s has stopped recording", s.they())
		}
	case call.Text:
		s.written(e.Text)
	case call.DTMF:
		s.say(s.talk, "%s pressed %s", s.they(), printable(e.Digits))
	case call.Stats:
		if s.stats == nil || e.Received > s.stats.Received {
			s.came = time.Now()
		}
		s.stats = &e
		if s.verbose {
			s.say(s.talk, "%s", figuresText(e))
		}
	}
	s.redraw()
}

func mutedText(on, byTurns bool) string {
	switch {
	case on && byTurns:
		return "muted: the other side hears silence until you press space again"
	case on:
		return "muted: the other side hears silence"
	case byTurns:
		return "not muted: the other side hears you until you press space again"
	}
	return "not muted: the other side hears you"
}

func heldText(on, muted bool) string {
	switch {
	case on:
		return "on hold: neither side hears the other one until you press h again"
	case muted:
		return "not on hold any more: you hear the other side, and are still muted"
	}
	return "not on hold any more: you hear each other again"
}

func (s *screen) recordingEvent(e call.Recording) {
	was := s.recording
	s.recording, s.telling = e.On, false
	switch {
	case e.On:
		s.say(s.results, "%s to %s: left what you say, right what you hear", s.paint(red, "recording"), printable(e.File))
		if !s.records.untold {
			s.say(s.talk, "  the other side has been told")
		}
	case e.Err == nil && e.File == "":
		s.say(s.results, "the recording has ended before it began")
	case e.Err == nil:
		s.say(s.results, "the recording has ended: %s", printable(e.File))
	default:
		what := "there is no recording"
		if was {
			what = "the recording has ended early"
		}
		d := diagnose(e.Err)
		s.say(s.results, "%s: %s", what, d.what)
		s.hint(d.hint)
	}
}

// written shows a line of the other side's. On a terminal a long one would go
// on where our own lines begin, and could pretend to be one: each further row
// has a mark.
func (s *screen) written(text string) {
	line := fmt.Sprintf("%s writes: %s", s.they(), printable(text))
	rows := []string{line}
	if room := roomOf(s.results); room > 0 {
		rows = wrapped(line, "  | ", room-1)
	}
	for _, row := range rows {
		s.say(s.results, "%s", row)
	}
}

// roomOf is how wide a line may be, in columns, that is written to w; 0: as wide as it likes.
func roomOf(w io.Writer) int {
	switch w := w.(type) {
	case sentences:
		return roomOf(w.w)
	case *prefixed:
		if room := roomOf(w.w); room > 0 {
			return max(1, room-columns(w.prefix))
		}
	case *console:
		if w.terminal {
			return w.width()
		}
	}
	return 0
}

// doingFailure is what to do where something cannot be done in a call.
func doingFailure(err error) (hint string, ok bool) {
	for _, f := range []struct {
		err  error
		hint string
	}{
		{call.ErrNoCall, "it works from when a call is answered until it ends"},
		{call.ErrTooLong, "send it in parts"},
		{call.ErrNoText, "write something"},
		{call.ErrNoKey, "leave out the rest"},
		{call.ErrNotTold, "only another securecall understands it, in a call that is answered"},
		{call.ErrBehind, "wait a moment, and try again; if it goes on, the network lets nothing through"},
		{call.ErrDoubt, "compare the words: v, or securecall ctl verify"},
		{call.ErrNoRecorder, "--record FILE.wav or DIR/ says where to"},
		{call.ErrUntold, "ask its person, and then call with --record-untold"},
	} {
		if errors.Is(err, f.err) {
			return f.hint, true
		}
	}
	return "", false
}
