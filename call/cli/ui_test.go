package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"securecall/audio/device"
	"securecall/call"
	"securecall/call/meet"
	"securecall/crypto/zrtp"
	"securecall/nat"
)

// What a person reads, as one text: the events of a call on a screen that
// shows everything.
func TestScreen(t *testing.T) {
	var b bytes.Buffer
	s := &screen{results: &b, talk: &b, errors: &b, ask: &b, bell: true, verbose: true, many: true, mic: "headset", speaker: "default", records: &records{}}
	for _, i := range sampleEvents() {
		fmt.Fprintf(&b, "[%s]\n", i.e.Name())
		s.show(i.at, i.id, i.e)
	}
	golden(t, "testdata/screen.txt", b.Bytes())
}

// That a call goes another way is said without -v too, but not how it began.
func TestPathChanged(t *testing.T) {
	var b bytes.Buffer
	s := &screen{talk: &b, results: &b, errors: &b}
	path := call.PathChanged{Kind: "direct", Local: netip.MustParseAddrPort("192.0.2.1:1"), Remote: netip.MustParseAddrPort("192.0.2.2:2")}
	for _, e := range []call.Event{path, call.Answered{}, path} {
		s.show(time.Time{}, 1, e)
	}
	if got := strings.Count(b.String(), "the network has changed: the call goes on, from 192.0.2.1:1 to 192.0.2.2:2\n"); got != 1 {
		t.Errorf("said %d times:\n%s", got, b.String())
	}
}

// Each way that a call can fail, with its next step.
func TestEndings(t *testing.T) {
	var b bytes.Buffer
	for _, e := range []call.Ended{
		{Reason: call.ReasonFault, Err: errors.New("random source: broken")},
		{Reason: call.ReasonNoAnswer},
		{Reason: call.ReasonBusy},
		{Reason: call.ReasonDeclined},
		{Reason: call.ReasonDeclined, Err: call.ErrNotAccepted},
		{Reason: call.ReasonUnreachable},
		{Reason: call.ReasonLost},
		{Reason: call.ReasonNotZRTP},
		{Reason: call.ReasonRequire, Err: errors.New("the other side is not as well known as --require asks")},
		{Reason: call.ReasonKeysChanged, Err: errors.New("changed")},
		{Reason: call.ReasonSAS, Err: errors.New("unequal")},
		{Reason: call.ReasonSAS, Err: call.ErrUnequalThere},
		{Reason: call.ReasonKeys, Err: errors.New("zrtp: no common key agreement")},
		{Reason: call.ReasonKeys, Err: zrtp.ErrLargeCommit},
		{Reason: call.ReasonDevice, Err: &device.Error{Spec: "default", Err: errors.New("no sound server"), Hint: "use --mic none"}},
		{Reason: call.ReasonNotPossible, Err: &device.Error{Spec: "x.wav", Err: errors.New("not a WAV file"), File: true}},
		{Reason: call.ReasonInterrupted},
	} {
		s := &screen{results: &b, talk: &b, errors: &b, caller: true, current: 1, tried: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:5004")}}
		fmt.Fprintf(&b, "[%d]\n", e.Reason)
		s.show(time.Time{}, 1, e)
	}
	golden(t, "testdata/endings.txt", b.Bytes())
}

// A caller who did not get as far as to ring is nobody's business.
func TestOtherCallers(t *testing.T) {
	var b bytes.Buffer
	s := &screen{results: &b, talk: &b, errors: &b, current: 1, talking: true}
	s.show(time.Time{}, 2, call.Ended{Reason: call.ReasonKeys, Err: errors.New("nonsense")})
	if b.Len() > 0 || s.current != 1 || !s.talking {
		t.Errorf("a stranger's failure is shown: %q, %+v", &b, s)
	}
}

// Every error of the packages below has its exit status and a next step.
func TestDiagnose(t *testing.T) {
	inside := func(err error) error { return fmt.Errorf("wrapped: %w", err) }
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"usage":     {usagef("hint", "wrong"), 2},
		"device":    {inside(&device.Error{Spec: "x", Err: os.ErrNotExist, Hint: "plug it in"}), 30},
		"file":      {inside(&device.Error{Spec: "x.wav", Err: os.ErrNotExist, Hint: "look", File: true}), 31},
		"bind":      {inside(&nat.BindError{Addr: netip.MustParseAddrPort("[::]:5004"), Err: os.ErrPermission}), 31},
		"name":      {inside(&nat.NameError{Name: "bob", Err: os.ErrNotExist}), 13},
		"route":     {inside(nat.ErrNoRoute), 13},
		"address":   {inside(nat.ErrAddress), 2},
		"interrupt": {errInterrupted, 130},
		"stdout":    {errStdoutGone, 31},
		"stdout 2":  {inside(&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}), 31},
		"stdout 3":  {inside(&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}), 31},
		"ours":      {errors.New("impossible"), 1},
	} {
		d := diagnose(c.err)
		if d.status != c.status {
			t.Errorf("%s: status %d, want %d", name, d.status, c.status)
		}
		if d.what == "" || d.hint == "" && c.status != 1 && name != "interrupt" && !strings.HasPrefix(name, "stdout") {
			t.Errorf("%s: %+v says too little", name, d)
		}
	}
	if d := diagnose(errors.New("evil\x1b[2J\u202e")); d.what != "evil[2J" {
		t.Errorf("an error's text is printed as it came: %q", d.what)
	}
}

// The waiting line is renewed in place, never wider than the terminal, and out
// of the way of other lines.
func TestWaitingLine(t *testing.T) {
	var b bytes.Buffer
	live := &console{w: &b, terminal: true}
	s := &screen{results: &b, talk: &b, live: live}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	s.wait(at, "waiting for a call")
	s.tick(at.Add(65 * time.Second))
	s.say(s.talk, "something")
	s.wait(at, strings.Repeat("x", 200))
	s.done()
	s.tick(at.Add(time.Hour))
	want := "\rwaiting for a call · 0:00 · since 05:06:07\x1b[K\r" +
		"\rwaiting for a call · 1:05 · since 05:06:07\x1b[K\r" +
		"\r\x1b[Ksomething\n" +
		"\r" + strings.Repeat("x", 79) + "\x1b[K\r" +
		"\r\x1b[K"
	if got := b.String(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// Somebody who guesses at a code is told of whatever -q leaves out.
func TestQuietTellsOfGuesses(t *testing.T) {
	var b strings.Builder
	s := &screen{talk: io.Discard, results: io.Discard, errors: &b}
	s.show(time.Now(), 0, call.Fault{Err: meet.ErrLeft})
	if b.Len() > 0 {
		t.Errorf("told of somebody who has left: %s", b.String())
	}
	s.show(time.Now(), 0, call.Fault{Err: meet.ErrGuessed})
	if !strings.Contains(b.String(), "somebody has tried your code's number with wrong words") {
		t.Errorf("said %q", b.String())
	}
}

// The words to be compared fit into 80 columns, however long they are.
func TestWordsFitTheScreen(t *testing.T) {
	for _, sas := range []string{"tissue disbelief", "backfield belowground"} {
		var b bytes.Buffer
		s := &screen{results: &b, talk: io.Discard, errors: io.Discard, ask: &b}
		s.show(time.Time{}, 1, call.Secured{SAS: sas, Continuity: "new"})
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "read to each other") && (columns(line)-1 > 79 || !strings.Contains(line, "  (press v")) {
				t.Errorf("%d columns: %s", columns(line)-1, line)
			}
		}
	}
}
