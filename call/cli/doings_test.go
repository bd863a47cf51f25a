package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

// escapes are what moves the cursor or changes colours.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)

// An asked is an endpoint that keeps what was wanted of it.
type asked struct {
	wanted []string
	err    error // of Say and Press
	did    func(call.Command)
}

func (a *asked) Run(context.Context) call.Ended                  { return call.Ended{} }
func (a *asked) Compare(int, string, string) (c call.Comparison) { return c }
func (a *asked) BeforePanic(func())                              {}
func (a *asked) Levels(int) (said, heard float64)                { return -20, -30 }
func (a *asked) Say(_ int, text string) error                    { return a.want("say " + text) }
func (a *asked) Press(_ int, digits string) error                { return a.want("press " + digits) }

func (a *asked) want(what string) error { a.wanted = append(a.wanted, what); return a.err }

func (a *asked) Do(id int, c call.Command) {
	names := map[call.Command]string{
		call.Mute: "mute", call.Unmute: "unmute", call.Hold: "hold", call.Unhold: "unhold",
		call.Record: "record", call.EndRecord: "end", call.Answer: "answer", call.Decline: "decline", call.Hangup: "hangup",
		call.BeginVerify: "begin", call.EndVerify: "end verify",
	}
	_ = a.want(fmt.Sprintf("%s %d", names[c], id))
	if a.did != nil {
		a.did(c)
	}
}

// atPhone is somebody at the keys in call 7.
func atPhone() (*phone, *asked, *bytes.Buffer) {
	var b bytes.Buffer
	s := &screen{results: &b, talk: &b, errors: &b, ask: &b, current: 7, talking: true, records: &records{}}
	return &phone{s: &settings{}, screen: s, reach: newReachable()}, &asked{}, &b
}

func (p *phone) types(e endpoint, keys string) {
	for _, key := range []byte(keys) {
		p.key(context.Background(), e, func() {}, key)
	}
}

func TestKeysInACall(t *testing.T) {
	p, e, b := atPhone()
	tell := func(events ...call.Event) {
		for _, event := range events {
			p.screen.show(answeredAt, 7, event)
		}
	}
	p.types(e, "mhr")
	tell(call.Muted{On: true}, call.Held{On: true}, call.Recording{On: true, File: "talk.wav"})
	p.types(e, "mhr")
	tell(call.Muted{}, call.Held{}, call.Recording{File: "talk.wav"})
	p.types(e, " ")
	tell(call.Muted{On: true})
	p.types(e, " ")
	tell(call.Muted{})
	p.types(e, "0*#ABCD")
	p.types(e, "thello there\r")
	want := []string{
		"mute 7", "hold 7", "record 7", "unmute 7", "unhold 7", "end 7", "mute 7", "unmute 7",
		"press 0", "press *", "press #", "say hello there",
	}
	if !slices.Equal(e.wanted, want) {
		t.Errorf("wanted %q\nwant   %q", e.wanted, want)
	}
	text := `telling the other side that you record: nothing is written before it knows
muted: the other side hears silence
on hold: neither side hears the other one until you press h again
recording to talk.wav: left what you say, right what you hear
  the other side has been told
not muted: the other side hears you
not on hold any more: you hear each other again
the recording has ended: talk.wav
muted: the other side hears silence until you press space again
not muted: the other side hears you until you press space again
tone 0
tone *
tone #
type a line for the other side, then Enter (Esc sends nothing):
> hello there
`
	if got := b.String(); got != text {
		t.Errorf("said\n%s\nwant\n%s", got, text)
	}
}

// Who types a line is not stopped in time when its prompt is taken back: the rest of it is no
// keys of a call. It ends with Enter, or with a pause.
func TestRestOfALineIsNoKeys(t *testing.T) {
	for _, end := range []string{"\r", "\x1b", "a pause"} {
		p, e, _ := atPhone()
		p.types(e, "thello")
		p.screen.unprompt()
		p.types(e, " a mhrq")
		if end == "a pause" {
			p.screen.stray = time.Now()
		} else {
			p.types(e, end)
		}
		p.types(e, "m")
		if want := []string{"mute 7"}; !slices.Equal(e.wanted, want) {
			t.Errorf("ended by %q: wanted %q, want %q", end, e.wanted, want)
		}
	}
}

