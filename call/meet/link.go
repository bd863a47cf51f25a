package meet

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"securecall/call"
	"securecall/crypto/pake"
	"securecall/nat"
	"securecall/nat/punched"
	"securecall/nat/rendezvous"
)

// A link is two people on their way to each other: what they say through the
// meeting point, and the way that is being found.
type link struct {
	client  io.Closer // the connection to the meeting point
	session conversation
	way     *way
	caller  bool
	found   chan struct{} // holds a token when there are candidates to send

	life     context.Context
	end      context.CancelFunc
	workers  sync.WaitGroup
	gathered chan struct{} // closed when all servers have answered or will not

	mu      sync.Mutex
	channel *pake.Channel
}

// A conversation is a *rendezvous.Session.
type conversation interface {
	Send(ctx context.Context, b []byte) error
	Receive(ctx context.Context) ([]byte, error)
	Close() error
}

// newLink opens the socket, and asks the meeting point's STUN and TURN where we are
// to be found, while the two sides find out whether they have the same code.
func (o Options) newLink(ctx context.Context, client io.Closer, session conversation, relays []rendezvous.Relay, caller bool) (*link, error) {
	socket, err := nat.Listen(ctx, o.Bind)
	if err != nil {
		return nil, err
	}
	l := &link{
		client: client, session: session, caller: caller,
		way:      &way{routes: make(chan call.PathChanged, 1)},
		found:    make(chan struct{}, 1),
		gathered: make(chan struct{}),
	}
	l.life, l.end = context.WithCancel(context.WithoutCancel(ctx))
	c := punched.Config{
		Path: socket, RelayOnly: o.RelayOnly, Controlling: caller,
		OnRoute: l.way.turned,
		OnLocal: func(punched.Description) { signal(l.found) },
		Rand:    o.Rand,
	}
	for _, r := range relays {
		server := net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
		c.STUN = append(c.STUN, server)
		for _, t := range []punched.Transport{punched.UDP, punched.TCP} {
			c.TURN = append(c.TURN, punched.TURN{Server: server, Transport: t, Username: r.Username, Password: r.Password})
		}
	}
	if l.way.Path, err = punched.New(c); err != nil {
		l.end()
		return nil, err
	}
	l.way.over = l.end
	l.workers.Go(func() {
		defer close(l.gathered)
		_ = l.way.Gather(l.life) // what was found is told by itself; without any of it there may be a way
	})
	return l, nil
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
	l.client.Close()
	l.workers.Wait()
}

// meet introduces both sides to each other, and waits until there is a way. The
// callee is first: its ZID may be the caller's own.
func (l *link) meet(ctx context.Context, conf call.Config, keys pake.Keys, called string) (*call.Endpoint, error) {
	patient, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	var err error
	if l.channel, err = pake.NewChannel(keys); err != nil {
		return nil, err
	}
	m := call.Meeting{Path: l.way, Peer: punched.Peer, Auxiliary: append([]byte(nil), keys.Auxiliary[:]...), Caller: l.caller, Called: called}
	var peer introduction
	if l.caller {
		if peer, err = l.met(patient); err != nil {
			return nil, err
		}
		m.PeerZID = &peer.zid
	}
	e, err := call.NewMet(conf, m)
	if err != nil {
		return nil, err
	}
	us := introduction{e.HelloHash(), e.OwnZID(), l.way.Local()}
	if err := l.send(patient, kindIntroduction, us.append(nil)); err != nil {
		return nil, err
	}
	l.workers.Go(l.trickle)
	if !l.caller {
		if peer, err = l.met(patient); err != nil {
			return nil, err
		}
	}
	e.ExpectHello(peer.helloHash)
	if err := l.way.Begin(peer.where); err != nil {
		return nil, err
	}
	l.workers.Go(l.listen)
	err = l.way.Connect(patient, peer.where)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, punched.ErrNoRoute
	}
	l.way.turned(l.way.Route())
	go l.linger()
	return e, nil
}

// met is the other side's introduction.
func (l *link) met(ctx context.Context) (introduction, error) {
	for {
		kind, body, err := l.receive(ctx)
		switch {
		case err != nil:
			return introduction{}, err
		case kind == kindIntroduction:
			return parseIntroduction(body)
		}
	}
}

// trickle sends what candidates are found from now on.
func (l *link) trickle() {
	sent := 0
	for {
		select {
		case <-l.life.Done():
			return
		case <-l.found:
		}
		d := l.way.Local()
		if len(d.Candidates) == sent && !d.Complete {
			continue
		}
		sent = len(d.Candidates)
		if l.send(l.life, kindMore, d.Append(nil)) != nil {
			return
		}
	}
}

// listen takes the other side's further candidates.
func (l *link) listen() {
	for {
		kind, body, err := l.receive(l.life)
		if err != nil {
			return
		}
		if kind != kindMore {
			continue
		}
		if d, err := punched.ParseDescription(body); err == nil {
			l.way.Add(d)
		}
	}
}

// linger leaves the meeting point when there is nothing more to say there, or the call
// is over.
func (l *link) linger() {
	late, cancel := context.WithTimeout(l.life, lingerTime)
	defer cancel()
	select {
	case <-l.gathered:
		<-late.Done() // the other side's last candidates
	case <-late.Done():
	}
	l.end()
	l.client.Close()
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.channel.Close()
}

func (l *link) send(ctx context.Context, kind byte, body []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	sealed, err := l.channel.Seal(nil, append([]byte{kind}, body...))
	if err != nil {
		return err
	}
	return l.session.Send(ctx, sealed)
}

// receive is the next message that opens. What does not open was altered or put in by
// the meeting point.
func (l *link) receive(ctx context.Context) (kind byte, body []byte, err error) {
	for range maxNonsense {
		sealed, err := l.session.Receive(ctx)
		if err != nil {
			return 0, nil, err
		}
		l.mu.Lock()
		plain, err := l.channel.Open(nil, sealed)
		l.mu.Unlock()
		if err == nil && len(plain) > 0 {
			return plain[0], plain[1:], nil
		}
		if errors.Is(err, pake.ErrClosed) {
			return 0, nil, err
		}
	}
	return 0, nil, ErrBroken
}

// A way is a punched path as a call wants it.
type way struct {
	*punched.Path
	routes chan call.PathChanged
	over   func()
}

// Routes implements call.Router.
func (w *way) Routes() <-chan call.PathChanged { return w.routes }

// Close implements nat.Path.
func (w *way) Close() error {
	w.over()
	return w.Path.Close()
}

// turned tells of a way; one that was not taken yet is forgotten.
func (w *way) turned(r punched.Route) {
	if r.Kind == punched.None {
		return // the call waits for another, and ends where none comes
	}
	next := call.PathChanged{Kind: r.Kind.String(), Local: r.Local, Remote: r.Remote}
	for {
		select {
		case w.routes <- next:
			return
		default:
		}
		select {
		case <-w.routes:
		default:
		}
	}
}

var _ call.Router = (*way)(nil)
