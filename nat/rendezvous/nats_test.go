//go:build linux && !fuzzing

// Linux alone, and not where the tests are fuzzed: else a whole NATS server would be
// compiled for each platform that is vetted, and once more with the marks of fuzzing.

package rendezvous

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// natsURL is a NATS server of this test's own.
func natsURL(t *testing.T) string {
	t.Helper()
	return natsWith(t, natsserver.Options{})
}

// natsWith is one with options.
func natsWith(t *testing.T, o natsserver.Options) string {
	t.Helper()
	o.Host, o.Port, o.JetStream, o.StoreDir, o.NoSigs, o.NoLog = "127.0.0.1", natsserver.RANDOM_PORT, true, t.TempDir(), true, true
	s, err := natsserver.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL()
}

// natsNode is a meeting point on a real port.
type natsNode struct {
	server  *Server
	store   *NATS
	address Address
	stop    func()
}

func newNATSNode(t *testing.T, url string, edit func(*Limits)) *natsNode {
	t.Helper()
	store := must(NewNATS(t.Context(), url, nil))(t)
	limits := DefaultLimits()
	if edit != nil {
		edit(&limits)
	}
	server := must(NewServer(Settings{Limits: limits, Store: store}))(t)
	l, address := loopback(t)
	address.Plain = true
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l, nil) }()
	n := &natsNode{server: server, store: store, address: address}
	n.stop = func() {
		cancel()
		<-done
		done <- nil
	}
	t.Cleanup(n.stop)
	return n
}

func (n *natsNode) client(t *testing.T) *Client {
	t.Helper()
	c := must(Dial(t.Context(), n.address, Options{}))(t)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// soon tries until it is true, since NATS takes its time.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	until := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(until) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestMeetOverNATS(t *testing.T) {
	url := natsURL(t)
	a, b, c := newNATSNode(t, url, nil), newNATSNode(t, url, nil), newNATSNode(t, url, nil)
	meeting(t, a.client(t), b.client(t), c.client(t))
	meeting(t, a.client(t), a.client(t), b.client(t)) // two of one node
}

func TestNamesOverNATS(t *testing.T) {
	url := natsURL(t)
	a, b := newNATSNode(t, url, nil), newNATSNode(t, url, nil)
	settle := func(c *Client, name Name) {
		soon(t, "the name is gone", func() bool {
			_, err := c.JoinName(t.Context(), name)
			return errors.Is(err, ErrUnknown)
		})
	}
	naming(t, a.client(t), b.client(t), b.client(t), settle)
}

// A number is one node's, whoever asks at the same time; and it is a mailbox's
// once.
func TestClaimsOverNATS(t *testing.T) {
	url := natsURL(t)
	var stores []*NATS
	for i := range 3 {
		s := must(NewNATS(t.Context(), url, nil))(t)
		if err := s.attach(fmt.Sprint(i), func(note) {}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.close)
		stores = append(stores, s)
	}
	ctx := t.Context()
	seen := map[uint32]bool{}
	for i := range 120 { // more than there are of the first class
		n, err := stores[i%3].open(ctx, end{Node: "0", Conn: uint64(i)}, time.Now().Add(time.Hour))
		if err != nil || seen[n] {
			t.Fatalf("%d: %v", n, err)
		}
		seen[n] = true
	}
	for n := range seen {
		results := make(chan error, 3)
		for _, s := range stores {
			go func() {
				_, err := s.claim(ctx, n)
				results <- err
			}()
		}
		won := 0
		for range 3 {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, errUsed):
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d have claimed %d", won, n)
		}
	}
	_, err := stores[0].claim(ctx, 123456789)
	wantErr(t, "a number of nobody", err, errUnknown)
	n := must(stores[0].open(ctx, end{Node: "0", Conn: 7}, time.Now().Add(-time.Second)))(t)
	_, err = stores[1].claim(ctx, n)
	wantErr(t, "a number whose time is over", err, errExpired)
	n = must(stores[0].open(ctx, end{Node: "0", Conn: 7}, time.Now().Add(time.Hour)))(t)
	stores[1].release(n, end{Node: "1", Conn: 7}) // not its own
	stores[0].release(n, end{Node: "0", Conn: 7})
	_, err = stores[1].claim(ctx, n)
	wantErr(t, "a number that was given up", err, errExpired)
}

