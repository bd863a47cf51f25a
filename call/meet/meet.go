// Package meet brings two people into a call who share a call code and nothing
// else, or who are contacts (contact.go). By a code: the one who waits opens a mailbox at a meeting point and reads the code out,
// the other one joins with it. What then goes through the meeting point:
//
//	caller                         callee
//	  |<------ shares of both ------>|  of the key exchange (crypto/pake)
//	  |-------- confirmation ------->|  a wrong guess is known here
//	  |<------- confirmation --------|
//	  |<------- introduction --------|  sealed from here on
//	  |-------- introduction ------->|
//	  |<------ more candidates ----->|
//
// An introduction (introduction.go) is who somebody is in ZRTP and where they may be
// found. Then ICE (nat/punched) looks for a way between the two, and the call runs
// over that, with what the code gave both as its auxiliary secret. The meeting
// point learns the number in front of the code, both addresses, and when; it is
// trusted with nothing else.
//
// The package opens a UDP socket and a connection to the meeting point, and starts
// goroutines that end with the call's path.
package meet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/crypto/pake"
	"securecall/nat"
	"securecall/nat/rendezvous"
)

const (
	// answerTime is for the meeting point to answer.
	answerTime = 15 * time.Second
	// agreeTime is for the other end, once it has joined, to show that it knows the
	// code. It is a machine, and has typed it already.
	agreeTime = 10 * time.Second
	// connectTime is for a way to be found.
	connectTime = 20 * time.Second
	// lingerTime is for the last candidates, when there is a way already.
	lingerTime = 5 * time.Second
)

// Why two people did not meet, besides the errors of nat/rendezvous.
var (
	// ErrWrongCode is Dial's: the other side has another code. It is used up.
	ErrWrongCode = errors.New("the code is not the right one")
	// ErrGuessed is Wait's: somebody has joined with the right number and wrong
	// words. The code is used up.
	ErrGuessed = errors.New("somebody has tried your code's number with wrong words")
	// ErrLeft is Wait's: somebody has joined and gone, or said nothing that makes
	// sense. The code is used up.
	ErrLeft = errors.New("somebody has used your code's number and said nothing more")
	// ErrGone: the other side said nothing more before there was a way to it.
	ErrGone = errors.New("the other side does not go on")
	// ErrBroken: what the meeting point delivers makes no sense.
	ErrBroken = errors.New("what comes through the meeting point makes no sense")
	// ErrOtherEnd: what the other side has sealed makes no sense.
	ErrOtherEnd = errors.New("the other side says what this program does not understand")
)

// Options are how to meet. They may be used again.
type Options struct {
	Server    rendezvous.Address
	TLS       *tls.Config    // nil: the certificates that the system trusts
	Bind      netip.AddrPort // of the call's UDP socket
	RelayOnly bool           // not one packet goes to the other side but by a relay
	Map       bool           // ask the router to forward a port to that socket
	Rand      io.Reader      // nil: crypto/rand's; else for several goroutines
}

// open opens the call's socket, before a code is used up or read out, and connects to
// the meeting point.
func (o Options) open(ctx context.Context) (nat.Path, *rendezvous.Client, error) {
	socket, err := nat.Listen(ctx, o.Bind)
	if err != nil {
		return nil, nil, err
	}
	client, err := o.connect(ctx)
	if err != nil {
		socket.Close()
		return nil, nil, err
	}
	return socket, client, nil
}

func (o Options) connect(ctx context.Context) (*rendezvous.Client, error) {
	return rendezvous.Dial(ctx, o.Server, rendezvous.Options{TLS: o.TLS})
}

// answers gives what is asked of a server some time.
func (o Options) answers(ctx context.Context, ask func(context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := ask(patient)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return &rendezvous.ServerError{Server: o.Server.String(), Kind: rendezvous.ErrUnreachable, Err: errors.New("it does not answer")}
	}
	return err
}

// gone is an error of a conversation as the other side's absence, where it is that.
func gone(err error) error {
	var server *rendezvous.ServerError
	switch {
	case errors.As(err, &server): // our own connection
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, rendezvous.ErrLost), errors.Is(err, context.DeadlineExceeded):
		return ErrGone
	}
	return err
}

// Dial joins with a code, and returns the call, ready to Run. Errors: those of
// nat/rendezvous, ErrWrongCode, ErrGone, ErrBroken, ErrOtherEnd, punched.ErrNoRoute, a
// *nat.BindError. With any but the first and the last the code is used up.
func Dial(ctx context.Context, o Options, code callcode.Code, conf call.Config) (*call.Endpoint, error) {
	socket, client, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	var session *rendezvous.Session
	err = o.answers(ctx, func(ctx context.Context) (err error) {
		session, err = client.Join(ctx, code.Mailbox())
		return err
	})
	if err != nil {
		socket.Close()
		client.Close()
		return nil, err
	}
	return o.dialled(ctx, socket, client, session, func(l *link) (*call.Endpoint, error) { return l.dial(ctx, code, conf) })
}

// dialled goes on from a mailbox that was joined to a call, and takes socket and client over.
func (o Options) dialled(ctx context.Context, socket nat.Path, client *rendezvous.Client, session *rendezvous.Session, meet func(*link) (*call.Endpoint, error)) (*call.Endpoint, error) {
	l, err := o.newLink(ctx, socket, client, session, session.Relays, true)
	if err != nil {
		client.Close()
		return nil, err
	}
	e, err := meet(l)
	if err != nil {
		l.close()
		return nil, err
	}
	go newFollower(l, client).run()
	return e, nil
}

