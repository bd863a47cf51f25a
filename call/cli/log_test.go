package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"securecall/call"
	"securecall/call/meet"
	"securecall/nat"
	"securecall/nat/rendezvous"
)

// logged is what a log has of one of each event.
func logged(s *settings) string {
	var b bytes.Buffer
	l := newLogbook(&b, s)
	for _, i := range sampleEvents() {
		l.show(i.at, i.id, i.e)
	}
	return b.String()
}

func TestLog(t *testing.T) {
	golden(t, "testdata/log.txt", []byte("[--log text]\n"+logged(&settings{log: "text"})+"[--log text -v]\n"+logged(&settings{log: "text", verbose: true})))
}

// Without -v nobody is named; and what people write, press and read to each other is in no log.
func TestLogNamesNobody(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		quiet, all := logged(&settings{log: format}), logged(&settings{log: format, verbose: true})
		for _, who := range []string{"bob", "203.0.113.7", "2001:db8::7", "000102030405060708090a0b"} {
			if strings.Contains(quiet, who) {
				t.Errorf("%s: %s is in it:\n%s", format, who, quiet)
			}
			if !strings.Contains(all, who) {
				t.Errorf("%s, with -v: %s is not in it", format, who)
			}
		}
		for _, what := range []string{"tissue", "five", "\x1b", "\u202e"} {
			if strings.Contains(all, what) {
				t.Errorf("%s: %q is in it:\n%s", format, what, all)
			}
		}
	}
}

// A line an event, each of which a program can read.
func TestLogIsJSON(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(logged(&settings{log: "json", verbose: true})), "\n")
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		for _, name := range []string{"time", "level", "msg"} {
			if fields[name] == nil {
				t.Errorf("no %s: %s", name, line)
			}
		}
	}
	if len(lines) < 20 {
		t.Errorf("%d lines", len(lines))
	}
}

// Names that stand in an error stay out as well, a limit that is reached is told, and -q leaves
// what is as it should be.
func TestLogOfFaults(t *testing.T) {
	for _, c := range []struct {
		err       error
		with, not string
	}{
		{&call.BusyError{Who: "bob"}, "bob has called meanwhile", "somebody has called meanwhile"},
		{&meet.VisitError{Who: "bob", Err: errors.New("no way")}, "bob called, and it came to nothing: no way", "a contact called, and it came to nothing: no way"},
		{
			&meet.VisitError{Who: "bob", Err: nat.NewBindError("UDP", netip.MustParseAddrPort("192.0.2.7:5004"), syscall.EACCES)},
			"cannot use UDP 192.0.2.7:5004", "it came to nothing: cannot use UDP port 5004",
		},
		{&remappedError{netip.MustParseAddrPort("192.0.2.7:5004")}, "dial 192.0.2.7:5004", `msg="the router forwards another port now"`},
		{
			&rendezvous.ServerError{Server: "meet.example", Kind: rendezvous.ErrUnreachable, Err: errors.New("192.0.2.7 is silent")},
			"meet.example", `msg="the rendezvous server: `,
		},
		{fmt.Errorf("all 2 calls are taken: a caller was told busy"), "all 2 calls are taken", "all 2 calls are taken"},
		{errors.New("evil\n\x1b[2Jtime=1"), `msg="evil [2Jtime=1"`, `msg="evil [2Jtime=1"`},
	} {
		for names, want := range map[bool]string{true: c.with, false: c.not} {
			var b bytes.Buffer
			l := newLogbook(&b, &settings{log: "text", verbose: names})
			l.show(time.Now(), 0, call.Fault{Err: c.err, Hint: "do"})
			if got := b.String(); !strings.Contains(got, want) || !strings.Contains(got, "hint=do") || strings.Count(got, "\n") != 1 {
				t.Errorf("-v %v: %s", names, got)
			}
		}
	}
	var b bytes.Buffer
	l := newLogbook(&b, &settings{log: "text", quiet: true})
	for _, e := range []call.Event{fromBob, call.Answered{}, call.Ended{}} {
		l.show(time.Now(), 1, e)
	}
	if b.Len() > 0 {
		t.Errorf("-q: %s", &b)
	}
	l.show(time.Now(), 1, call.Ended{Reason: call.ReasonLost, Err: errors.New("nothing was heard")})
	if got := b.String(); !strings.Contains(got, `level=WARN msg="call ended" call=1 reason=lost code=14`) || !strings.Contains(got, `error="nothing was heard"`) {
		t.Errorf("-q: %s", got)
	}
}
