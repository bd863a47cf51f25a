package rendezvous

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// A world is a server in memory, with clients from any address. It belongs to
// one synctest bubble.
type world struct {
	t        *testing.T
	server   *Server
	listener *pipes
	log      *safeBuffer
}

// inWorld runs f in a bubble with a server of its own. When f is done and all
// its clients are closed, the server must hold nothing any more.
func inWorld(t *testing.T, edit func(*Settings), f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, edit)
		defer w.stop()
		f(t, w)
	})
}

func newWorld(t *testing.T, edit func(*Settings)) *world {
	w := &world{t: t, listener: newPipes(), log: &safeBuffer{}}
	settings := Settings{Limits: DefaultLimits(), Log: slog.New(slog.NewTextHandler(w.log, nil))}
	if edit != nil {
		edit(&settings)
	}
	var err error
	if w.server, err = NewServer(settings); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, w.listener, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

// stop closes everything from the clients' side, and looks at what is left.
func (w *world) stop() {
	w.listener.cut()
	synctest.Wait()
	s := w.server
	for name, n := range map[string]int64{
		"connections": s.connections.Load(), "mailboxes": s.mailboxes.Load(), "names": s.names.Load(),
		"sessions": s.sessions.Load(), "queued": s.queued.Load(), "conns": int64(len(s.conns)),
	} {
		if n != 0 {
			w.t.Errorf("%d %s are left", n, name)
		}
	}
}

var testServer = Address{Host: "meet.example", Port: 443, Plain: true}

// client connects from an address.
func (w *world) client(from string) *Client {
	w.t.Helper()
	c, err := w.tryClient(from)
	if err != nil {
		w.t.Fatalf("Dial from %s: %v", from, err)
	}
	return c
}

func (w *world) tryClient(from string) (*Client, error) {
	c, err := Dial(w.t.Context(), testServer, Options{Dial: w.listener.dialer(from)})
	if err == nil {
		w.t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// raw connects with a client that says whatever it likes.
func (w *world) raw(from string) *rawClient {
	w.t.Helper()
	r := &rawClient{w: w}
	dial := w.listener.dialer(from)
	ws, _, err := websocket.Dial(w.t.Context(), testServer.url(), &websocket.DialOptions{
		HTTPClient: clientOver(func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			r.conn = c
			return c, err
		}),
		Subprotocols: []string{subprotocol},
	})
	if err != nil {
		w.t.Fatalf("raw client: %v", err)
	}
	ws.SetReadLimit(1 << 20)
	r.ws = ws
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	return r
}

type rawClient struct {
	w    *world
	ws   *websocket.Conn
	conn net.Conn
}

func (r *rawClient) say(text string) error {
	return r.ws.Write(r.w.t.Context(), websocket.MessageText, []byte(text))
}

func (r *rawClient) hear() (frame, error) {
	_, b, err := r.ws.Read(r.w.t.Context())
	if err != nil {
		return frame{}, err
	}
	return parse(b)
}

// ask says text and wants a frame of a type.
func (r *rawClient) ask(text, want string) frame {
	r.w.t.Helper()
	if err := r.say(text); err != nil {
		r.w.t.Fatalf("%s: %v", text, err)
	}
	return r.want(want)
}

func (r *rawClient) want(want string) frame {
	r.w.t.Helper()
	f, err := r.hear()
	if err != nil || f.Type != want {
		r.w.t.Fatalf("heard %+v, %v; want %s", f, err, want)
	}
	return f
}

// pipes is a listener in memory.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	all []net.Conn
}

func newPipes() *pipes { return &pipes{accept: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

// dialer opens connections that seem to come from an address.
func (p *pipes) dialer(from string) func(context.Context, string, string) (net.Conn, error) {
	addr := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 40000))
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case p.accept <- &pipe{theirs, addr}:
		case <-p.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		p.mu.Lock()
		p.all = append(p.all, ours)
		p.mu.Unlock()
		return ours, nil
	}
}

// cut ends all connections.
func (p *pipes) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.all {
		_ = c.Close()
	}
}

