package rendezvous

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Options are how a Client reaches its server. The zero value is what there is
// to want.
type Options struct {
	// TLS has the certificates to trust; nil: those of the system.
	TLS *tls.Config
	// Dial opens TCP connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	dialPatience  = 10 * time.Second
	writePatience = 10 * time.Second
	maxEvents     = 64  // joins and ends of mailboxes that nobody has accepted
	maxReceived   = 512 // messages of one session that nobody has received
)

// A Client is a connection to a server. Its methods may be called from any
// goroutine. Where one fails with a *ServerError of kind ErrLost, all of them
// do from then on.
type Client struct {
	server  Address
	ahead   time.Duration // of its clock
	dated   bool          // it has said what that shows
	ws      *websocket.Conn
	asking  chan struct{} // holds a token while a request waits for its answer
	answers chan answer
	done    chan struct{} // closed when the connection has ended
	running sync.WaitGroup

	mu       sync.Mutex
	sessions map[uint32]*Session
	waited   bool // somebody waits for an answer
	events   []event
	changed  chan struct{} // closed and replaced when there are events
	err      error         // why it has ended
}

// An answer is what a request gets; session is that of a joined.
type answer struct {
	frame
	session *Session
}

// An event is something that Accept returns.
type event struct {
	session *Session
	gone    *GoneError
}

// A GoneError is what Accept returns for a mailbox whose time is over, or a name
// that another connection waits on now.
type GoneError struct {
	Mailbox uint32
	Name    Name
}

func (e *GoneError) Error() string {
	if e.Mailbox != 0 {
		return fmt.Sprintf("the time of mailbox %d is over", e.Mailbox)
	}
	return "somebody else waits on that name now"
}

// Dial connects to server. The error is a *ServerError, or the context's.
func Dial(ctx context.Context, server Address, o Options) (*Client, error) {
	patient, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	var seen watch
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			seen.connected.Store(true)
			return &watched{c, &seen}, nil
		},
		TLSClientConfig:        o.TLS,
		MaxResponseHeaderBytes: 8 << 10,
	}
	defer transport.CloseIdleConnections()
	ws, response, err := websocket.Dial(patient, server.url(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport: transport,
			// Whoever we are sent to is not whom the user has named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Subprotocols: []string{subprotocol},
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, dialError(server.String(), &seen, response, err)
	case ws.Subprotocol() != subprotocol:
		_ = ws.CloseNow()
		return nil, dialError(server.String(), &seen, response, errors.New("no subprotocol"))
	}
	ws.SetReadLimit(maxFrame)
	ahead, dated := clockAhead(response.Header.Get("Date"), time.Now())
	c := &Client{
		server:   server,
		ahead:    ahead,
		dated:    dated,
		ws:       ws,
		asking:   make(chan struct{}, 1),
		answers:  make(chan answer, 1),
		done:     make(chan struct{}),
		sessions: map[uint32]*Session{},
		changed:  make(chan struct{}),
	}
	c.running.Go(c.read)
	c.running.Go(c.ping)
	return c, nil
}

// ClockAhead is by how much the server's clock is ahead of this machine's, to a second, by
// the Date of its answer (RFC 9110, Section 6.6.1). ok is false where it gave none.
func (c *Client) ClockAhead() (ahead time.Duration, ok bool) { return c.ahead, c.dated }

func clockAhead(date string, now time.Time) (time.Duration, bool) {
	at, err := http.ParseTime(date)
	if err != nil {
		return 0, false
	}
	return at.Add(time.Second / 2).Sub(now), true // it has no fractions of a second
}

// A watch tells how far a connection has come.
type watch struct{ connected, heard atomic.Bool }

type watched struct {
	net.Conn
	seen *watch
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.seen.heard.Store(true)
	}
	return n, err
}

// Close ends the connection, and with it the mailboxes and sessions.
func (c *Client) Close() error {
	c.fail(net.ErrClosed)
	c.running.Wait()
	return nil
}

// fail ends the connection; the first cause is the one that counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		if !errors.Is(err, net.ErrClosed) {
			c.err = &ServerError{Server: c.server.String(), Kind: ErrLost, Err: err}
		}
		close(c.done)
	}
	sessions := c.sessions
	c.sessions = nil
	c.mu.Unlock()
	for _, s := range sessions {
		s.over(c.why())
	}
	if first {
		_ = c.ws.CloseNow()
	}
}

// why is the error of a connection that has ended.
func (c *Client) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ping shows the server that we are there, and us that it is.
func (c *Client) ping() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), pingEvery)
		err := c.ws.Ping(ctx)
		cancel()
		if err != nil {
			c.fail(errors.New("it answers no more"))
			return
		}
	}
}

