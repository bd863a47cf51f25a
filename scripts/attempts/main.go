// Attempts is a hostile crowd at a meeting point, and the honest people in its midst:
//
//	attempts CA.pem HOST:PORT
//
// People wait at mailboxes (people.go), and 100 addresses make 100,000 joins with random
// numbers and wrong words (crowd.go). Meanwhile two people meet by a name, again and again.
// Afterwards every mailbox that still should be there is joined with the right words. One
// line says what came of it, in pairs of a name and a figure; before it stands, a line each,
// what must not have happened, and then the status is 1.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"securecall/crypto/callcode"
	"securecall/crypto/pake"
	"securecall/nat/rendezvous"
)

const (
	attackers   = 100 // addresses
	attempts    = 1000
	waiters     = 100 // people, with as many mailboxes each as one connection may have
	mailboxes   = 4
	nameEvery   = 250 * time.Millisecond // within what one network may join by name
	patience    = 2 * time.Minute        // for all of it
	oneExchange = 10 * time.Second
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attempts:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: attempts CA.pem HOST:PORT")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return fmt.Errorf("%s: no certificate", args[0])
	}
	at, err := rendezvous.ParseAddress(args[1])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &scene{at: at, tls: &tls.Config{RootCAs: roots}}
	return s.play(ctx)
}

// A scene is the meeting point, and what must not happen there.
type scene struct {
	at  rendezvous.Address
	tls *tls.Config

	mu    sync.Mutex
	wrong []string
}

const mostWrong = 10 // things that are told

// untoward is something that must not happen.
func (s *scene) untoward(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong = append(s.wrong, fmt.Sprintf(format, args...)); len(s.wrong) <= mostWrong {
		fmt.Println("untoward:", s.wrong[len(s.wrong)-1])
	}
}

// source is host n, from 0, of a group of addresses of this machine.
func source(group, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, byte(group), byte(n + 1)})
}

// The groups.
const (
	hostile = 1 + iota
	waiting
	joining
	others
)

// dialer opens connections from an address.
func dialer(from netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext
}

// client connects somebody honest.
func (s *scene) client(ctx context.Context, from netip.Addr) (*rendezvous.Client, error) {
	return rendezvous.Dial(ctx, s.at, rendezvous.Options{TLS: s.tls, Dial: dialer(from)})
}

func (s *scene) play(ctx context.Context) error {
	p, err := s.gather(ctx)
	if err != nil {
		return fmt.Errorf("the people: %w", err)
	}
	defer p.close()
	held, err := s.hold(ctx)
	if err != nil {
		return fmt.Errorf("two who have met: %w", err)
	}
	defer held.close()

	began := time.Now()
	attacked := make(chan struct{})
	var names meetings
	var all sync.WaitGroup
	all.Go(func() { names = s.byName(ctx, attacked) })
	c := s.attack(ctx)
	took := time.Since(began)
	close(attacked)
	all.Wait()
	c.judge(p)

	// The crowd has used up all guesses, so that nobody can join by a number. The two who
	// had met before say now that theirs was none. That is one join, given back each time.
	good := 0
	if err := held.proven(ctx); err != nil {
		s.untoward("the two who had met: %v", err)
	} else {
		good = p.joinAll(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Printf("attempts %d seconds %.1f connections %d joined %d reached %d guessed %d waiting %d good %d names %d slowest_ms %d untoward %d\n",
		c.answered, took.Seconds(), c.connections, c.joined-c.own, p.reached, p.guessed, waiters*mailboxes, good,
		names.count, names.slowest.Milliseconds(), len(s.wrong))
	if len(s.wrong) > 0 {
		return errors.New("see above")
	}
	return nil
}

// agreement is what a call by a code has.
var agreement = pake.Context{A: "caller", B: "callee", AAD: "securecall call code 1"}

// agree runs the key exchange of a code. nil: the other side has the same.
func agree(ctx context.Context, s *rendezvous.Session, role pake.Role, code callcode.Code) error {
	ctx, cancel := context.WithTimeout(ctx, oneExchange)
	defer cancel()
	x, err := pake.New(role, code.String(), agreement, rand.Reader)
	if err != nil {
		return err
	}
	defer x.Close()
	for {
		for m, ok := x.NextMessage(); ok; m, ok = x.NextMessage() {
			if err := s.Send(ctx, m); err != nil {
				return err
			}
		}
		if _, err := x.Keys(); !errors.Is(err, pake.ErrUnfinished) {
			return err
		}
		m, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		_ = x.Receive(m) // Keys says what came of it
	}
}

// A pair has met by a code, and the server does not know yet that the code was right.
type pair struct {
	waits, joins *rendezvous.Client
	session      *rendezvous.Session
}

func (s *scene) hold(ctx context.Context) (*pair, error) {
	waits, err := s.client(ctx, source(others, 0))
	if err != nil {
		return nil, err
	}
	joins, err := s.client(ctx, source(others, 1))
	if err != nil {
		return nil, err
	}
	p := &pair{waits: waits, joins: joins}
	m, err := waits.Open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = joins.Join(ctx, m.Number); err != nil {
		return nil, err
	}
	p.session, err = waits.Accept(ctx)
	return p, err
}

func (p *pair) proven(ctx context.Context) error { return prove(ctx, p.waits, p.session) }

func (p *pair) close() {
	_ = p.waits.Close()
	_ = p.joins.Close()
}

// prove says that a join was no guess, and returns when the server has heard it: it does
// what one connection asks for in order.
func prove(ctx context.Context, c *rendezvous.Client, s *rendezvous.Session) error {
	if err := s.Proven(ctx); err != nil {
		return err
	}
	return c.Unwait(ctx, rendezvous.Name{})
}

// meetings are of two people who share a name.
type meetings struct {
	count   int
	slowest time.Duration
}

// byName has two people meet by a name until the attack is over. Who joins connects anew
// each time.
func (s *scene) byName(ctx context.Context, over <-chan struct{}) (m meetings) {
	var name rendezvous.Name
	_, _ = rand.Read(name[:])
	waits, err := s.client(ctx, source(others, 2))
	if err == nil {
		defer waits.Close()
		err = waits.Wait(ctx, name)
	}
	tick := time.NewTicker(nameEvery)
	defer tick.Stop()
	for err == nil {
		began := time.Now()
		if err = s.meetByName(ctx, waits, name, m.count); err != nil {
			break
		}
		m.count++
		m.slowest = max(m.slowest, time.Since(began))
		select {
		case <-tick.C:
		case <-over:
			return m
		}
	}
	s.untoward("two who meet by a name, the %d. time: %v", m.count+1, err)
	return m
}

func (s *scene) meetByName(ctx context.Context, waits *rendezvous.Client, name rendezvous.Name, n int) error {
	ctx, cancel := context.WithTimeout(ctx, oneExchange)
	defer cancel()
	joins, err := s.client(ctx, source(others, 3+n%100))
	if err != nil {
		return err
	}
	defer joins.Close()
	there, err := joins.JoinName(ctx, name)
	if err != nil {
		return err
	}
	here, err := waits.Accept(ctx)
	if err != nil {
		return err
	}
	defer here.Close()
	for _, way := range [][2]*rendezvous.Session{{there, here}, {here, there}} {
		if err := way[0].Send(ctx, []byte("it is me")); err != nil {
			return err
		}
		if b, err := way[1].Receive(ctx); err != nil || string(b) != "it is me" {
			return fmt.Errorf("heard %q, %w", b, err)
		}
	}
	return nil
}
