package meet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
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

// Say is call.Endpoint's.
func (c *current) Say(id int, text string) error {
	if e := c.get(); e != nil {
		return e.Say(id, text)
	}
	return call.ErrNoCall
}

// Press is call.Endpoint's.
func (c *current) Press(id int, digits string) error {
	if e := c.get(); e != nil {
		return e.Press(id, digits)
	}
	return call.ErrNoCall
}

// Levels is call.Endpoint's.
func (c *current) Levels(id int) (said, heard float64) {
	if e := c.get(); e != nil {
		return e.Levels(id)
	}
	return call.Quietest, call.Quietest
}

// BeforePanic is call.Endpoint's.
func (c *current) BeforePanic(f func()) { c.beforePanic = f }

// A Dialer makes one call, by a code or to a contact.
type Dialer struct {
	current
	o       Options
	code    callcode.Code
	contact *zidcache.Record // nil: whoever has the code
	conf    call.Config
}

// NewDialer prepares a call by a code.
func NewDialer(c call.Config, o Options, code callcode.Code) *Dialer {
	c, o = withDefaults(c, o)
	return &Dialer{o: o, code: code, conf: c}
}

// NewContactDialer prepares a call to a contact that is Meetable. The record's secrets are
// the Dialer's from then on.
func NewContactDialer(c call.Config, o Options, contact *zidcache.Record) *Dialer {
	c, o = withDefaults(c, o)
	return &Dialer{o: o, contact: contact, conf: c}
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
	peer := name(d.code)
	if d.contact != nil {
		peer = d.contact.Name
	}
	d.conf.OnEvent(first, call.Dialing{Peer: peer, Server: d.o.Server.String()})
	patient, cancel := context.WithTimeout(ctx, d.conf.Timeout)
	defer cancel()
	e, err := d.dial(patient, first)
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

// dial makes the call.
func (d *Dialer) dial(ctx context.Context, id int) (*call.Endpoint, error) {
	if d.contact == nil {
		return Dial(ctx, d.o, d.code, d.conf)
	}
	defer d.contact.Wipe()
	told := false
	return DialContact(ctx, d.o, d.contact, d.conf, func() {
		if !told {
			d.conf.OnEvent(id, call.Fault{Err: ErrNotThere, Hint: "trying on until --timeout"})
		}
		told = true
	})
}

// reasonOf is why a meeting did not become a call.
func reasonOf(err error) call.Reason {
	var (
		server *rendezvous.ServerError
		bind   *nat.BindError
	)
	switch {
	case errors.Is(err, ErrBusy):
		return call.ReasonBusy
	case errors.Is(err, ErrOtherEnd), errors.Is(err, call.ErrNotMet):
		return call.ReasonKeys
	case errors.As(err, &server), errors.Is(err, rendezvous.ErrLimit), errors.Is(err, rendezvous.ErrUnavailable), errors.Is(err, ErrBroken):
		return call.ReasonServer
	case errors.As(err, &bind):
		return call.ReasonNotPossible
	case errors.Is(err, rendezvous.ErrUnknown), errors.Is(err, rendezvous.ErrUsed), errors.Is(err, rendezvous.ErrExpired), errors.Is(err, ErrWrongCode):
		return call.ReasonCode
	case errors.Is(err, punched.ErrNoRoute), errors.Is(err, ErrGone), errors.Is(err, ErrNotThere), errors.Is(err, context.DeadlineExceeded):
		return call.ReasonUnreachable
	}
	return call.ReasonFault
}

// A Listener waits for calls by codes, one for each, and of contacts, one after the other.
type Listener struct {
	current
	o     Options
	conf  call.Config
	later call.Config // of the calls to come; under current.mu
	door  *door       // nil: contacts do not find us without a code
}

// NewListener prepares to take calls by codes.
func NewListener(c call.Config, o Options) *Listener {
	c, o = withDefaults(c, o)
	return &Listener{o: o, conf: c, later: c}
}

// Configure is call.Endpoint's. Where calls come in stays what it was.
func (l *Listener) Configure(c call.Config) error {
	c.Once, c.Echo, c.PacketTime = l.conf.Once, l.conf.Echo, l.conf.PacketTime
	c.Cache, c.OnEvent = l.conf.Cache, l.conf.OnEvent
	c, _ = withDefaults(c, l.o)
	l.mu.Lock()
	l.later = c
	l.mu.Unlock()
	return nil
}

// settings are those of the next call. The goroutine of Run asks for them.
func (l *Listener) settings() call.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.later
	c.EarlierCalls = l.conf.EarlierCalls
	return c
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
	if l.conf.Cache != nil && l.conf.Require != call.RequireCode {
		l.door = newDoor(l.o, l.conf.Cache)
		waiting, close := context.WithCancel(ctx)
		var kept sync.WaitGroup
		kept.Go(func() { l.door.keep(waiting) })
		defer kept.Wait()
		defer close()
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
		if l.door != nil {
			signal(l.door.changed)
		}
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
	l.conf.OnEvent(0, call.Listening{Code: m.Code.String(), Server: l.o.Server.String(), Held: m.Held, ByName: l.door != nil})
	e, err = l.first(ctx, m)
	return e, true, err
}

// first waits for whoever comes first, with the code or by name. A contact whose visit comes
// to nothing does not use the code up.
func (l *Listener) first(ctx context.Context, m *Mailbox) (*call.Endpoint, error) {
	var visitors chan *visitor
	if l.door != nil {
		visitors = l.door.visitors
	}
	joined := m.accept(ctx)
	for {
		select {
		case a := <-joined:
			return m.joined(ctx, a, l.settings())
		case v := <-visitors:
			e, err := v.answer(ctx, l.o, m.socket, l.settings())
			if err == nil {
				m.client.Close()
				return e, nil
			}
			if ctx.Err() == nil {
				l.door.avoid(v.zid)
				l.conf.OnEvent(0, call.Fault{Err: l.visit(v.zid, err), Hint: "the code is still good; contacts forget leaves somebody out for good"})
				m.socket, err = nat.Listen(ctx, l.o.Bind)
			}
			if err != nil {
				m.client.Close()
				return nil, err
			}
		}
	}
}

// A VisitError is a contact's call that came to nothing.
type VisitError struct {
	Who string // its name, or ZID
	Err error
}

func (e *VisitError) Error() string {
	return fmt.Sprintf("%s called, and it came to nothing: %v", e.Who, e.Err)
}
func (e *VisitError) Unwrap() error { return e.Err }

// Anonymous is the same without the name.
func (e *VisitError) Anonymous() string {
	why := e.Err.Error()
	var a interface {
		error
		Anonymous() string
	}
	if errors.As(e.Err, &a) {
		why = a.Anonymous()
	}
	return "a contact called, and it came to nothing: " + why
}

// visit is an error with the name of the contact whose visit it was.
func (l *Listener) visit(zid wire.ZID, err error) error {
	who := fmt.Sprintf("%x", zid[:])
	if r, known, _ := l.conf.Cache.Lookup(zid); known && r.Name != "" {
		r.Wipe()
		who = r.Name
	}
	return &VisitError{who, err}
}
