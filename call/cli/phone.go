package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"securecall/call"
	"securecall/call/cli/ctl"
	"securecall/call/cli/service"
)

// An endpoint is what makes or takes calls: a *call.Endpoint, or one of package meet.
type endpoint interface {
	Run(ctx context.Context) call.Ended
	Do(id int, c call.Command)
	Compare(id int, how, typed string) call.Comparison
	Say(id int, text string) error
	Press(id int, digits string) error
	Levels(id int) (said, heard float64)
	BeforePanic(f func())
}

// A phone is what stands between an endpoint and the person or script: it
// shows events and carries out keys. One goroutine, that of run, owns it.
type phone struct {
	s       *settings
	stdout  *console
	stderr  *console
	ask     *console // where questions are put, if there is somebody to ask
	screen  *screen
	crowd   *crowd    // nil: one call at a time
	events  *events   // nil without --json
	log     *logbook  // nil without --log
	tty     *os.File  // where keys are read; nil: nobody sits there
	keys    *keyboard // while run runs
	failed  bool      // an output that scripts read is gone
	leftOut int       // texts and tones of others that nobody could read
	ended   bool      // the last call's end has been shown
	reach   *reachable
	ctl     *ctl.Server // nil: ctl cannot reach us
	ctlSeen time.Time   // when it was last looked at
	hooks   *hooks
	vias    *vias

	manager *service.Manager // who has started us; nil: nobody
	waits   bool             // and was told that calls are waited for
	reader  rereader
	hangups chan os.Signal // at which the settings are read again; nil: never
}

// newPhone finds out who is there. listener tells whether somebody may have
// to be asked.
func newPhone(s *settings, listener bool) (*phone, error) {
	p := &phone{s: s, stdout: newConsole(os.Stdout).patient(), stderr: newConsole(os.Stderr).patient()}
	ask := p.stderr
	if p.tty = findTerminal(s); p.tty != nil && !ask.terminal {
		// Questions go past a redirected stderr to the terminal itself.
		f, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
		if err != nil {
			p.tty = nil
		}
		ask = newConsole(f)
	}
	if listener {
		if err := s.checkAnswerer(p.tty != nil); err != nil {
			return nil, err
		}
	}

	results := p.stdout
	if s.audioOnStdout {
		results = p.stderr
	}
	p.ask = ask
	p.screen = &screen{
		results: results, talk: p.stderr, errors: p.stderr,
		color:   s.color && results.terminal,
		verbose: s.verbose, accept: s.acceptAll, many: listener && !s.once,
		mic: s.mic, speaker: s.speaker, split: s.splitSAS, records: s.records,
	}
	p.vias, p.reach, p.hooks = newVias(), newReachable(), newHooks(s)
	p.hooks.lines.why = p.screen.whyEnded
	p.screen.hooked = s.hooks.decide()
	if p.tty != nil {
		p.screen.ask = ask
		p.screen.bell = !s.plain && !s.json
	}
	if p.stderr.terminal && os.Getenv("TERM") != "dumb" && inForeground(os.Stderr) && !s.quiet {
		p.screen.live = p.stderr
	}
	if s.quiet {
		p.screen.talk = io.Discard
	}
	if s.plain {
		p.screen.plainly()
	}
	if s.maxCalls > 1 {
		p.crowd = newCrowd(p.screen)
	}
	if s.json {
		p.events = newEvents(results, s)
		p.events.why = p.screen.whyEnded
		p.screen.results, p.screen.talk, p.screen.live = io.Discard, io.Discard, nil
		if s.audioOnStdout {
			p.screen.errors = io.Discard
		}
	}
	if p.log = newLogbook(p.stderr, s); p.log != nil {
		p.screen.talk, p.screen.errors, p.screen.live = io.Discard, io.Discard, nil
	}
	s.ringer = newRinger()
	return p, nil
}

// flush lets others read the rest of what was said.
func (p *phone) flush() {
	p.stdout.flush()
	p.stderr.flush()
}

// checkAnswerer refuses to wait for calls that nobody could answer.
func (s *settings) checkAnswerer(person bool) error {
	if s.acceptAll || s.hooks.decide() || person {
		return nil
	}
	return usagef("give --accept all to answer every call; or start it at a terminal, without --no-input",
		"nobody can be asked whether to answer: there is no terminal, and without one it must be said")
}

