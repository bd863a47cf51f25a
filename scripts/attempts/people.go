package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"sync"

	"securecall/crypto/callcode"
	"securecall/crypto/pake"
	"securecall/nat/rendezvous"
)

// people wait at mailboxes as listen does: for one exchange each, and with a new code after
// one that was used up.
type people struct {
	*scene
	ctx     context.Context
	end     context.CancelFunc
	clients []*rendezvous.Client
	running sync.WaitGroup
	joins   chan error // of the right ones, what came of each

	mu      sync.Mutex
	codes   map[uint32]callcode.Code // that nobody has joined
	taken   map[uint32]bool          // numbers that have been theirs
	honest  bool                     // who joins from now on has the right words
	reached int                      // strangers who were let through to a key exchange
	guessed int                      // of them, those who tried a guess
}

// gather has everybody wait.
func (s *scene) gather(ctx context.Context) (*people, error) {
	p := &people{scene: s, joins: make(chan error, 1), codes: map[uint32]callcode.Code{}, taken: map[uint32]bool{}}
	p.ctx, p.end = context.WithCancel(ctx)
	for i := range waiters {
		c, err := s.client(ctx, source(waiting, i))
		if err != nil {
			return nil, err
		}
		p.clients = append(p.clients, c)
		for range mailboxes {
			if err := p.open(c); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range p.clients {
		p.running.Go(func() { p.wait(c) })
	}
	return p, nil
}

func (p *people) close() {
	p.end()
	for _, c := range p.clients {
		_ = c.Close()
	}
	p.running.Wait()
}

func (p *people) open(c *rendezvous.Client) error {
	m, err := c.Open(p.ctx)
	if err != nil {
		return err
	}
	code, err := callcode.New(rand.Reader, m.Number)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[m.Number], p.taken[m.Number] = code, true
	return nil
}

// wait is one person, until all is over.
func (p *people) wait(c *rendezvous.Client) {
	for {
		s, err := c.Accept(p.ctx)
		if err != nil {
			if p.ctx.Err() == nil {
				p.untoward("somebody who waits is told: %v", err)
			}
			return
		}
		p.mu.Lock()
		code, known := p.codes[s.Mailbox]
		delete(p.codes, s.Mailbox)
		honest := p.honest
		if known && !honest {
			p.reached++
		}
		p.mu.Unlock()
		switch {
		case !known:
			p.untoward("a mailbox that nobody waits at was joined")
		case honest:
			p.running.Go(func() { p.joins <- p.welcome(c, s, code) })
		default:
			p.running.Go(func() { p.doubt(s, code) })
			if err := p.open(c); err != nil {
				p.untoward("no new mailbox: %v", err)
			}
		}
	}
}

// doubt is the exchange with somebody who cannot know the code.
func (p *people) doubt(s *rendezvous.Session, code callcode.Code) {
	defer s.Close()
	switch err := agree(p.ctx, s, pake.B, code); {
	case err == nil:
		p.untoward("wrong words were right")
	case errors.Is(err, pake.ErrCode):
		p.mu.Lock()
		p.guessed++
		p.mu.Unlock()
	}
}

// welcome is the exchange with somebody who knows it.
func (p *people) welcome(c *rendezvous.Client, s *rendezvous.Session, code callcode.Code) error {
	defer s.Close()
	if err := agree(p.ctx, s, pake.B, code); err != nil {
		return err
	}
	return prove(p.ctx, c, s)
}

// joinAll joins each mailbox at which somebody waits, with the right words, and returns how
// many of them were good: there, as it was, and its owner's.
func (p *people) joinAll(ctx context.Context) (good int) {
	p.mu.Lock()
	p.honest = true
	codes := maps.Clone(p.codes)
	p.mu.Unlock()
	for _, code := range codes {
		if err := p.joinOne(ctx, good, code); err != nil {
			p.untoward("mailbox %d: %v", code.Mailbox(), err)
			return good // else the next ones fail for the join that was not given back
		}
		good++
	}
	return good
}

func (p *people) joinOne(ctx context.Context, n int, code callcode.Code) error {
	c, err := p.client(ctx, source(joining, n%200))
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Join(ctx, code.Mailbox())
	if err != nil {
		return err
	}
	if err := agree(ctx, s, pake.A, code); err != nil {
		return err
	}
	select {
	case err := <-p.joins:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