// A key that needs something that is not there says so, and does nothing.
func TestKeysThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		current int
		talking bool
		keys    string
		want    string
	}{
		{0, false, "mhirt 0*", "is for a call, and there is none"},
		{0, false, " ", "space is for a call"},
		{7, false, "mhirt 9#", "is for a call, and this one is not answered yet"},
		{7, true, "ad", "nothing rings here"},
		{0, false, "v", "there is nothing to compare yet"},
		{7, true, "x", "x is for keys that have changed"},
		{7, true, "i", "there are no figures yet"},
		{7, true, "ABCDzZ\x1b\x01", ""},
	} {
		p, e, b := atPhone()
		p.screen.current, p.screen.talking = c.current, c.talking
		for _, key := range []byte(c.keys) {
			b.Reset()
			p.types(e, string(key))
			if got := b.String(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%q said %q, want %q", key, got, c.want)
			}
		}
		if len(e.wanted) > 0 {
			t.Errorf("%q did %q", c.keys, e.wanted)
		}
	}
}

func TestFiguresOnce(t *testing.T) {
	p, e, b := atPhone()
	p.screen.show(answeredAt, 7, sampleStats())
	if b.Len() > 0 {
		t.Errorf("without -v figures are shown when they come: %s", b)
	}
	p.types(e, "i")
	if got := b.String(); strings.Count(got, "round trip 12 ms") != 1 || strings.Count(got, "\n") != 1 {
		t.Errorf("said %q", got)
	}
}

// What cannot be done is said with its reason and the next step.
func TestDoingFails(t *testing.T) {
	for _, c := range []struct {
		keys string
		err  error
		want string
	}{
		{"thello\r", call.ErrNotTold, "not sent: "},
		{"thello\r", call.ErrTooLong, "not sent: "},
		{"5", call.ErrNoCall, "no tone was sent: "},
	} {
		p, e, b := atPhone()
		e.err = c.err
		p.types(e, c.keys)
		hint, _ := doingFailure(c.err)
		if got := b.String(); hint == "" || !strings.HasSuffix(got, c.want+c.err.Error()+"\n  "+hint+"\n") {
			t.Errorf("%v: said %q", c.err, got)
		}
	}
	p, _, b := atPhone()
	p.screen.show(answeredAt, 7, call.Recording{Err: call.ErrUntold})
	p.screen.recording = true
	p.screen.show(answeredAt, 7, call.Recording{Err: errors.New("disk \x1b[2Jfull")})
	for _, want := range []string{"there is no recording: ", "--record-untold", "the recording has ended early: disk [2Jfull\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in %q", want, b)
		}
	}
}

// Whoever records without being able to tell is not told that he has told.
func TestUntoldRecordingClaimsNothing(t *testing.T) {
	p, _, b := atPhone()
	p.screen.records.untold = true
	p.screen.show(answeredAt, 7, call.Recording{On: true, File: "talk.wav"})
	if got := b.String(); strings.Contains(got, "told") {
		t.Errorf("said %q", got)
	}
}

func TestTextCanBeLeft(t *testing.T) {
	for _, keys := range []string{"thello\x1b", "t\r", "t   \r", "tx\x15\r"} {
		p, e, b := atPhone()
		p.types(e, keys)
		if len(e.wanted) > 0 || !strings.HasSuffix(b.String(), "nothing was sent\n") {
			t.Errorf("%q did %q, and said %q", keys, e.wanted, b)
		}
		p.types(e, "m") // keys are keys again
		if !slices.Equal(e.wanted, []string{"mute 7"}) {
			t.Errorf("%q: then m did %q", keys, e.wanted)
		}
	}
}

// A message holds 512 octets, and whole letters only.
func TestLongText(t *testing.T) {
	p, e, _ := atPhone()
	p.types(e, "tx"+strings.Repeat("ä", 400)+"\r")
	if want := "say x" + strings.Repeat("ä", 255); len(e.wanted) != 1 || e.wanted[0] != want {
		t.Errorf("said %d octets: %q", len(e.wanted[0]), e.wanted)
	}
}

// What arrives while somebody types does not tear the line apart, with and
// without a line that is renewed; nor does a comparison end it.
func TestLinesWhileTyping(t *testing.T) {
	p, e, b := atPhone()
	p.types(e, "thä")
	p.screen.show(answeredAt, 7, call.Text{Text: "hi"})
	p.screen.show(answeredAt, 7, call.Verified{How: "via"})
	p.types(e, "\x7fello\r")
	want := "> hä\nthe other side writes: hi\n> hä\nverified: the words are the same (the command of --verify-via printed them)\n> hä\b \bello\n"
	if _, got, _ := strings.Cut(b.String(), ":\n"); got != want {
		t.Errorf("said %q\nwant %q", got, want)
	}
	if !slices.Equal(e.wanted, []string{"say hello"}) {
		t.Errorf("did %q", e.wanted)
	}

	p, e, b = atPhone()
	p.screen.live, p.screen.waiting, p.screen.since = &console{w: b, terminal: true}, "in the call", time.Now()
	p.types(e, "t"+strings.Repeat("x", 100)+"end")
	b.Reset()
	p.screen.show(answeredAt, 7, call.Text{Text: "hi"})
	want = "\r\x1b[Kthe other side writes: hi\n\r> " + strings.Repeat("x", 73) + "end_\x1b[K"
	if got := b.String(); got != want {
		t.Errorf("said %q\nwant %q", got, want)
	}
}

