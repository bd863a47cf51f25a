package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
securecall ctl say "back in five minutes"`,
		Description: `sas prints the words of the call. verify compares WORDS, as the other side reads or
prints them, with ours: 0 if they are the same, 22 if not; three wrong answers end
the call. Both wait up to 10 s for a call that has keys. mute closes the microphone,
mute off opens it, and either returns when it is so. say sends a line of text. stats
prints the figures of the last 5 s as a line of JSON. ctl reaches the securecall
of the same user, and with --state DIR the one that was started with it.`,
		Flags: []ucli.Flag{
			stateFlag(),
			&ucli.IntFlag{Name: "pid", Usage: "the one with process id `N`, where several are running", DefaultText: "the only one"},
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
	dir, err := ctl.Dir(c.String("state"))
	if err != nil {
		return err
	}
	text, err := ctl.Ask(c.Context, dir, c.Int("pid"), verb, c.Args().Tail())
	if err != nil {
		return err
	}
	if text != "" {
		fmt.Fprintln(c.App.Writer, printable(text))
	}
	return nil
}

// A reachable is the call that ctl speaks of, for goroutines other than the
// phone's.
type reachable struct {
	mu      sync.Mutex
	id      int
	secured call.Secured
	ringing bool
	talking talking
	changed chan struct{} // closed and replaced at each change
}

func newReachable() *reachable { return &reachable{changed: make(chan struct{})} }

// note follows the events.
func (r *reachable) note(id int, e call.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.talking.note(id, e)
	switch e := e.(type) {
	case call.Secured:
		r.id, r.secured = id, e
	case call.Incoming:
		r.ringing = id == r.id
	case call.Answered:
		r.ringing = false
	case call.Ended:
		if id != r.id {
			return
		}
		r.id, r.secured, r.ringing = 0, call.Secured{}, false
	default:
		if !news {
			return
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// ctlPatience is how long ctl waits for a call that has keys.
const ctlPatience = 10 * time.Second

// current waits for a call that has keys.
func (r *reachable) current(ctx context.Context) (id int, s call.Secured, ringing bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ctlPatience)
	defer cancel()
	for {
		r.mu.Lock()
		id, s, ringing, changed := r.id, r.secured, r.ringing, r.changed
		r.mu.Unlock()
		if id != 0 {
			return id, s, ringing, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, call.Secured{}, false, &ctl.Error{
				Status: int(call.ReasonNotPossible), Message: "there is no call with keys at this moment", Hint: "call, or wait for a call, and ask again",
			}
		}
	}
}

// serveCtl lets ctl reach e. Without it a call goes on as well.
func (p *phone) serveCtl(e endpoint) (stop func()) {
	dir, err := ctl.Dir(p.s.state)
	var server *ctl.Server
	if err == nil {
		server, err = ctl.Serve(dir, func(ctx context.Context, verb string, args []string) (string, error) {
			return p.obeyCtl(ctx, e, verb, args)
		})
	}
	if err != nil {
		if p.s.verbose {
			p.screen.say(p.screen.talk, "securecall ctl cannot reach this one: %s", printable(err.Error()))
		}
		return func() {}
	}
	return server.Close
}

func (p *phone) obeyCtl(ctx context.Context, e endpoint, verb string, args []string) (string, error) {
	if _, known := ctlVerbs[verb]; !known {
		return "", &ctl.Error{Status: statusUsage, Message: fmt.Sprintf("the securecall that is running has no %q", verb), Hint: "is it another version?"}
	}
	if p.crowd != nil {
		return "", &ctl.Error{
			Status: int(call.ReasonNotPossible), Message: "several calls are taken here, and nothing says which of them is meant",
			Hint: "it can be asked of a listen without --max-calls; --json has the events of each call",
		}
	}
	switch verb {
	case "mute", "say", "stats":
		return p.obeyTalk(ctx, e, verb, args)
	}
	if verb != "sas" && verb != "verify" {
		// Only what is asked while keys are being agreed is worth waiting for.
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	id, s, ringing, err := p.reach.current(ctx)
	if err != nil {
		return "", err
	}
	switch verb {
	case "sas":
		return s.SAS, nil
	case "verify":
		c := e.Compare(id, "typed", strings.Join(args, " "))
		switch {
		case !c.Possible:
			return "", &ctl.Error{Status: int(call.ReasonNotPossible), Message: "the call has ended"}
		case !c.Equal:
			return "", &ctl.Error{
				Status: int(call.ReasonSAS), Message: "the words are not the same",
				Hint: answersLeft(c.Left),
			}
		}
		return "verified", nil
	case "answer", "decline":
		if !ringing {
			return "", &ctl.Error{Status: int(call.ReasonNotPossible), Message: "nothing rings here"}
		}
		if verb == "answer" {
			e.Do(id, call.Answer)
		} else {
			e.Do(id, call.Decline)
		}
	case "hangup":
		e.Do(id, call.Hangup)
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
