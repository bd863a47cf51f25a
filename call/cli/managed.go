package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	if err := p.manager.Ready("waiting for calls"); err != nil {
		d := diagnosis{what: fmt.Sprintf("%v: %v", errUnheard, err), hint: "NOTIFY_SOCKET names where it is to be told"}
		complain(p.screen.errors, d)
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