type pipe struct {
	net.Conn
	from net.Addr
}

func (p *pipe) RemoteAddr() net.Addr { return p.from }

// A safeBuffer is a log that can be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// meet opens a mailbox at a and joins it from b.
func meet(t *testing.T, a, b *Client) (waiting, joining *Session) {
	t.Helper()
	ctx := t.Context()
	m := must(a.Open(ctx))(t)
	joining = must(b.Join(ctx, m.Number))(t)
	waiting = must(a.Accept(ctx))(t)
	if waiting.Mailbox != m.Number || !waiting.Waiting || joining.Mailbox != m.Number || joining.Waiting {
		t.Fatalf("waiting %+v, joining %+v", waiting, joining)
	}
	return waiting, joining
}

func say(t *testing.T, from, to *Session, text string) {
	t.Helper()
	if err := from.Send(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Receive(t.Context()); err != nil || string(got) != text {
		t.Fatalf("received %q, %v; want %q", got, err, text)
	}
}

// Two people meet, a third one is too late, and the one who waits can wait
// again.
func TestMeet(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		meeting(t, w.client("203.0.113.1"), w.client("203.0.113.2"), w.client("203.0.113.3"))
	})
}

// The same with each of them at another node.
func TestMeetAcrossNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewMemory()
		share := func(s *Settings) { s.Store = shared }
		a, b, c := newWorld(t, share), newWorld(t, share), newWorld(t, share)
		defer c.stop()
		defer b.stop()
		defer a.stop()
		meeting(t, a.client("203.0.113.1"), b.client("203.0.113.2"), c.client("203.0.113.3"))
	})
}

func meeting(t *testing.T, a, b, c *Client) {
	t.Helper()
	ctx := t.Context()
	waiting, joining := meet(t, a, b)
	say(t, joining, waiting, "hello")
	say(t, waiting, joining, "hello yourself")
	_, err := c.Join(ctx, waiting.Mailbox)
	wantErr(t, "a third one", err, ErrUsed)

	// Another mailbox on the same connection, while the session lasts.
	waiting2, joining2 := meet(t, a, c)
	if waiting2.Mailbox == waiting.Mailbox {
		t.Fatal("the number of a used mailbox was given again")
	}
	say(t, joining2, waiting2, "me too")
	say(t, joining, waiting, "still here")

	if err := joining.Send(ctx, []byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := joining.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := waiting.Receive(ctx); err != nil || string(got) != "last words" {
		t.Fatalf("%q, %v", got, err)
	}
	_, err = waiting.Receive(ctx)
	wantErr(t, "after the other end has closed", err, io.EOF)
	wantErr(t, "sending after that", waiting.Send(ctx, []byte("?")), io.EOF)

	_ = c.Close()
	_, err = waiting2.Receive(ctx)
	wantErr(t, "after the other end's connection has gone", err, ErrLost)
	_, err = joining2.Receive(ctx)
	wantErr(t, "after our own connection has gone", err, net.ErrClosed)
}

// Codes that are wrong, too old, or whose owner has left.
func TestNoSuchMailbox(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		m := must(a.Open(ctx))(t)
		if m.Number < 1 || m.Number > 99 || m.Held != time.Hour {
			t.Fatalf("%+v", m)
		}
		_, err := b.Join(ctx, m.Number%99+1)
		wantErr(t, "a number mistyped", err, ErrUnknown)
		_, err = b.Join(ctx, 1<<31)
		wantErr(t, "no number", err, ErrUnknown)

		time.Sleep(time.Hour)
		synctest.Wait()
		_, err = b.Join(ctx, m.Number)
		wantErr(t, "an old number", err, ErrExpired)
		_, err = a.Accept(ctx)
		var gone *GoneError
		if !errors.As(err, &gone) || gone.Mailbox != m.Number {
			t.Fatalf("who waits is told %v", err)
		}
		time.Sleep(resting)
		_, err = b.Join(ctx, m.Number)
		wantErr(t, "a number long ago", err, ErrUnknown)

		m = must(a.Open(ctx))(t)
		_ = a.Close()
		synctest.Wait()
		_, err = b.Join(ctx, m.Number)
		wantErr(t, "after its owner has left", err, ErrExpired)
	})
}

