package meet

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/nat"
	"securecall/nat/punched"
	"securecall/nat/rendezvous"
)

// current is the endpoint of the call that there is, as call.Endpoint has it for those
// who have keys or commands.
type current struct {
	mu          sync.Mutex
	e           *call.Endpoint // nil: there is no call
	beforePanic func()
}

func (c *current) get() *call.Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.e
}

// run drives e.
func (c *current) run(ctx context.Context, e *call.Endpoint) call.Ended {
	c.mu.Lock()
	if c.beforePanic != nil {
		e.BeforePanic(c.beforePanic)
	}
	c.e = e
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.e = nil
		c.mu.Unlock()
	}()
	return e.Run(ctx)
}

// Do is call.Endpoint's.
func (c *current) Do(id int, command call.Command) {
	if e := c.get(); e != nil {
		e.Do(id, command)
	}
}

// Compare is call.Endpoint's.
func (c *current) Compare(id int, how, typed string) call.Comparison {
	if e := c.get(); e != nil {
		return e.Compare(id, how, typed)
	}
	return call.Comparison{}
}

// BeforePanic is call.Endpoint's.
func (c *current) BeforePanic(f func()) { c.beforePanic = f }

// A Dialer makes one call by a code.
type Dialer struct {
	current
	o    Options
	code callcode.Code
	conf call.Config
}

// NewDialer prepares a call by a code.
func NewDialer(c call.Config, o Options, code callcode.Code) *Dialer {
	c, o = withDefaults(c, o)
	return &Dialer{o: o, code: code, conf: c}
}

func withDefaults(c call.Config, o Options) (call.Config, Options) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if c.OnEvent == nil {
		c.OnEvent = func(int, call.Event) {}
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return c, o
}

// Run meets the other side and drives the call until it has ended or ctx is
// cancelled, which hangs up properly.
func (d *Dialer) Run(ctx context.Context) call.Ended {
	first := d.conf.EarlierCalls + 1
	d.conf.OnEvent(first, call.Dialing{Peer: name(d.code), Server: d.o.Server.String()})
	patient, cancel := context.WithTimeout(ctx, d.conf.Timeout)
	defer cancel()
	e, err := Dial(patient, d.o, d.code, d.conf)
	if err != nil {
		ended := call.Ended{Reason: reasonOf(err), Err: err}
		if ctx.Err() != nil {
			ended = call.Ended{Reason: call.ReasonInterrupted}
		}
		d.conf.OnEvent(first, ended)
		return ended
	}
	return d.run(ctx, e)
}

// reasonOf is why a meeting did not become a call.
func reasonOf(err error) call.Reason {
	var (
		server *rendezvous.ServerError
		bind   *nat.BindError
	)
	switch {
	case errors.Is(err, ErrOtherEnd), errors.Is(err, call.ErrNotMet):
		return call.ReasonKeys
	case errors.As(err, &server), errors.Is(err, rendezvous.ErrLimit), errors.Is(err, rendezvous.ErrUnavailable), errors.Is(err, ErrBroken):
		return call.ReasonServer
	case errors.As(err, &bind):
		return call.ReasonNotPossible
	case errors.Is(err, rendezvous.ErrUnknown), errors.Is(err, rendezvous.ErrUsed), errors.Is(err, rendezvous.ErrExpired), errors.Is(err, ErrWrongCode):
		return call.ReasonCode
	case errors.Is(err, punched.ErrNoRoute), errors.Is(err, ErrGone), errors.Is(err, context.DeadlineExceeded):
		return call.ReasonUnreachable
	}
	return call.ReasonFault
}

// A Listener waits for calls by codes: one for each code, one after the other.
type Listener struct {
	current
	o    Options
	conf call.Config
}

// NewListener prepares to take calls by codes.
func NewListener(c call.Config, o Options) *Listener {
	c, o = withDefaults(c, o)
	return &Listener{o: o, conf: c}
}

// The time until a new code is made after one that brought no call, or a meeting point
// that is not to be reached is tried again.
const (
	againFirst = time.Second
	againMost  = 30 * time.Second
	longWait   = time.Minute // after which it begins from the first again
)

// Run tells codes and drives the calls that they bring, until ctx is cancelled or, with
// Config.Once, the first one has ended. A meeting point that cannot be used at first
// ends it; one that is lost later is tried again.
func (l *Listener) Run(ctx context.Context) call.Ended {
	stopped := call.Ended{Reason: call.ReasonNormal}
	if l.conf.Once {
		stopped.Reason = call.ReasonInterrupted
	}
	again := againFirst
	for first := true; ; first = false {
		began := time.Now()
		e, opened, err := l.next(ctx)
		switch {
		case ctx.Err() != nil && e == nil:
			return stopped
		case err != nil && first && !opened:
			ended := call.Ended{Reason: reasonOf(err), Err: err}
			l.conf.OnEvent(l.conf.EarlierCalls+1, ended)
			return ended
		case err != nil:
			l.conf.OnEvent(0, call.Fault{Err: err})
			if time.Since(began) > longWait {
				again = againFirst
			}
			select {
			case <-ctx.Done():
				return stopped
			case <-time.After(again):
			}
			again = min(2*again, againMost)
			continue
		}
		again = againFirst
		ended := l.run(ctx, e)
		l.conf.EarlierCalls++
		switch {
		case l.conf.Once:
			return ended
		case ctx.Err() != nil:
			return stopped
		}
	}
}

// next tells a code, if it gets one (opened), and waits for the call that it brings.
func (l *Listener) next(ctx context.Context) (e *call.Endpoint, opened bool, err error) {
	m, err := Open(ctx, l.o)
	if err != nil {
		return nil, false, err
	}
	if ctx.Err() != nil {
		m.Close()
		return nil, false, ctx.Err()
	}
	l.conf.OnEvent(0, call.Listening{Code: m.Code.String(), Server: l.o.Server.String(), Held: m.Held})
	e, err = m.Wait(ctx, l.conf)
	return e, true, err
}
