package meet

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
	"securecall/crypto/callcode"
	"securecall/nat"
	"securecall/nat/rendezvous"
)

// server starts a meeting point on loopback.
func server(t *testing.T) Options {
	t.Helper()
	return serves(t, rendezvous.Settings{}, new(tap))
}

// serves starts one with more to it; its connections go through a tap.
func serves(t *testing.T, settings rendezvous.Settings, tap *tap) Options {
	t.Helper()
	settings.Limits = rendezvous.DefaultLimits()
	s, err := rendezvous.NewServer(settings)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap.Listener = l
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, tap, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	a, err := rendezvous.ParseAddress("ws://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return Options{Server: a, Bind: netip.MustParseAddrPort("127.0.0.1:0"), Rand: rand.Reader}
}

// A person is one side's configuration, and what it was told.
type person struct {
	conf call.Config

	mu     sync.Mutex
	events []call.Event
	wake   chan struct{}
}

func newPerson() *person {
	p := &person{wake: make(chan struct{}, 1)}
	p.conf = call.Config{
		Mic:     func() (audio.Source, error) { return device.OpenSource("none", device.Options{}) },
		Speaker: func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) },
		OnEvent: func(_ int, e call.Event) {
			p.mu.Lock()
			p.events = append(p.events, e)
			p.mu.Unlock()
			signal(p.wake)
		},
		AcceptAll: true,
		Timeout:   15 * time.Second, // a contact is looked for every 5
	}
	return p
}

// told waits for the n-th event of a type.
func told[E call.Event](t *testing.T, p *person, n int) E {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		if ev, ok := find[E](p, n); ok {
			return ev
		}
		select {
		case <-p.wake:
		case <-late:
			var none E
			t.Fatalf("no %T came", none)
		}
	}
}

// find is the n-th event of a type, if there were so many.
func find[E call.Event](p *person, n int) (E, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ev := range p.events {
		if ev, ok := ev.(E); ok {
			if n--; n == 0 {
				return ev, true
			}
		}
	}
	var none E
	return none, false
}

// listens starts a listener, which ends with the test.
func listens(t *testing.T, p *person, o Options) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan call.Ended, 1)
	l := NewListener(p.conf, o)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// code is the listener's n-th.
