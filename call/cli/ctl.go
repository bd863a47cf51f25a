package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/call/cli/ctl"
)

// Ctl is the command ctl.
func Ctl() *ucli.Command {
	return &ucli.Command{
		Name:      "ctl",
		Usage:     "talk to the listen or dial that is running here",
		ArgsUsage: "sas | verify WORDS | answer | decline | hangup | mute [on|off] | say TEXT | stats",
		UsageText: `securecall ctl sas
securecall ctl verify tissue disbelief
ssh bob securecall ctl verify $(securecall ctl sas)
securecall ctl say "back in five minutes"
securecall ctl --call 4 hangup`,
		Description: `sas prints the words of the call. verify compares WORDS, as the other side reads or
prints them, with ours: 0 if they are the same, 22 if not; three wrong answers end
the call. Both wait up to 10 s for a call that has keys. mute closes the microphone,
mute off opens it, and either returns when it is so. say sends a line of text. stats
prints the figures of the last 5 s as a line of JSON. ctl reaches the securecall
of the same user, and with --state DIR the one that was started with it.`,
		Flags: []ucli.Flag{
			&ucli.StringFlag{
				Name: "state", Usage: "`DIR` is the one that listen or dial was started with, if it was",
				DefaultText: "$XDG_RUNTIME_DIR/securecall", TakesFile: true,
			},
			&ucli.IntFlag{Name: "pid", Usage: "the one with process id `N`, where several are running", DefaultText: "the only one"},
			&ucli.IntFlag{Name: "call", Usage: "the call with the number `ID`, as events and the lines of listen have it, where there are several", DefaultText: "the only one"},
		},
		Action: runCtl,
	}
}

// ctlVerbs are what ctl takes, with the least and the greatest number of further words.
var ctlVerbs = map[string][2]int{
	"sas": {}, "verify": {1, maxWords}, "answer": {}, "decline": {}, "hangup": {},
	"mute": {0, 1}, "say": {1, maxWords}, "stats": {},
}

const maxWords = 1 << 10 // what fits into a request is less

func runCtl(c *ucli.Context) error {
	verb := c.Args().First()
	words, known := ctlVerbs[verb]
	switch {
	case verb == "":
		return usagef("securecall help ctl shows what it takes", "ctl needs to know what to do: sas, verify WORDS, answer, decline, hangup, mute, say TEXT or stats")
	case !known:
		var names []string
		for name := range ctlVerbs {
			names = append(names, name)
		}
		slices.Sort(names)
		return usagef(didYouMean("", verb, names)+"securecall help ctl shows what it takes", "ctl has no %q", printable(verb))
	case c.Args().Len()-1 < words[0] && verb == "say":
		return usagef("e.g. securecall ctl say back in five minutes", "ctl say needs the text to send")
	case c.Args().Len()-1 < words[0]:
		return usagef("securecall ctl verify tissue disbelief", "ctl %s needs the words to compare", verb)
	case c.Args().Len()-1 > words[1]:
		return usagef("securecall help ctl shows what it takes", "ctl %s takes no such argument, and got %q", verb, printable(c.Args().Get(1+words[1])))
	}
	if arg := c.Args().Get(1); verb == "mute" && arg != "" && arg != "on" && arg != "off" {
		return usagef("ctl mute closes the microphone, and ctl mute off opens it", "ctl mute %q is neither on nor off", printable(arg))
	}
	if c.IsSet("call") && c.Int("call") < 1 {
		return usagef("the events of a call have its number", "--call %d is no number of a call", c.Int("call"))
	}
	dir, err := ctl.Dir(c.String("state"))
	if err != nil {
		return err
	}
	request := ctl.Request{Verb: verb, Call: c.Int("call"), Args: c.Args().Tail()}
	text, err := ctl.Ask(c.Context, dir, c.Int("pid"), request)
	if errors.Is(err, ctl.ErrNobody) && !onCommandLine(c, "state") {
		// state is kept, and what runs was started with --ephemeral.
		if usual, e := ctl.Dir(""); e == nil && usual != dir {
			text, err = ctl.Ask(c.Context, usual, c.Int("pid"), request)
		}
	}
	if err != nil {
		return ctlFolder(err)
	}
	if text != "" {
		fmt.Fprintln(c.App.Writer, printable(text))
	}
	return nil
}

