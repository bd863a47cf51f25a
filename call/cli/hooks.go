package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/call"
)

// Commands that run when something happens to a call: --on-incoming, --on-secured and
// --on-ended (docs/scripting.md). When is here, what they are told in facts.go, how they
// run in hookrun.go.

// hookEvents are the events that a command can be given for.
var hookEvents = []string{"incoming", "secured", "ended"}

func hookFlag(event, usage string) ucli.Flag {
	return &ucli.StringFlag{Name: "on-" + event, Usage: usage}
}

// hookCommands are what those flags say: a program and its arguments, by event.
type hookCommands map[string][]string

func readHooks(c *ucli.Context) (hookCommands, error) {
	commands := hookCommands{}
	for _, event := range hookEvents {
		if !c.IsSet("on-" + event) {
			continue
		}
		words, err := device.SplitWords(c.String("on-" + event))
		if err != nil {
			return nil, usagef("e.g. --on-"+event+` 'sh -c "notify-send $SECURECALL_EVENT"'`, "--on-%s: %v", event, err)
		}
		commands[event] = words
	}
	return commands, nil
}

// decide tells whether a command decides about calls, and not a person or --accept.
func (h hookCommands) decide() bool { return h["incoming"] != nil }

// check finds out, before anybody calls, whether the programs are there.
func (h hookCommands) check() error {
	for _, event := range hookEvents {
		if h[event] == nil {
			continue
		}
		if err := findProgram("on-"+event, h[event]); err != nil {
			return err
		}
	}
	return nil
}

// findProgram tells whether the program of a command is there.
func findProgram(flag string, command []string) error {
	_, err := exec.LookPath(command[0])
	if err == nil {
		return nil
	}
	var search *exec.Error
	if errors.As(err, &search) {
		err = search.Err
	}
	return &hookError{fmt.Sprintf("--%s: %q: %v", flag, command[0], err)}
}

// hookError is a command that is not there, or has gone wrong.
type hookError struct{ what string }

func (e *hookError) Error() string { return e.what }

func isHookError(err error) bool {
	var hook *hookError
	return errors.As(err, &hook)
}

const (
	hookHint     = "it takes a program and its arguments, without a shell: sh -c '…' is one"
	decisionHint = "exit status 0 accepts, 1 declines, 2 says that you are busy; try the command by itself"
)

const (
	maxHooks    = 8  // at once
	maxJobs     = 64 // that wait for one of these to end
	hookLimit   = 10 * time.Second
	decideLimit = 119 * time.Second // it rings for two minutes
	hookGrace   = 2 * time.Second   // from being asked to end to having to
	// lastLimit is for all that is left when no call is to come: more than one command has, and
	// with a grace less than a service manager waits for us (TimeoutStopSec=20).
	lastLimit = 13 * time.Second
)

// hooks are the commands as they run. One goroutine, that of phone.run, owns them; what
// they print and how they end comes as news.
type hooks struct {
	commands hookCommands
	ours     []string             // our environment
	lines    *events              // as --json would have them
	calls    map[int]facts        // that have keys,
	began    map[int]hookCommands // with the commands of that moment: settings may be read again
	waiting  []hookJob
	running  int
	pending  int                        // news of an end that is still to come
	deciding map[int]context.CancelFunc // by call
	news     chan hookNews

	limit time.Duration // of what does not decide
	ring  time.Duration // of what does
	grace time.Duration
	last  time.Duration // of all that runs and waits, once we are to end

	ctx  context.Context // of all of them
	stop context.CancelCauseFunc
}

// A hookJob is one command for one call.
type hookJob struct {
	event   string
	id      int
	command []string
	env     []string
}

func newHooks(s *settings) *hooks {
	h := &hooks{
		commands: s.hooks, ours: s.environ(), lines: newEvents(nil, s), calls: map[int]facts{}, began: map[int]hookCommands{}, deciding: map[int]context.CancelFunc{},
		news: make(chan hookNews), limit: hookLimit, ring: decideLimit, grace: hookGrace, last: lastLimit,
	}
	h.ctx, h.stop = context.WithCancelCause(context.Background())
	return h
}

// note follows the events. A call is known from its keys on: that of another, which got
// none, is nobody's news.
func (h *hooks) note(i item) {
	known := h.calls[i.id]
	if len(h.commands) == 0 && known == nil {
		return
	}
	switch e := i.e.(type) {
	case call.Secured:
		h.calls[i.id], h.began[i.id] = newFacts(e, h.lines.lines(i.at, i.id, e)), h.commands
		h.start("secured", i.id)
	case call.Incoming:
		known.add(h.lines.lines(i.at, i.id, e))
		h.start("incoming", i.id)
	case call.Verified:
		known.add(h.lines.lines(i.at, i.id, e))
		known.set("VERIFIED", "true")
	case call.Recording:
		if e.On {
			known.set("RECORDING", e.File)
		}
	case call.Answered:
		h.dismiss(i.id) // somebody was faster
	case call.Ended:
		h.dismiss(i.id)
		if known == nil {
			return
		}
		known.add(h.lines.lines(i.at, i.id, e))
		h.start("ended", i.id)
		delete(h.calls, i.id)
		delete(h.began, i.id)
	}
}

