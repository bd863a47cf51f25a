package rendezvous

import (
	"context"
	"errors"
	"time"
)

// storePatience is how long what the nodes share may take to answer: longer than NATS
// servers need for another leader (steady), shorter than a client waits for its answer.
const storePatience = 12 * time.Second

// handle does what the client asks for.
func (c *conn) handle(f frame) {
	switch f.Type {
	case typeOpen:
		c.open()
	case typeWait:
		c.wait(f.Names)
	case typeUnwait:
		c.unwait(f.Names)
	case typeJoin:
		c.join(f)
	case typeMessage:
		c.message(f)
	case typeProven:
		c.proven(f)
	case typeClose:
		if one := c.remove(f.Session); one != nil {
			c.leave(one, reasonEnded)
		}
	}
}

func (c *conn) refuse(request, reason string) {
	c.send(frame{Type: typeError, Re: request, Reason: reason})
}

// limit refuses what the setting named limit does not allow.
func (c *conn) limit(request, limit string) {
	c.server.hit(limit, c.from)
	c.refuse(request, reasonLimit)
}

// reasonOf is what a client is told of a Store's error.
func reasonOf(err error) string {
	for _, known := range []error{errUnknown, errUsed, errExpired} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return reasonUnavailable
}

func (c *conn) open() {
	s := c.server
	now := time.Now()
	c.opening.Lock()
	defer c.opening.Unlock()
	c.mu.Lock()
	n := len(c.mailboxes)
	c.mu.Unlock()
	switch {
	case n >= s.Limits.MailboxesPerConnection:
		c.limit(typeOpen, "MailboxesPerConnection")
		return
	case !s.sources.Take(now, kindOpens, c.from):
		c.limit(typeOpen, "OpensPerNetwork")
		return
	case !hold(&s.mailboxes, s.Limits.Mailboxes):
		c.limit(typeOpen, "Mailboxes")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	number, err := s.store.open(ctx, c.end0(), now.Add(s.Limits.MailboxTime))
	if err != nil {
		s.mailboxes.Add(-1)
		c.refuse(typeOpen, reasonOf(err))
		return
	}
	c.mu.Lock()
	if c.mailboxes == nil {
		c.mailboxes = map[uint32]*time.Timer{}
	}
	c.mailboxes[number] = time.AfterFunc(s.Limits.MailboxTime, func() { c.expire(number) })
	c.mu.Unlock()
	c.send(frame{Type: typeOpened, Mailbox: number, Seconds: int(s.Limits.MailboxTime / time.Second)})
}

// expire ends a mailbox whose time is over.
func (c *conn) expire(number uint32) {
	if c.unlist(number) {
		c.server.store.release(number, c.end0())
		c.send(frame{Type: typeGone, Mailbox: number})
	}
}

// unlist removes a mailbox of ours, and tells whether it was there.
func (c *conn) unlist(number uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := c.mailboxes[number]
	if timer == nil {
		return false
	}
	timer.Stop()
	delete(c.mailboxes, number)
	c.server.mailboxes.Add(-1)
	return true
}

func (c *conn) wait(names []Name) {
	s := c.server
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	for _, name := range names {
		c.mu.Lock()
		_, known := c.names[name]
		n := len(c.names)
		c.mu.Unlock()
		switch {
		case known:
			continue
		case n >= s.Limits.NamesPerConnection:
			c.limit(typeWait, "NamesPerConnection")
			return
		case !hold(&s.names, s.Limits.Names):
			c.limit(typeWait, "Names")
			return
		}
		// Ours before the Store's, so that no join comes before it is known.
		c.mu.Lock()
		if c.names == nil {
			c.names = map[Name]struct{}{}
		}
		c.names[name] = struct{}{}
		c.mu.Unlock()
		if err := s.store.wait(ctx, name, c.end0()); err != nil {
			c.forget(name)
			c.refuse(typeWait, reasonOf(err))
			return
		}
	}
	c.answerNames()
}

func (c *conn) unwait(names []Name) {
	for _, name := range names {
		if c.forget(name) {
			c.server.store.unwait(name, c.end0())
		}
	}
	c.answerNames()
}

// forget removes a name of ours, and tells whether it was there.
func (c *conn) forget(name Name) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.names[name]; !ok {
		return false
	}
	delete(c.names, name)
	c.server.names.Add(-1)
	return true
}

func (c *conn) answerNames() {
	c.mu.Lock()
	n := len(c.names)
	c.mu.Unlock()
	c.send(frame{Type: typeWaiting, Count: n})
}

// join finds who waits, and asks for a session. The answer is a note.
func (c *conn) join(f frame) {
	s := c.server
	one, reason := c.newSession(f)
	if one == nil {
		c.refuse(typeJoin, reason)
		return
	}
	owner, reason := c.find(f, one)
	if reason != "" {
		if c.remove(one.id) != nil {
			c.leave(one, "")
			c.refuse(typeJoin, reason)
		}
		return
	}
	s.store.send(note{Kind: noteJoin, To: owner, From: c.endOf(one), Mailbox: f.Mailbox, Name: f.Name})
}

// find is who waits where f wants to join, or the reason why not.
func (c *conn) find(f frame, one *session) (owner end, reason string) {
	s := c.server
	now := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	if f.Mailbox == 0 {
		if !s.sources.Take(now, kindNameJoins, c.from) {
			s.hit("NameJoinsPerNetwork", c.from)
			return end{}, reasonLimit
		}
		owner, err := s.store.find(ctx, f.Name)
		if err != nil {
			return end{}, reasonOf(err)
		}
		return owner, ""
	}
	// Taken before the number is looked up: who is over his limit learns
	// nothing and burns nothing.
	if !s.sources.Take(now, kindGuesses, c.from) {
		s.hit("GuessesPerNetwork", c.from)
		return end{}, reasonLimit
	}
	if !s.guess(now) {
		s.hit("GuessesTotal", c.from)
		return end{}, reasonLimit
	}
	owner, err := s.store.claim(ctx, f.Mailbox)
	if err != nil {
		s.unguess() // it has come through to nobody
		return end{}, reasonOf(err)
	}
	c.mu.Lock()
	one.guess = true
	c.mu.Unlock()
	return owner, ""
}

// guess counts a join that may come through to somebody.
func (s *Server) guess(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guesses.Take(now, s.Limits.GuessesTotal, 1)
}

func (s *Server) unguess() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guesses.Give(s.Limits.GuessesTotal, 1)
}