// serveCtl lets ctl reach e. Without it a call goes on as well.
func (p *phone) serveCtl(e endpoint) (stop func()) {
	var err error
	if p.ctl, err = p.openCtl(e); err != nil && p.s.verbose {
		p.screen.say(p.screen.talk, "securecall ctl cannot reach this one: %s", printable(err.Error()))
	}
	return func() {
		if p.ctl != nil {
			p.ctl.Close()
		}
	}
}

func (p *phone) openCtl(e endpoint) (*ctl.Server, error) {
	dir, err := ctl.Dir(p.s.state)
	if err != nil {
		return nil, err
	}
	return ctl.Serve(dir, func(ctx context.Context, r ctl.Request) (string, error) {
		return p.obeyCtl(ctx, e, r)
	})
}

// keepCtl lets ctl reach e again, within a minute, where its socket was taken away.
func (p *phone) keepCtl(now time.Time, e endpoint) {
	if now.Sub(p.ctlSeen) < time.Minute {
		return
	}
	p.ctlSeen = now
	if p.ctl == nil || !p.ctl.Lost() {
		return
	}
	if server, err := p.openCtl(e); err == nil {
		go p.ctl.Close() // which waits for who still asks there
		p.ctl = server
	}
}

func (p *phone) obeyCtl(ctx context.Context, e endpoint, r ctl.Request) (string, error) {
	if _, known := ctlVerbs[r.Verb]; !known {
		return "", &ctl.Error{Status: statusUsage, Message: fmt.Sprintf("the securecall that is running has no %q", r.Verb), Hint: "is it another version?"}
	}
	switch r.Verb {
	case "mute", "say", "stats":
		return p.obeyTalk(ctx, e, r)
	case "sas", "verify":
	default:
		// Only what is asked while keys are being agreed is worth waiting for.
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	c, err := p.reach.secured(ctx, r.Call)
	if err != nil {
		return "", err
	}
	switch r.Verb {
	case "sas":
		return c.sas, nil
	case "verify":
		answer := e.Compare(c.id, "typed", strings.Join(r.Args, " "))
		switch {
		case !answer.Possible:
			return "", &ctl.Error{Status: int(call.ReasonNotPossible), Message: "the call has ended", Hint: "compare in the next one"}
		case !answer.Equal:
			return "", &ctl.Error{
				Status: int(call.ReasonSAS), Message: "the words are not the same",
				Hint: answersLeft(answer.Left),
			}
		}
		return "verified", nil
	case "answer", "decline":
		if !c.ringing {
			return "", &ctl.Error{Status: int(call.ReasonNotPossible), Message: "nothing rings here", Hint: "it works while somebody calls and nobody has answered"}
		}
		if r.Verb == "answer" {
			e.Do(c.id, call.Answer)
		} else {
			e.Do(c.id, call.Decline)
		}
	case "hangup":
		e.Do(c.id, call.Hangup)
	}
	return "", nil
}

// answersLeft says how many wrong answers may still be given.
func answersLeft(n int) string {
	switch n {
	case 0:
		return "that was one too many: the call ends"
	case 1:
		return "ask for them once more; one more wrong answer ends the call"
	}
	return fmt.Sprintf("ask for them once more; %d more wrong answers end the call", n)
}

// ctlFailure is what there is to say of an error of ctl's.
func ctlFailure(err error) (d diagnosis, ok bool) {
	var e *ctl.Error
	switch {
	case errors.As(err, &e):
		return diagnosis{printable(e.Message), printable(e.Hint), e.Status}, true
	case errors.Is(err, ctl.ErrNobody):
		return diagnosis{err.Error(), "it answers while securecall listen or dial runs, as the same user, with the same --state and XDG_RUNTIME_DIR (cron and a bare shell may have none)", int(call.ReasonNotPossible)}, true
	}
	return diagnosis{}, false
}

// ctlFolder is what there is to say of a folder that cannot be read.
func ctlFolder(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &ctl.Error{Status: int(call.ReasonNotPossible), Message: err.Error(), Hint: "--state DIR is the one that listen or dial was started with, by the same user"}
	}
	return err
}