// What is not written since no server leads the bucket is written again, as long as
// somebody waits for it; what fails otherwise may have been written, and is not.
func TestNoLeader(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails int // times, for want of a leader
		err   error
		want  error
	}{
		{"there is one again", 3, nil, nil},
		{"another error", 1, jetstream.ErrKeyRevisionMismatch, jetstream.ErrKeyRevisionMismatch},
		{"no answer", 0, context.DeadlineExceeded, context.DeadlineExceeded},
		{"nobody waits any more", 100, nil, jetstream.ErrNoStreamResponse},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		writes := 0
		revision, err := steady(ctx, func() (uint64, error) {
			if writes++; writes == 10 {
				cancel()
			}
			if writes <= test.fails {
				return 0, jetstream.ErrNoStreamResponse
			}
			return 7, test.err
		})
		cancel()
		if !errors.Is(err, test.want) || revision == 0 && test.want != jetstream.ErrNoStreamResponse || writes != min(test.fails+1, 10) {
			t.Errorf("%s: %d, %v after %d writes", test.name, revision, err, writes)
		}
	}
}

// Who was replaced cannot take a name away from who came after.
func TestUnwaitOfAnother(t *testing.T) {
	first, second := end{Node: "0", Conn: 1}, end{Node: "0", Conn: 2}
	for name, s := range map[string]Store{"memory": NewMemory(), "nats": must(NewNATS(t.Context(), natsURL(t), nil))(t)} {
		if err := s.attach("0", func(note) {}); err != nil {
			t.Fatal(err)
		}
		for _, owner := range []end{first, second} {
			if err := s.wait(t.Context(), Name{1}, owner); err != nil {
				t.Fatal(err)
			}
		}
		s.unwait(Name{1}, first)
		if got, err := s.find(t.Context(), Name{1}); err != nil || got != second {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		s.close()
	}
}

// A node that dies takes its own clients' mailboxes with it, and nothing else.
func TestNodeDies(t *testing.T) {
	url := natsURL(t)
	a, b, c := newNATSNode(t, url, nil), newNATSNode(t, url, nil), newNATSNode(t, url, nil)
	doomed, other, third := a.client(t), b.client(t), c.client(t)
	m := must(doomed.Open(t.Context()))(t)
	if err := doomed.Wait(t.Context(), Name{1}); err != nil {
		t.Fatal(err)
	}
	w1, j1 := meet(t, doomed, third)
	w2, j2 := meet(t, other, third)
	say(t, j1, w1, "before")

	a.store.nc.Close() // it can tell nobody any more
	_, err := other.Join(t.Context(), m.Number)
	wantErr(t, "a number of the dead", err, ErrExpired)
	soon(t, "the name is gone", func() bool {
		_, err := other.JoinName(t.Context(), Name{1})
		return errors.Is(err, ErrUnknown)
	})
	say(t, j2, w2, "we go on")
	meet(t, third, other)
}

// Without NATS the node says so, and what two of its clients have goes on.
func TestNATSGone(t *testing.T) {
	t.Parallel() // it waits for what does not come
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	n := newNATSNode(t, s.ClientURL(), nil)
	x, y := n.client(t), n.client(t)
	waiting, joining := meet(t, x, y)
	s.Shutdown()
	s.WaitForShutdown()
	joined := make(chan error, 1)
	go func() {
		_, err := y.Join(t.Context(), 1)
		joined <- err
	}()
	_, err = x.Open(t.Context())
	wantErr(t, "Open", err, ErrUnavailable)
	wantErr(t, "Join", <-joined, ErrUnavailable)
	say(t, waiting, joining, "still here")

	l, _ := loopback(t)
	_ = l.Close()
	if _, err := NewNATS(t.Context(), "nats://"+l.Addr().(*net.TCPAddr).String(), nil); err == nil {
		t.Error("a NATS that is not there")
	}
}

// A NATS that asks who we are hears it, and nobody else is let in.
func TestNATSCredentials(t *testing.T) {
	for good, o := range map[string]natsserver.Options{
		" node:pass:word\n": {Username: "node", Password: "pass:word"},
		"a-token\n":         {Authorization: "a-token"},
	} {
		url := natsWith(t, o)
		for _, bad := range []string{"", "node:wrong", "another-token"} {
			if s, err := NewNATS(t.Context(), url, []byte(bad)); err == nil {
				s.nc.Close()
				t.Errorf("%q is let in where %q is asked for", bad, good)
			}
		}
		s, err := NewNATS(t.Context(), url, []byte(good))
		if err != nil {
			t.Errorf("%q: %v", good, err)
			continue
		}
		s.nc.Close()
	}
}