// run drives e until it has ended. Whatever happens, the terminal is as it
// was when run returns, and as soon as ctx is cancelled: a second Ctrl-C then
// ends the program at once, as it would any other.
func (p *phone) run(ctx context.Context, e endpoint, q *queue) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keys <-chan byte
	if p.tty != nil {
		k, err := openKeyboard(p.tty)
		if err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
		defer k.restore()
		defer context.AfterFunc(ctx, k.restore)()
		defer k.restoresOnQuit()()
		e.BeforePanic(k.restore)
		p.stdout.raw, p.stderr.raw, p.ask.raw = &k.raw, &k.raw, &k.raw
		p.keys, keys = k, k.keys
	}
	defer p.serveCtl(e)()
	p.s.ringer.tell = func(err error) { q.put(0, call.Fault{Err: err}) }
	defer p.s.ringer.quiet()
	done := make(chan call.Ended, 1)
	go func() { done <- e.Run(ctx) }()

	pace := time.Second
	tick := time.NewTicker(pace)
	defer tick.Stop()
	resized, stop := windowChanges()
	defer stop()
	continued, enough := continues()
	defer enough()
	beats, rest := p.beats()
	defer rest()
	defer p.manager.StopsWith(ctx)()
	for {
		if p.screen.pace() != pace {
			pace = p.screen.pace()
			tick.Reset(pace)
		}
		select {
		case a := <-p.vias.answers:
			p.via(e, a)
		case n := <-p.hooks.news:
			p.hooked(e, n)
		case <-q.ready:
			p.show(q.take())
			if p.failed {
				cancel()
			}
		case key := <-keys:
			p.key(ctx, e, cancel, key)
		case <-resized:
			p.screen.resized()
		case <-continued:
			p.keys.rawAgain()
		case now := <-tick.C:
			p.screen.meters(e)
			p.screen.ring(now)
			p.screen.tick(now)
			p.keepCtl(now, e)
		case <-p.hangups:
			p.reread(e, q)
		case <-beats:
			p.beat(ctx, e)
		case ended := <-done:
			p.show(q.take())
			if p.keys != nil {
				p.keys.restore() // Ctrl-C is an interrupt again
			}
			p.vias.end()
			p.awaitHooks(e)
			return p.finish(ended)
		}
	}
}

func (p *phone) show(items []item) {
	for _, i := range items {
		if p.leavesOut(i.e) {
			continue
		}
		p.reach.note(i.id, i.e) // first: who reads of a call may ask for it
		ended, last := i.e.(call.Ended)
		if last {
			p.ended = true
			p.follow(i) // what is said of a call stands before its end
		}
		if p.events != nil {
			if err := p.events.show(i.at, i.id, i.e); err != nil {
				p.failed = true
			}
		}
		if !last {
			p.follow(i)
		}
		if last && p.failed && ended.Reason == call.ReasonInterrupted {
			// finish says why: nobody else has interrupted it
		} else if p.crowd != nil {
			p.crowd.show(i.at, i.id, i.e)
		} else {
			p.screen.show(i.at, i.id, i.e)
		}
		if p.log != nil {
			p.log.show(i.at, i.id, i.e)
		}
		p.rings(i.id, i.e)
		p.hooks.note(i)
		p.ready(i.e)
	}
	for _, c := range p.read() {
		p.failed = p.failed || c.err != nil
	}
}

// leavesOut tells whether an event is left out: what a peer can have us write, as often as it
// likes, where that is not read. It would have the rest be lost.
func (p *phone) leavesOut(e call.Event) bool {
	behind := slices.ContainsFunc(p.read(), (*console).behind)
	switch e.(type) {
	case call.Text, call.DTMF:
		if behind {
			p.leftOut++
			return true
		}
	}
	if n := p.leftOut; n > 0 && !behind {
		p.leftOut = 0
		p.notice(0, fmt.Sprintf("our output is not read as quickly as it comes: %d texts or tones were left out", n), "have what reads it read on at once")
	}
	return false
}

// read are the outputs that scripts read, or a log: where one of these is gone we are to end.
func (p *phone) read() []*console {
	if p.log != nil || p.events != nil && p.s.audioOnStdout {
		return []*console{p.stdout, p.stderr}
	}
	return []*console{p.stdout}
}

// finish says the last words and gives the exit status.
func (p *phone) finish(ended call.Ended) error {
	p.screen.done()
	var gone error
	for _, c := range p.read() {
		if !c.flush() {
			p.failed = true
		}
		gone = cmp.Or(gone, c.err)
	}
	switch {
	case p.failed:
		return p.fail(cmp.Or(gone, errStdoutGone))
	case ended.Reason == call.ReasonNormal:
		return nil
	case !p.ended:
		p.screen.failure(ended)
		if p.log != nil {
			p.log.ended(time.Now(), 0, ended)
		}
	}
	return exitStatus(ended.Reason)
}

// fail says what went wrong outside a call, to a script too.
func (p *phone) fail(err error) error {
	d := p.s.from.explain(diagnose(err))
	p.complain(d)
	return exitStatus(d.status)
}

// complain says what went wrong outside a call to all who are told.
func (p *phone) complain(d diagnosis) {
	if p.events != nil {
		p.events.fail(d)
	}
	if p.log != nil {
		p.log.fail(time.Now(), 0, slog.LevelError, d)
	}
	p.screen.wipe()
	complain(p.screen.errors, d)
}

// A queue takes events from an endpoint, which must not wait, to whoever
// prints them, which may. What is in it is bounded by what calls can tell in
// the time that an output is stuck: a line every 5 s.
type queue struct {
	ready chan struct{} // holds a token when there is something to take
	mu    sync.Mutex
	items []item
}

type item struct {
	at time.Time
	id int
	e  call.Event
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) put(id int, e call.Event) {
	q.mu.Lock()
	q.items = append(q.items, item{time.Now(), id, e})
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) take() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = nil
	return items
}