// start has the command of an event run, if there is one, as soon as that may be.
func (h *hooks) start(event string, id int) {
	command := h.began[id][event]
	if command == nil {
		return
	}
	h.pending++
	j := hookJob{event, id, command, h.calls[id].environ(h.ours)}
	switch {
	case len(h.waiting) == maxJobs:
		go func() {
			h.news <- hookNews{hookJob: j, over: true, why: "too many commands run and wait", status: -1, unrun: true}
		}()
		return
	case event == "incoming": // somebody waits for it
		behind := 0
		for behind < len(h.waiting) && h.waiting[behind].event == "incoming" {
			behind++
		}
		h.waiting = slices.Insert(h.waiting, behind, j)
	default:
		h.waiting = append(h.waiting, j)
	}
	h.next()
}

// next starts what waits, as far as that may run at once.
func (h *hooks) next() {
	for h.running < maxHooks && len(h.waiting) > 0 {
		j := h.waiting[0]
		h.waiting = h.waiting[1:]
		limit := h.limit
		if j.event == "incoming" {
			limit = h.ring
		}
		// Not of the context that ends the program: what it says of the last call is done.
		ctx, cancel := context.WithTimeout(h.ctx, limit)
		if j.event == "incoming" {
			h.deciding[j.id] = cancel
		}
		h.running++
		go func() {
			defer cancel()
			h.run(ctx, j, limit)
		}()
	}
}

// dismiss ends the decision about a call that needs none any more.
func (h *hooks) dismiss(id int) {
	if stop := h.deciding[id]; stop != nil {
		stop()
	}
	before := len(h.waiting)
	h.waiting = slices.DeleteFunc(h.waiting, func(j hookJob) bool { return j.event == "incoming" && j.id == id })
	h.pending -= before - len(h.waiting)
}

// over notes that a command has ended, and starts the next.
func (h *hooks) over(n hookNews) {
	h.pending--
	if n.unrun {
		return
	}
	h.running--
	if n.event == "incoming" {
		delete(h.deciding, n.id)
	}
	h.next()
}

// hooked shows what a command has printed, or acts on how it has ended.
func (p *phone) hooked(e endpoint, n hookNews) {
	if !n.over {
		if p.log != nil {
			p.log.write(time.Now(), slog.LevelInfo, n.id, "output of a command", slog.String("on", n.event), slog.String("line", n.line))
		}
		p.screen.say(p.screen.errors, "on-%s: %s", n.event, n.line)
		return
	}
	p.hooks.over(n)
	switch {
	case n.dismissed:
	case n.event == "incoming":
		command, wrong := n.decision()
		e.Do(n.id, command)
		if wrong != "" {
			p.fault(n.id, wrong, decisionHint)
		}
	case n.why != "":
		p.fault(n.id, fmt.Sprintf("--on-%s: %s", n.event, n.why), "try the command by itself, with the same SECURECALL_… in its environment")
	}
}

// fault tells a person, whatever -q leaves out, and a script.
func (p *phone) fault(id int, what, hint string) {
	p.show([]item{{time.Now(), id, call.Fault{Err: &hookError{what}, Hint: hint}}})
}

// decision is what an exit status says about a call.
func (n hookNews) decision() (c call.Command, wrong string) {
	switch n.status {
	case 0:
		return call.Answer, ""
	case 1:
		return call.Decline, ""
	case 2:
		return call.Busy, ""
	}
	if n.unrun {
		return call.Busy, fmt.Sprintf("--on-incoming: %s: the caller was told that you are busy", n.why)
	}
	return call.Decline, fmt.Sprintf("--on-incoming has not decided (%s): declined", n.why)
}

// errLast ends commands for which the program has waited long enough.
var errLast = errors.New("securecall ends, and does not wait for it any longer")

// cut has all that runs end, and gives up what waits.
func (h *hooks) cut() {
	for _, j := range h.waiting {
		go func() {
			h.news <- hookNews{hookJob: j, over: true, status: -1, why: fmt.Sprintf("%s was not run: %v", printable(j.command[0]), errLast), unrun: true}
		}()
	}
	h.waiting = nil
	h.stop(errLast)
}

// awaitHooks lets what runs for the last calls come to an end, within its limits, which end
// with all of them after a while.
func (p *phone) awaitHooks(e endpoint) {
	if p.hooks.pending == 0 {
		return
	}
	p.screen.wait(time.Now(), "waiting for a command of --on-… to end")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.NewTimer(p.hooks.last)
	defer last.Stop()
	for p.hooks.pending > 0 {
		select {
		case <-last.C:
			p.hooks.cut()
		case n := <-p.hooks.news:
			p.hooked(e, n)
		case now := <-tick.C:
			p.screen.tick(now)
		}
	}
}
