package cli

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/call"
	"securecall/call/cli/ctl"
)

// answered is told of a call up to where people talk.
func (r *reachable) answered(id int) {
	r.note(id, call.Secured{SAS: "tissue disbelief"})
	r.note(id, call.Answered{})
}

// With several calls ctl does nothing until it is told which is meant; with one it is that.
func TestCtlOfSeveralCalls(t *testing.T) {
	p, e, _ := atPhone()
	p.reach.note(1, call.Secured{SAS: "adult amulet"})
	p.reach.answered(4)
	p.reach.note(7, call.Secured{SAS: "topmost Istanbul"})
	p.reach.note(7, call.Incoming{})
	ask := func(verb string, id int, args ...string) (string, error) {
		return p.obeyCtl(t.Context(), e, ctl.Request{Verb: verb, Call: id, Args: args})
	}
	for verb := range ctlVerbs {
		_, err := ask(verb, 0, "on")
		fails(t, err, 2, "3 calls are running: say --call 1, 4 or 7")
		_, err = ask(verb, 5, "on")
		fails(t, err, 31, "there is no call 5 here")
	}
	if len(e.wanted) > 0 {
		t.Errorf("did %q", e.wanted)
	}
	for id, want := range map[int]string{1: "adult amulet", 4: "tissue disbelief", 7: "topmost Istanbul"} {
		if sas, err := ask("sas", id); sas != want || err != nil {
			t.Errorf("call %d: %q, %v", id, sas, err)
		}
	}
	for _, c := range []struct {
		verb string
		id   int
		want string
	}{
		{"answer", 1, "nothing rings here"},
		{"answer", 4, "nothing rings here"},
		{"mute", 1, "nobody talks here"},
		{"say", 7, "nobody talks here"},
	} {
		if _, err := ask(c.verb, c.id, "on"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s --call %d: %v, want %s", c.verb, c.id, err, c.want)
		}
	}
	e.did = func(c call.Command) {
		if c == call.Mute {
			p.reach.note(4, call.Muted{On: true})
		}
	}
	for _, c := range []struct {
		verb string
		id   int
	}{{"decline", 7}, {"answer", 7}, {"say", 4}, {"hangup", 1}, {"mute", 4}} {
		if _, err := ask(c.verb, c.id, "on"); err != nil {
			t.Errorf("%s --call %d: %v", c.verb, c.id, err)
		}
	}
	if want := []string{"decline 7", "answer 7", "say on", "hangup 1", "mute 4"}; !slices.Equal(e.wanted, want) {
		t.Errorf("did %q, want %q", e.wanted, want)
	}
	p.reach.note(1, call.Ended{})
	p.reach.note(7, call.Ended{})
	if sas, err := ask("sas", 0); sas != "tissue disbelief" || err != nil {
		t.Errorf("of the one that is left: %q, %v", sas, err)
	}
}

// Who asks for the words a little too early waits for the keys.
func TestCtlWaitsForKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, e, _ := atPhone()
		for _, id := range []int{0, 4} {
			begun := time.Now()
			_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "sas", Call: id})
			fails(t, err, 31, "there is no call with keys")
			if took := time.Since(begun); took != ctlPatience {
				t.Errorf("it took %v", took)
			}
		}
		time.AfterFunc(time.Second, func() { p.reach.note(4, call.Secured{SAS: "adult amulet"}) })
		if sas, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "sas", Call: 4}); sas != "adult amulet" || err != nil {
			t.Errorf("%q, %v", sas, err)
		}
		_, err := p.obeyCtl(t.Context(), e, ctl.Request{Verb: "hangup", Call: 5})
		fails(t, err, 31, "there is no call 5 here")
	})
}

func TestAnyOf(t *testing.T) {
	var ids []int
	for id := range 30 {
		ids = append(ids, id+1)
	}
	for n, want := range map[int]string{1: "1", 2: "1 or 2", 3: "1, 2 or 3", 20: "19 or 20", 30: "19, 20 or another one"} {
		if got := anyOf(ids[:n]); !strings.HasSuffix(got, want) {
			t.Errorf("%d calls: %s", n, got)
		}
	}
}
