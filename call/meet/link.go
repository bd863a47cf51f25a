package meet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"securecall/call"
	"securecall/crypto/pake"
	"securecall/crypto/zrtp/wire"
	"securecall/nat"
	"securecall/nat/mapping"
	"securecall/nat/punched"
	"securecall/nat/rendezvous"
)

// A link is two people on their way to each other, and then in a call.
type link struct {
	o       Options
	client  io.Closer    // the connection to the meeting point; nil: it is not the call's
	session conversation // in which they have met
	way     *way
	caller  bool
	found   chan struct{} // holds a token when there are candidates to tell

	contact          *wire.ZID // whom we meet; nil: whoever has the code
	auxiliary, again []byte    // that the code gave both, and for meeting again

	life    context.Context // the call's
	end     context.CancelFunc
	talking context.Context // of the talk in which candidates are told
	hush    context.CancelFunc
	workers sync.WaitGroup
}

// newLink asks the meeting point's STUN and TURN where the socket is to be found, while
// the two sides find out whether they have the same code. It takes the socket over.
func (o Options) newLink(ctx context.Context, socket nat.Path, client io.Closer, session conversation, relays []rendezvous.Relay, caller bool) (*link, error) {
	l := &link{
		o: o, client: client, session: session, caller: caller,
		way:   &way{routes: make(chan call.PathChanged, 1)},
		found: make(chan struct{}, 1),
	}
	l.life, l.end = context.WithCancel(context.WithoutCancel(ctx))
	l.talking, l.hush = context.WithCancel(l.life)
	stun, turn := servers(relays)
	var err error
	l.way.Path, err = punched.New(punched.Config{
		Path: socket, STUN: stun, TURN: turn, RelayOnly: o.RelayOnly, Controlling: caller,
		OnRoute: l.way.turned,
		OnLocal: func(punched.Description) { signal(l.found) },
		Rand:    o.Rand,
	})
	if err != nil {
		l.end()
		return nil, err
	}
	l.way.over = l.end
	if o.Map && !o.RelayOnly {
		l.workers.Go(l.mapped)
	}
	l.workers.Go(func() {
		_ = l.way.Gather(l.life) // what was found is told by itself; without any of it there may be a way
	})
	return l, nil
}

// mapped has the router forward a port to our socket, until the call is over. Where it does
// not, there may be another way.
func (l *link) mapped() {
	p, err := mapping.Open(l.life, mapping.Config{
		Local: l.way.LocalAddr(),
		OnChange: func(m mapping.Mapping) {
			if m.External.IsValid() {
				l.way.Map(m.External)
			}
		},
		Rand: l.o.Rand,
	})
	if err != nil {
		return
	}
	defer p.Close()
	l.way.Map(p.Mapping().External)
	<-l.life.Done()
}

// servers are the meeting point's relays as nat/punched has them. TCP is for networks
// that let no UDP out.
func servers(relays []rendezvous.Relay) (stun []string, turn []punched.TURN) {
	for _, r := range relays {
		server := net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
		stun = append(stun, server)
		for _, t := range []punched.Transport{punched.UDP, punched.TCP} {
			turn = append(turn, punched.TURN{Server: server, Transport: t, Username: r.Username, Password: r.Password})
		}
	}
	return stun, turn
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// close ends it all, and the way with it.
func (l *link) close() {
	l.end()
	l.way.Close()
	_ = l.session.Close() // so that the other side knows that it was not the connection
	if l.client != nil {
		l.client.Close()
	}
	l.workers.Wait()
	l.forget()
}

// forget overwrites what the two have met with.
func (l *link) forget() {
	clear(l.auxiliary)
	clear(l.again)
}

// agreed goes on with what a code has given.
func (l *link) agreed(ctx context.Context, conf call.Config, keys pake.Keys) (*call.Endpoint, error) {
	t, err := newTalk(l.session, keys)
	if err != nil {
		return nil, err
	}
	l.auxiliary, l.again = bytes.Clone(keys.Auxiliary[:]), bytes.Clone(keys.Again[:])
	return l.meet(ctx, conf, t)
}

// meet introduces both sides to each other, and waits until there is a way. The
// callee is first: its ZID may be the caller's own.
func (l *link) meet(ctx context.Context, conf call.Config, t *talk) (*call.Endpoint, error) {
	if until, ok := ctx.Deadline(); ok {
		conf.Timeout = max(time.Until(until), time.Millisecond) // what is left of it
	}
	patient, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	e, err := l.introduce(patient, t, conf)
	if err != nil {
		t.close()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, gone(err)
	}
	l.way.turned(l.way.Route())
	l.linger(t)
	return e, nil
}

func (l *link) introduce(ctx context.Context, t *talk, conf call.Config) (*call.Endpoint, error) {
	m := call.Meeting{Path: l.way, Peer: punched.Peer, Auxiliary: l.auxiliary, Contact: l.contact, Caller: l.caller}
	var peer introduction
	var err error
	if l.caller {
		if peer, err = met(ctx, t); err != nil {
			return nil, err
		}
		m.Announced = &peer.Announcement
	}
	e, err := call.NewMet(conf, m)
	if err != nil {
		return nil, err
	}
	us := introduction{e.Announce(), l.way.Local()}
	if err := t.say(ctx, kindIntroduction, us.append(nil)); err != nil {
		return nil, err
	}
	if !l.caller {
		if peer, err = met(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := e.Expect(peer.Announcement); err != nil {
		return nil, err
	}
	return e, l.connect(ctx, t, peer.where)
}

// met is the other side's introduction.
func met(ctx context.Context, t *talk) (introduction, error) {
	for {
		kind, body, err := t.hear(ctx)
		switch {
		case err != nil:
			return introduction{}, err
		case kind == kindBusy:
			return introduction{}, ErrBusy
		case kind == kindIntroduction:
			return parseIntroduction(body)
		}
	}
}

// connect looks for a way to where the other side is, while both tell each other of
// more candidates.
func (l *link) connect(ctx context.Context, t *talk, where punched.Description) error {
	if err := l.way.Begin(where); err != nil {
		return err
	}
	talking := l.talking
	l.workers.Go(func() { t.trickle(talking, l.way.Path, l.found) })
	l.workers.Go(func() { t.listen(talking, l.way.Path) })
	if l.way.Connect(ctx, where) != nil {
		return punched.ErrNoRoute
	}
	return nil
}

// linger ends a talk when there is a way, and time enough for the last candidates.
func (l *link) linger(t *talk) {
	late, cancel := context.WithTimeout(l.talking, lingerTime)
	hush := l.hush
	go func() {
		defer cancel()
		<-late.Done()
		hush()
		t.close()
	}()
}