// Tones come many at once: they are in the status line, for a moment.
func TestTonesInTheStatusLine(t *testing.T) {
	p, e, b := atPhone()
	p.screen.live, p.screen.waiting, p.screen.since = &console{w: b, terminal: true}, "in the call", time.Now()
	p.types(e, "12#")
	if got := b.String(); !strings.Contains(got, "tones 12#") || strings.Contains(got, "\n") {
		t.Errorf("said %q", got)
	}
}

// hostile is what a peer might write: to clear the screen, to turn text round,
// to begin a line of ours, and too much of it.
var hostile = "\x1b[2J\x1b]0;owned\a\u202everified\u202c\r\nverified: the words are the same\u009b31m\u2066" +
	strings.Repeat("⚡.", 5000) + "verified: the words are the same"

// A peer's text is one line without anything that a terminal obeys.
func TestHostileText(t *testing.T) {
	for name, event := range map[string]call.Event{"text": call.Text{Text: hostile}, "digits": call.DTMF{Digits: hostile}} {
		p, _, b := atPhone()
		p.screen.show(answeredAt, 7, event)
		line, whole := strings.CutSuffix(b.String(), "\n")
		if !whole || line != printable(line) || !strings.HasPrefix(line, "the other side ") {
			t.Errorf("%s: said %q", name, line)
		}
		var j bytes.Buffer
		if err := newEvents(&j, &settings{}).show(answeredAt, 7, event); err != nil {
			t.Fatal(err)
		}
		if line, whole := strings.CutSuffix(j.String(), "\n"); !whole || line != printable(line) || strings.Contains(line, `\u00`) {
			t.Errorf("%s: wrote %q", name, j.String())
		}
	}
}

// On a terminal a long text goes on in the next row, which never looks like
// a line of ours.
func TestHostileTextOnATerminal(t *testing.T) {
	for _, number := range []string{"", "call 2: "} { // alone, and one of several
		p, _, b := atPhone()
		p.screen.results = &console{w: b, terminal: true}
		if number != "" {
			p.screen.results = &prefixed{p.screen.results, number}
		}
		p.screen.show(answeredAt, 7, call.Text{Text: hostile})
		rows := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		for i, row := range rows {
			if columns(row) > 79 || row != printable(row) || !strings.HasPrefix(row, number) || i > 0 && !strings.HasPrefix(row, number+"  | ") {
				t.Fatalf("row %d: %q", i, row)
			}
		}
		if len(rows) < 2 {
			t.Errorf("it is one row: %q", rows)
		}
	}
}

func TestHelpNamesEveryKey(t *testing.T) {
	p, e, b := atPhone()
	p.types(e, "?")
	for _, want := range []string{"v verify", "m mute", "h hold", "i see", "r record", "t write", "0-9 * #", "space talk", "q hang up"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b)
		}
	}
	for line := range strings.Lines(b.String()) {
		if columns(line) > 80 {
			t.Errorf("%d columns: %s", columns(line), line)
		}
	}
}

// With --json keys work as well, and say nothing into the lines of a script.
func TestKeysWithJSON(t *testing.T) {
	p, e, b := atPhone()
	p.screen.results, p.screen.talk = io.Discard, io.Discard
	p.types(e, "m")
	p.screen.show(answeredAt, 7, call.Muted{On: true})
	p.screen.show(answeredAt, 7, call.Text{Text: "hi"})
	if b.Len() > 0 || !slices.Equal(e.wanted, []string{"mute 7"}) {
		t.Errorf("said %q, did %q", b, e.wanted)
	}
}

// A recording that the other side does not know of yet can be ended as well.
func TestRecordingEndsBeforeItBegins(t *testing.T) {
	p, e, _ := atPhone()
	p.types(e, "rr")
	p.screen.show(answeredAt, 7, call.Recording{})
	p.types(e, "r")
	if want := []string{"record 7", "end 7", "record 7"}; !slices.Equal(e.wanted, want) {
		t.Errorf("did %q, want %q", e.wanted, want)
	}
}
