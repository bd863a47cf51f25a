package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"securecall/call"
	"securecall/call/cli/ctl"
)

// What ctl does in a call in which people talk: mute, say, stats.

const (
	mutePatience  = 5 * time.Second // for the microphone to be closed or open
	statsPatience = 6 * time.Second // for the first figures, which come after 5 s
)

// A talking is the call in which people talk, as far as ctl has to know it.
type talking struct {
	id    int // 0: there is none
	muted bool
	stats *call.Stats // the last; nil: none yet
}

// note follows the events; it tells whether there was something new.
func (t *talking) note(id int, e call.Event) bool {
	switch e := e.(type) {
	case call.Answered:
		*t = talking{id: id}
	case call.Muted:
		t.muted = e.On
	case call.Stats:
		t.stats = &e
	case call.Ended:
		if id != t.id {
			return false
		}
		*t = talking{}
	default:
		return false
	}
	return true
}

// talks waits for a moment at which ready holds of the call in which people
// talk; late is what there is to say if it does not come in time.
func (r *reachable) talks(ctx context.Context, patience time.Duration, late string, ready func(talking) bool) (talking, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		r.mu.Lock()
		t, changed := r.talking, r.changed
		r.mu.Unlock()
		switch {
		case t.id == 0:
			return t, notPossible("nobody talks here at this moment", "it works from when a call is answered until it ends")
		case ready(t):
			return t, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return t, notPossible(late, "try again")
		}
	}
}

func notPossible(message, hint string) error {
	return &ctl.Error{Status: int(call.ReasonNotPossible), Message: message, Hint: hint}
}

// obeyTalk carries out what ctl asks of a call in which people talk.
func (p *phone) obeyTalk(ctx context.Context, e endpoint, verb string, args []string) (string, error) {
	t, err := p.reach.talks(ctx, 0, "", func(talking) bool { return true })
	if err != nil {
		return "", err
	}
	switch verb {
	case "mute":
		return "", p.ctlMute(ctx, e, t.id, args)
	case "say":
		return "", ctlSay(e, t.id, strings.Join(args, " "))
	default:
		return p.ctlStats(ctx)
	}
}

// ctlMute returns when it is so: a script may go on to say what is secret.
func (p *phone) ctlMute(ctx context.Context, e endpoint, id int, args []string) error {
	on := true
	switch strings.Join(args, " ") {
	case "", "on":
	case "off":
		on = false
	default:
		return &ctl.Error{Status: statusUsage, Message: fmt.Sprintf("ctl mute %q is neither on nor off", strings.Join(args, " ")), Hint: "ctl mute closes the microphone, and ctl mute off opens it"}
	}
	e.Do(id, either(!on, call.Mute, call.Unmute))
	_, err := p.reach.talks(ctx, mutePatience, "the call did not obey", func(t talking) bool { return t.muted == on })
	return err
}

func ctlSay(e endpoint, id int, text string) error {
	if strings.TrimSpace(text) == "" {
		return &ctl.Error{Status: statusUsage, Message: "ctl say needs the text to send", Hint: "e.g. securecall ctl say back in five minutes"}
	}
	err := e.Say(id, text)
	if err == nil {
		return nil
	}
	d := diagnose(err)
	failed := &ctl.Error{Status: d.status, Message: d.what, Hint: d.hint}
	if errors.Is(err, call.ErrTooLong) {
		failed.Status = statusUsage
	}
	return failed
}

// ctlStats is the last event stats, without what is not of the figures.
func (p *phone) ctlStats(ctx context.Context) (string, error) {
	t, err := p.reach.talks(ctx, statsPatience, "there are no figures yet", func(t talking) bool { return t.stats != nil })
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(newFigures(*t.stats))
	return string(line), err
}
