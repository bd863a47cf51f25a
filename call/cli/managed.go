package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
	"securecall/call/cli/service"
	"securecall/nat"
)

// What a listen is to the service manager that has started it.

// An answering endpoint can be asked whether its loop still turns.
type answering interface {
	Answers(ctx context.Context) bool
}

// errUnheard is a manager that does not hear that we are ready, and will end us for it.
var errUnheard = errors.New("nobody hears that this service is ready")

// ready tells the manager, once, that e is what it was started for.
func (p *phone) ready(e call.Event) {
	if _, ok := e.(call.Listening); !ok || p.waits {
		return
	}
	p.waits = true
	if err := p.manager.Ready(waitingStatus); err != nil {
		d := diagnosis{what: fmt.Sprintf("%v: %v", errUnheard, err), hint: "NOTIFY_SOCKET names where it is to be told"}
		p.complain(d)
	}
}

// beats is when the watchdog is to be told that we are alive, or nil.
func (p *phone) beats() (due <-chan time.Time, stop func()) {
	every := p.manager.Beat()
	if every == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(every)
	return t.C, t.Stop
}

// beat tells the watchdog that we are alive. The phone's own loop does it, when the
// endpoint's has answered: both turn, or neither is said to.
func (p *phone) beat(ctx context.Context, e endpoint) {
	if a, ok := e.(answering); ok {
		ctx, cancel := context.WithTimeout(ctx, p.manager.Beat()/2)
		defer cancel()
		if !a.Answers(ctx) {
			return
		}
	}
	p.manager.Alive("")
}

// listenPath is where calls come in: at --bind, or at the socket that was opened for us.
func (s *settings) listenPath(ctx context.Context, m *service.Manager) (nat.Path, error) {
	if len(m.Sockets) == 0 {
		return nat.Listen(ctx, s.bind)
	}
	if c := m.Sockets[0].Conn; c != nil && len(m.Sockets) == 1 {
		return nat.Passed(c)
	}
	return nil, usagef("one ListenDatagram=, and no ListenStream=, as in securecall-listen.socket", "listen takes one UDP socket from its service manager")
}

// checkSockets refuses sockets that there is no use for.
func (s *settings) checkSockets(m *service.Manager) error {
	if s.via != nil && len(m.Sockets) > 0 {
		return usagef("start it without securecall-listen.socket", "--via opens a port of its own for each call: there is nothing for a socket from the service manager")
	}
	return nil
}

// meetManager finds out who has started us.
func meetManager() (*service.Manager, error) {
	m, err := service.Meet()
	if err != nil {
		return nil, usagef("a service manager sets these variables; by hand, leave them out", "%s", printable(err.Error()))
	}
	return m, nil
}

// A configurable endpoint takes other settings for the calls to come.
type configurable interface {
	Configure(c call.Config) error
}

// waitingStatus is what the manager shows of a listen that waits.
const waitingStatus = "waiting for calls"

// rereading has SIGHUP read the settings again, until it is stopped; not where nohup(1), or
// whoever started us, has it ignored.
func (p *phone) rereading(r rereader) (stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	p.reader, p.hangups = r, make(chan os.Signal, 1)
	signal.Notify(p.hangups, syscall.SIGHUP)
	return func() { signal.Stop(p.hangups) }
}

// lasting are the settings of listen that take a restart: where calls come in, who we are,
// and what is written where.
var lasting = strings.Fields("bind via relay-only map state ephemeral secret-fd once packet-time log json q v plain no-color no-input")

// reread takes over what can change for the calls to come. Those that there are go on as they
// began, and what is wrong changes nothing.
func (p *phone) reread(e endpoint, q *queue) {
	if p.waits {
		p.manager.Reloading()
		defer func() { _ = p.manager.Ready(waitingStatus) }()
	}
	again, err := p.reader.again()
	var s *settings
	if err == nil {
		s, err = readListen(again)
	}
	var fixed []string
	if err == nil {
		fixed, err = p.takeOver(e, q, again, s)
	}
	if err != nil {
		p.complain(stayed(again, err))
		return
	}
	p.screen.say(p.screen.talk, "the settings were read again, for the calls to come")
	if len(fixed) > 0 {
		p.screen.say(p.screen.talk, "  to change %s takes a restart", strings.Join(fixed, ", "))
	}
	if p.log != nil {
		p.log.reread(time.Now(), fixed)
	}
}

// takeOver has the calls to come be as s says, as far as that can change, and returns the
// names of what cannot.
func (p *phone) takeOver(e endpoint, q *queue, again *ucli.Context, s *settings) (fixed []string, err error) {
	old := p.s
	for _, name := range p.reader.changed(again, nil) {
		if slices.Contains(lasting, name) {
			fixed = append(fixed, name)
		}
	}
	s.bind, s.via, s.relayOnly, s.mapPort = old.bind, old.via, old.relayOnly, old.mapPort
	s.state, s.ephemeral, s.cache, s.once = old.state, old.ephemeral, old.cache, old.once
	s.packetTime = old.packetTime
	s.log, s.json, s.quiet, s.verbose = old.log, old.json, old.quiet, old.verbose
	s.plain, s.color, s.input, s.ringer = old.plain, old.color, old.input, old.ringer
	if (s.maxCalls > 1) != (old.maxCalls > 1) { // lines are told otherwise then
		fixed, s.maxCalls = append(fixed, "max-calls"), old.maxCalls
	}
	if s.echo != old.echo || s.audioOnStdin != old.audioOnStdin || s.audioOnStdout != old.audioOnStdout {
		return nil, usagef("start it anew for that", "--echo, and stdin and stdout as --mic and --speaker, stay what they were at the start")
	}
	if s.known && s.ephemeral {
		return nil, usagef("start it anew with --state", "--ephemeral knows nobody: --accept known would answer nobody")
	}
	for _, check := range []func() error{s.checkCrowd, func() error { return s.checkAnswerer(p.tty != nil) }, s.checkCalls} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if s.records.given != old.records.given { // else it may be there, from a call
		if err := s.records.check(); err != nil {
			return nil, err
		}
	}
	if c, ok := e.(configurable); ok {
		if err := c.Configure(s.config(q, p.tty != nil && p.crowd == nil)); err != nil {
			return nil, err
		}
	}
	p.s, p.hooks.commands = s, s.hooks
	p.screen.mic, p.screen.speaker, p.screen.split, p.screen.records = s.mic, s.speaker, s.splitSAS, s.records
	p.screen.hooked = s.hooks.decide()
	p.screen.accept = s.acceptAll || p.crowd != nil && !p.screen.hooked
	if p.events != nil {
		p.events.mic, p.events.speaker = s.mic, s.speaker
	}
	return fixed, nil
}
