package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/call"
	"securecall/call/cli/ctl"
)

func fails(t *testing.T, err error, status int, words string) {
	t.Helper()
	var e *ctl.Error
	if !errors.As(err, &e) || e.Status != status || !strings.Contains(e.Message, words) || e.Hint == "" {
		t.Errorf("got %#v, want %d %q", err, status, words)
	}
}

// Before a call is answered and after its end there is nobody to mute or to
// tell anything.
func TestCtlNeedsACall(t *testing.T) {
	p, e, _ := atPhone()
	ask := func(when string) {
		t.Helper()
		for _, verb := range []string{"mute", "say", "stats"} {
			_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: verb, Args: []string{"on"}})
			fails(t, err, 31, "nobody talks here")
		}
		if len(e.wanted) > 0 {
			t.Errorf("%s: did %q", when, e.wanted)
		}
	}
	ask("without a call")
	p.reach.note(7, call.Secured{})
	ask("while it rings")
	p.reach.note(7, call.Answered{})
	p.reach.note(8, call.Ended{}) // another one
	if _, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "say", Args: []string{"hi"}}); err != nil {
		t.Error(err)
	}
	e.wanted = nil
	p.reach.note(7, call.Ended{})
	ask("afterwards")
}

// Who has closed the microphone by a script can go on to say what is secret.
func TestCtlMuteReturnsWhenItIsSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, e, _ := atPhone()
		p.reach.answered(7)
		begun, muted := time.Now(), false
		e.did = func(c call.Command) {
			time.AfterFunc(time.Second, func() {
				muted = c == call.Mute
				p.reach.note(7, call.Muted{On: muted})
			})
		}
		for i, args := range [][]string{nil, {"off"}, {"on"}} {
			if _, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "mute", Args: args}); err != nil || muted != (i != 1) {
				t.Errorf("mute %q: muted is %v (%v)", args, muted, err)
			}
		}
		if d := time.Since(begun); d != 3*time.Second {
			t.Errorf("it took %v", d)
		}
		if want := []string{"mute 7", "unmute 7", "mute 7"}; !slices.Equal(e.wanted, want) {
			t.Errorf("did %q", e.wanted)
		}

		e.did = nil // a call that is stuck
		_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "mute", Args: []string{"off"}})
		fails(t, err, 31, "did not obey")
		_, err = p.obeyCtl(t.Context(), e, ctl.Request{Verb: "mute", Args: []string{"perhaps"}})
		fails(t, err, 2, "neither on nor off")
	})
}

func TestCtlSay(t *testing.T) {
	p, e, _ := atPhone()
	p.reach.answered(7)
	if _, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "say", Args: []string{"back", "in five"}}); err != nil {
		t.Error(err)
	}
	_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "say", Args: []string{" "}})
	fails(t, err, 2, "needs the text")
	e.err = call.ErrTooLong
	_, err = p.obeyCtl(t.Context(), e, ctl.Request{Verb: "say", Args: []string{"x"}})
	fails(t, err, 2, "")
	e.err = call.ErrNotTold
	_, err = p.obeyCtl(t.Context(), e, ctl.Request{Verb: "say", Args: []string{"x"}})
	fails(t, err, 31, "")
	if e.wanted[0] != "say back in five" {
		t.Errorf("did %q", e.wanted)
	}
}

// The figures are one line, with the fields of the event; who asks too early
// waits for them.
func TestCtlStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, e, _ := atPhone()
		p.reach.answered(7)
		_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "stats"})
		fails(t, err, 31, "no figures yet")

		time.AfterFunc(5*time.Second, func() { p.reach.note(7, sampleStats()) })
		text, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "stats"})
		if err != nil || strings.Contains(text, "\n") || text != printable(text) {
			t.Fatalf("%q, %v", text, err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Fields(fields["stats"]) {
			if _, has := m[field]; !has {
				t.Errorf("no %s in %s", field, text)
			}
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel() // who asked has gone
		p.reach.answered(7)
		_, err = p.obeyCtl(ctx, e, ctl.Request{Verb: "stats"})
		fails(t, err, 31, "no figures yet")
	})
}