func code(t *testing.T, p *person, n int) callcode.Code {
	t.Helper()
	c, err := callcode.Parse(told[call.Listening](t, p, n).Code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCallByCode(t *testing.T) {
	o := server(t)
	bob, alice := newPerson(), newPerson()
	listens(t, bob, o)
	alice.conf.Duration = 300 * time.Millisecond
	for n := 1; n <= 2; n++ { // after a call there is a new code
		c := code(t, bob, n)
		if ended := NewDialer(alice.conf, o, c).Run(t.Context()); ended.Reason != call.ReasonNormal {
			t.Fatalf("ended: %+v", ended)
		}
		if s := told[call.Secured](t, alice, n); !s.ByCode || s.Auxiliary != "match" {
			t.Errorf("Alice: %+v", s)
		}
		if s := told[call.Secured](t, bob, n); !s.ByCode {
			t.Errorf("Bob: %+v", s)
		}
		if p := told[call.PathChanged](t, alice, n); p.Kind != "direct" || !p.Remote.Addr().IsLoopback() {
			t.Errorf("path: %+v", p)
		}
		if n == 1 {
			again := NewDialer(newPerson().conf, o, c).Run(t.Context())
			if again.Reason != call.ReasonCode || !errors.Is(again.Err, rendezvous.ErrUsed) {
				t.Errorf("a second call by the same code: %+v", again)
			}
		}
	}
}

// One wrong guess burns the code, and the one who waits is told.
func TestWrongCode(t *testing.T) {
	o := server(t)
	bob := newPerson()
	listens(t, bob, o)
	right := code(t, bob, 1)
	wrong := right
	for wrong == right {
		var err error
		if wrong, err = callcode.New(rand.Reader, right.Mailbox()); err != nil {
			t.Fatal(err)
		}
	}
	ended := NewDialer(newPerson().conf, o, wrong).Run(t.Context())
	if ended.Reason != call.ReasonCode || !errors.Is(ended.Err, ErrWrongCode) {
		t.Errorf("ended: %+v", ended)
	}
	if f := told[call.Fault](t, bob, 1); !errors.Is(f.Err, ErrGuessed) {
		t.Errorf("Bob was told %v", f.Err)
	}
	if next := code(t, bob, 2); next == right {
		t.Error("the code is still good")
	}
	ended = NewDialer(newPerson().conf, o, right).Run(t.Context())
	if ended.Reason != call.ReasonCode || !errors.Is(ended.Err, rendezvous.ErrUsed) {
		t.Errorf("the right one after a wrong one: %+v", ended)
	}
}

// Somebody joins by the number and says nothing, or goes.
func TestJoinedAndGone(t *testing.T) {
	o := server(t)
	bob := newPerson()
	listens(t, bob, o)
	client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Join(t.Context(), code(t, bob, 1).Mailbox()); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if f := told[call.Fault](t, bob, 1); !errors.Is(f.Err, ErrLeft) {
		t.Errorf("Bob was told %v", f.Err)
	}
	code(t, bob, 2)
}

func TestNobodyAtTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a, err := rendezvous.ParseAddress("ws://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Server: a, Bind: netip.MustParseAddrPort("127.0.0.1:0")}
	for _, ended := range []call.Ended{
		NewListener(newPerson().conf, o).Run(t.Context()),
		NewDialer(newPerson().conf, o, mustParse(t, "48-harbor-violin-echo")).Run(t.Context()),
	} {
		if ended.Reason != call.ReasonServer {
			t.Errorf("ended: %+v", ended)
		}
	}
}

func mustParse(t *testing.T, text string) callcode.Code {
	t.Helper()
	c, err := callcode.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wireEnd is one end of a conversation in memory, over a meeting point that may do with
// each message what it likes.
type wireEnd struct {
	in, out chan []byte
	over    chan struct{} // closed when either end closes
	once    *sync.Once
}

func (w wireEnd) Send(ctx context.Context, b []byte) error {
	select {
	case w.out <- append([]byte(nil), b...):
		return nil
	case <-w.over:
		return io.EOF
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w wireEnd) Receive(ctx context.Context) ([]byte, error) {
	select {
	case b := <-w.in:
		return b, nil
	case <-w.over:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w wireEnd) Close() error {
	w.once.Do(func() { close(w.over) })
	return nil
}

// between carries messages between two ends; tamper gets the number of a message in its
// direction (0: the caller's), and returns what is delivered for it.
func between(t *testing.T, tamper func(from, n int, b []byte) [][]byte) (caller, callee wireEnd) {
	over, once := make(chan struct{}), new(sync.Once)
	var c [2]chan []byte // what an end says
	var d [2]chan []byte // what an end hears
	for i := range 2 {
		c[i], d[i] = make(chan []byte), make(chan []byte, 64)
	}
	for from := range 2 {
		go func() {
			for n := 0; ; n++ {
				select {
				case b := <-c[from]:
					for _, b := range tamper(from, n, b) {
						d[1-from] <- b
					}
				case <-over:
					return
				}
			}
		}()
	}
	t.Cleanup(func() { once.Do(func() { close(over) }) })
	return wireEnd{d[0], c[0], over, once}, wireEnd{d[1], c[1], over, once}
}

func newTestLink(t *testing.T, o Options, client io.Closer, c conversation, caller bool) *link {
	t.Helper()
	socket, err := nat.Listen(t.Context(), o.Bind)
	if err != nil {
		t.Fatal(err)
	}
	l, err := o.newLink(t.Context(), socket, client, c, nil, caller)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connects has both sides meet over a tampering meeting point.
func connects(t *testing.T, limit time.Duration, tamper func(from, n int, b []byte) [][]byte) (errs [2]error) {
	t.Helper()
	o := Options{Bind: netip.MustParseAddrPort("127.0.0.1:0"), Rand: rand.Reader}
	a, b := between(t, tamper)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c := mustParse(t, "48-harbor-violin-echo")
	var wg sync.WaitGroup
	for i, end := range []wireEnd{a, b} {
		l := newTestLink(t, o, end, end, i == 0)
		wg.Go(func() {
			var e *call.Endpoint
			if i == 0 {
				e, errs[i] = l.dial(ctx, c, newPerson().conf)
			} else {
				e, errs[i] = l.answer(ctx, c, newPerson().conf, func(context.Context) error { return nil })
			}
			if errs[i] != nil {
				l.close()
				return
			}
			done, stop := context.WithCancel(context.Background())
			stop()
			e.Run(done)
		})
	}
	wg.Wait()
	return errs
}

// A meeting point that flips a bit of any message, repeats it, or keeps it back: the
// call fails on at least one side or, where what is lost was not needed, takes place.
func TestHostileMeetingPoint(t *testing.T) {
	whole := func(_, _ int, b []byte) [][]byte { return [][]byte{b} }
	if errs := connects(t, 10*time.Second, whole); errs != [2]error{} {
		t.Fatalf("without tampering: %v", errs)
	}
	// tampers has something done to the n-th message of one side.
	tampers := func(from, n int, f func(b []byte) [][]byte) func(int, int, []byte) [][]byte {
		return func(side, m int, b []byte) [][]byte {
			if side == from && m == n {
				return f(b)
			}
			return [][]byte{b}
		}
	}
	for from, name := range []string{"caller", "callee"} {
		for n, message := range []string{"share", "confirmation", "introduction"} {
			t.Run(name+"'s "+message, func(t *testing.T) {
				t.Parallel()
				flip := func(b []byte) [][]byte { b[len(b)/2] ^= 4; return [][]byte{b} }
				if errs := connects(t, 2*time.Second, tampers(from, n, flip)); errs == [2]error{} {
					t.Error("altered: nobody noticed")
				}
				lose := func([]byte) [][]byte { return nil }
				if errs := connects(t, 2*time.Second, tampers(from, n, lose)); errs == [2]error{} {
					t.Error("lost: nobody noticed")
				}
				repeat := func(b []byte) [][]byte { return [][]byte{b, b} }
				if errs := connects(t, 10*time.Second, tampers(from, n, repeat)); errs != [2]error{} {
					t.Errorf("repeated: %v", errs)
				}
			})
		}
	}
}

func TestFloodOfNonsense(t *testing.T) {
	junk := func(_, _ int, b []byte) [][]byte {
		all := [][]byte{}
		for range maxNonsense + 1 {
			all = append(all, []byte("what is this"))
		}
		return append(all, b)
	}
	errs := connects(t, 10*time.Second, junk)
	if errs[0] == nil || !errors.Is(errs[1], ErrLeft) {
		t.Errorf("errors: %v", errs)
	}
}

// What the sealed messages hold comes from whoever knows the code.
func FuzzIntroduction(f *testing.F) {
	f.Add(introduction{}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := parseIntroduction(b)
		if err != nil {
			if !errors.Is(err, ErrOtherEnd) {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if again := i.append(nil); string(again) != string(b) {
			t.Errorf("%x is read and written as %x", b, again)
		}
	})
}
