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

// obeyTalk carries out what ctl asks of a call in which people talk.
func (p *phone) obeyTalk(ctx context.Context, e endpoint, r ctl.Request) (string, error) {
	c, err := p.reach.talks(ctx, r.Call, 0, "", func(reached) bool { return true })
	if err != nil {
		return "", err
	}
	switch r.Verb {
	case "mute":
		return "", p.ctlMute(ctx, e, c.id, r.Args)
	case "say":
		return "", ctlSay(e, c.id, strings.Join(r.Args, " "))
	default:
		return p.ctlStats(ctx, c.id)
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
	_, err := p.reach.talks(ctx, id, mutePatience, "the call did not obey", func(c reached) bool { return c.muted == on })
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
func (p *phone) ctlStats(ctx context.Context, id int) (string, error) {
	c, err := p.reach.talks(ctx, id, statsPatience, "there are no figures yet", func(c reached) bool { return c.stats != nil })
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(newFigures(*c.stats))
	return string(line), err
}