// read gets what the server says, which may be anything.
func (c *Client) read() {
	for {
		kind, b, err := c.ws.Read(context.Background())
		if err != nil {
			c.fail(errors.New("the connection has ended"))
			return
		}
		f, err := parse(b)
		if err == nil && kind != websocket.MessageText {
			err = errFrame
		}
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

var errUnasked = errors.New("it says what nobody asked for")

func (c *Client) take(f frame) error {
	switch f.Type {
	case typeMessage:
		if s := c.session(f.Session); s != nil && !s.put(f.Data) {
			c.forget(s)
			s.over(ErrLimit)
			return c.write(context.Background(), frame{Type: typeClose, Session: s.id})
		}
	case typeClosed:
		if s := c.session(f.Session); s != nil {
			c.forget(s)
			s.over(closedError(f.Reason))
		}
	case typeGone:
		return c.happen(event{gone: &GoneError{f.Mailbox, f.Name}})
	case typeJoined:
		s, err := c.begin(f)
		if err != nil {
			return err
		}
		if f.Waiting {
			return c.happen(event{session: s})
		}
		return c.answer(answer{f, s})
	case typeOpened, typeWaiting, typeError:
		return c.answer(answer{frame: f})
	}
	return nil
}

// answer hands an answer to the one who waits for it.
func (c *Client) answer(a answer) error {
	c.mu.Lock()
	waited := c.waited
	c.waited = false
	c.mu.Unlock()
	if !waited {
		return errUnasked
	}
	c.answers <- a
	return nil
}

// happen keeps an event for Accept.
func (c *Client) happen(e event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) >= maxEvents {
		return errUnasked
	}
	c.events = append(c.events, e)
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// ask sends a request and returns its answer. A context that ends before the
// answer is there takes the connection with it, since nobody could tell
// what the answer was to.
func (c *Client) ask(ctx context.Context, f frame, want string) (answer, error) {
	select {
	case c.asking <- struct{}{}:
		defer func() { <-c.asking }()
	case <-c.done:
		return answer{}, c.why()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	c.mu.Lock()
	c.waited = true
	c.mu.Unlock()
	if err := c.write(ctx, f); err != nil {
		return answer{}, err
	}
	select {
	case a := <-c.answers:
		switch {
		case a.Type == typeError && a.Re == f.Type:
			return answer{}, codeError(a.Reason)
		case a.Type != want:
			c.fail(errUnasked)
			return answer{}, c.why()
		}
		return a, nil
	case <-c.done:
		return answer{}, c.why()
	case <-ctx.Done():
		c.fail(ctx.Err())
		return answer{}, ctx.Err()
	}
}

func (c *Client) write(ctx context.Context, f frame) error {
	patient, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	if err := c.ws.Write(patient, websocket.MessageText, f.encode()); err != nil {
		c.fail(errors.New("nothing can be sent any more"))
		return c.why()
	}
	return nil
}

// A Mailbox is one that this side has opened.
type Mailbox struct {
	Number uint32
	Held   time.Duration // for which the server keeps it
}

// Open opens a numbered mailbox. Accept tells who has joined it, or that its
// time is over; either way it is gone then. Errors: ErrLimit, ErrUnavailable.
func (c *Client) Open(ctx context.Context) (Mailbox, error) {
	a, err := c.ask(ctx, frame{Type: typeOpen}, typeOpened)
	if err == nil && a.Mailbox == 0 {
		c.fail(errFrame)
		err = c.why()
	}
	return Mailbox{a.Mailbox, time.Duration(a.Seconds) * time.Second}, err
}

// Wait waits on names, besides those that it waits on. Whoever waited on one of
// them before does so no more. Errors: ErrLimit, ErrUnavailable.
func (c *Client) Wait(ctx context.Context, names ...Name) error {
	return c.names(ctx, typeWait, names)
}

// Unwait ends that for names.
func (c *Client) Unwait(ctx context.Context, names ...Name) error {
	return c.names(ctx, typeUnwait, names)
}

func (c *Client) names(ctx context.Context, request string, names []Name) error {
	for some := range slices.Chunk(names, maxNames) {
		if _, err := c.ask(ctx, frame{Type: request, Names: some}, typeWaiting); err != nil {
			return err
		}
	}
	return nil
}

// Join joins a numbered mailbox. Errors: ErrUnknown, ErrUsed, ErrExpired,
// ErrLimit, ErrUnavailable.
func (c *Client) Join(ctx context.Context, number uint32) (*Session, error) {
	if number == 0 || number > maxNumber {
		return nil, ErrUnknown
	}
	return c.join(ctx, frame{Type: typeJoin, Mailbox: number})
}

// JoinName joins a named mailbox. Errors: ErrUnknown where nobody waits, and
// the others of Join.
func (c *Client) JoinName(ctx context.Context, name Name) (*Session, error) {
	return c.join(ctx, frame{Type: typeJoin, Name: name})
}

func (c *Client) join(ctx context.Context, f frame) (*Session, error) {
	a, err := c.ask(ctx, f, typeJoined)
	if err != nil {
		return nil, err
	}
	return a.session, nil
}

// Accept waits for somebody to join one of this side's mailboxes. A *GoneError
// is about one mailbox, and Accept can be called again. A server lets a
// connection have few sessions at once: one whose other end does not soon prove
// who it is should be closed.
func (c *Client) Accept(ctx context.Context) (*Session, error) {
	for {
		c.mu.Lock()
		changed := c.changed
		if len(c.events) > 0 {
			e := c.events[0]
			c.events = c.events[1:]
			c.mu.Unlock()
			if e.gone != nil {
				return nil, e.gone
			}
			return e.session, nil
		}
		err := c.err
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