// Contacts wait on names, several at once and for more than one call; the names
// are there only while somebody waits.
func TestNames(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		naming(t, w.client("203.0.113.1"), w.client("203.0.113.2"), w.client("2001:db8::1"), settled)
	})
}

func TestNamesAcrossNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := NewMemory()
		share := func(s *Settings) { s.Store = shared }
		a, b := newWorld(t, share), newWorld(t, share)
		defer b.stop()
		defer a.stop()
		naming(t, a.client("203.0.113.1"), b.client("203.0.113.2"), b.client("2001:db8::1"), settled)
	})
}

func settled(*Client, Name) { synctest.Wait() }

// naming needs settle to wait until the end of a connection is known, by which
// a name has gone.
func naming(t *testing.T, a, b, again *Client, settle func(*Client, Name)) {
	t.Helper()
	ctx := t.Context()
	var names []Name
	for i := range 100 { // more than go into one message
		names = append(names, Name{byte(i), 1})
	}
	if err := a.Wait(ctx, names...); err != nil {
		t.Fatal(err)
	}
	for _, name := range []Name{names[99], names[0], names[99]} {
		joining := must(b.JoinName(ctx, name))(t)
		waiting := must(a.Accept(ctx))(t)
		if waiting.Name != name || !waiting.Waiting {
			t.Fatalf("%+v", waiting)
		}
		say(t, joining, waiting, "it is me")
		if err := joining.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.JoinName(ctx, Name{42})
	wantErr(t, "a name of nobody", err, ErrUnknown)

	if err := a.Unwait(ctx, names[1]); err != nil {
		t.Fatal(err)
	}
	_, err = b.JoinName(ctx, names[1])
	wantErr(t, "a name no longer waited on", err, ErrUnknown)

	// The same side comes back on another connection, before the server knows
	// that the first one is dead.
	if err := again.Wait(ctx, names[2]); err != nil {
		t.Fatal(err)
	}
	_, err = a.Accept(ctx)
	var gone *GoneError
	if !errors.As(err, &gone) || gone.Name != names[2] {
		t.Fatalf("who waited before is told %v", err)
	}
	must(b.JoinName(ctx, names[2]))(t)
	if s := must(again.Accept(ctx))(t); s.Name != names[2] {
		t.Fatalf("%+v", s)
	}
	// What a gives up now is not again's.
	if err := a.Unwait(ctx, names[2]); err != nil {
		t.Fatal(err)
	}
	must(b.JoinName(ctx, names[2]))(t)

	_ = a.Close()
	settle(b, names[0])
	_, err = b.JoinName(ctx, names[0])
	wantErr(t, "a name whose owner has left", err, ErrUnknown)
}

// A client that waits stays connected for as long as it pings, and one that has
// gone without a word is noticed.
func TestIdle(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.client("203.0.113.1"), w.client("203.0.113.2")
		waiting, joining := meet(t, a, b)
		_ = joining
		silent := w.raw("203.0.113.3") // never reads, and so answers nothing
		m := silent.ask(`{"type":"open"}`, typeOpened)
		time.Sleep(80 * time.Second)
		_, err := b.Join(ctx, m.Mailbox)
		wantErr(t, "of a silent one", err, ErrExpired)
		say(t, joining, waiting, "still there")

		time.Sleep(10 * time.Minute)
		_, err = waiting.Receive(ctx)
		wantErr(t, "a session that lasts too long", err, ErrExpired)
		_, err = joining.Receive(ctx)
		wantErr(t, "a session that lasts too long", err, ErrExpired)
		time.Sleep(24 * time.Hour)
		meet(t, a, b)
	})
}

// serveWebSocket lets f speak on each connection of l, to the end.
func serveWebSocket(l net.Listener, f func(*websocket.Conn)) error {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
		if err == nil {
			defer func() { _ = ws.CloseNow() }()
			f(ws)
		}
	})}
	return server.Serve(l)
}