func (l *link) dial(ctx context.Context, code callcode.Code, conf call.Config) (*call.Endpoint, error) {
	agreeing, cancel := context.WithTimeout(ctx, agreeTime)
	defer cancel()
	keys, spent, err := agree(agreeing, l.session, pake.A, code, l.o.Rand)
	defer keys.Clear()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	case errors.Is(err, pake.ErrCode), spent && errors.Is(err, io.EOF):
		return nil, ErrWrongCode // the other side closes after a wrong confirmation
	case err != nil:
		return nil, gone(err)
	}
	return l.agreed(ctx, conf, keys)
}

// A Mailbox waits for one person.
type Mailbox struct {
	Code callcode.Code
	Held time.Duration // for which the server keeps it

	o      Options
	socket nat.Path
	client *rendezvous.Client
}

// Open opens a mailbox and makes a code for it. Errors: those of nat/rendezvous, a
// *nat.BindError.
func Open(ctx context.Context, o Options) (*Mailbox, error) {
	socket, client, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	m := &Mailbox{o: o, socket: socket, client: client}
	err = o.answers(ctx, func(ctx context.Context) error {
		opened, err := client.Open(ctx)
		if err != nil {
			return err
		}
		m.Held = opened.Held
		m.Code, err = callcode.New(o.Rand, opened.Number)
		return err
	})
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close gives the mailbox up.
func (m *Mailbox) Close() error {
	m.socket.Close()
	return m.client.Close()
}

// accept waits for somebody to join the mailbox, which is then used up.
func (m *Mailbox) accept(ctx context.Context) <-chan arrival {
	arrivals := make(chan arrival, 1)
	go func() {
		s, err := m.client.Accept(ctx)
		arrivals <- arrival{s, err}
	}()
	return arrivals
}

// Wait waits for somebody who knows the code, and returns the call, ready to Run.
// Whatever it returns, the mailbox is used up. Errors: a *rendezvous.GoneError,
// others of nat/rendezvous, ErrGuessed, ErrLeft, and those of Dial that come after.
func (m *Mailbox) Wait(ctx context.Context, conf call.Config) (*call.Endpoint, error) {
	return m.joined(ctx, <-m.accept(ctx), conf)
}

func (m *Mailbox) joined(ctx context.Context, a arrival, conf call.Config) (*call.Endpoint, error) {
	if a.err != nil {
		m.Close()
		return nil, a.err
	}
	return m.answer(ctx, a.session, conf)
}

// answer answers who has joined.
func (m *Mailbox) answer(ctx context.Context, session *rendezvous.Session, conf call.Config) (*call.Endpoint, error) {
	l, err := m.o.newLink(ctx, m.socket, m.client, session, session.Relays, false)
	if err != nil {
		m.client.Close()
		return nil, err
	}
	e, err := l.answer(ctx, m.Code, conf, session.Proven)
	if err != nil {
		l.close()
		return nil, err
	}
	go newFollower(l, m.client).run()
	return e, nil
}

func (l *link) answer(ctx context.Context, code callcode.Code, conf call.Config, proven func(context.Context) error) (*call.Endpoint, error) {
	agreeing, cancel := context.WithTimeout(ctx, agreeTime)
	defer cancel()
	keys, _, err := agree(agreeing, l.session, pake.B, code, l.o.Rand)
	defer keys.Clear()
	var server *rendezvous.ServerError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	case errors.Is(err, pake.ErrCode):
		return nil, ErrGuessed
	case errors.As(err, &server):
		return nil, err
	case err != nil:
		return nil, ErrLeft
	}
	_ = proven(ctx) // else the server only counts a guess too many
	return l.agreed(ctx, conf, keys)
}

// name is a code without its words, for events and logs.
func name(code callcode.Code) string { return fmt.Sprintf("call code %d", code.Mailbox()) }

// agreement is what both exchanges are for.
var agreement = pake.Context{A: "caller", B: "callee", AAD: "securecall call code 1"}

// maxNonsense is how many messages that make no sense are passed over: a meeting
// point can put in as many as it likes.
const maxNonsense = 8

// agree runs the key exchange of a code. spent: the other side, whoever that is, can
// tell by now whether the code was right.
func agree(ctx context.Context, s conversation, role pake.Role, code callcode.Code, random io.Reader) (keys pake.Keys, spent bool, err error) {
	x, err := pake.New(role, code.String(), agreement, random)
	if err != nil {
		return keys, false, err
	}
	defer x.Close()
	for nonsense := 0; ; {
		for m, ok := x.NextMessage(); ok; m, ok = x.NextMessage() {
			if err := s.Send(ctx, m); err != nil {
				return keys, x.Spent(), err
			}
		}
		if keys, err = x.Keys(); !errors.Is(err, pake.ErrUnfinished) {
			return keys, x.Spent(), err
		}
		m, err := s.Receive(ctx)
		if err != nil {
			return keys, x.Spent(), err
		}
		if err := x.Receive(m); err != nil && !errors.Is(err, pake.ErrCode) {
			if nonsense++; nonsense > maxNonsense {
				return keys, x.Spent(), ErrBroken
			}
		}
	}
}
