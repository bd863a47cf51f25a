package rendezvous

import "time"

// A session is one end of a conversation through the server. It is under its
// connection's mu.
type session struct {
	id       uint32
	remote   end // its Node is "" until the other end has answered
	mailbox  uint32
	name     Name
	waits    bool        // this is the side that waited
	guess    bool        // it joined by number, and is not proven
	messages int         // that it has sent
	octets   int         // in them
	timer    *time.Timer // for the answer, then for the whole session
}

// newSession makes one that has no other end yet, or says why not.
func (c *conn) newSession(f frame) (one *session, reason string) {
	s := c.server
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dropped:
		return nil, reasonExpired
	case len(c.sessions) >= s.Limits.SessionsPerConnection:
		s.hit("SessionsPerConnection", c.from)
		return nil, reasonLimit
	case !hold(&s.sessions, s.Limits.Sessions):
		s.hit("Sessions", c.from)
		return nil, reasonLimit
	}
	if c.sessions == nil {
		c.sessions = map[uint32]*session{}
	}
	c.last++
	one = &session{id: c.last, mailbox: f.Mailbox, name: f.Name}
	one.timer = time.AfterFunc(2*storePatience, func() { c.timeout(one.id) })
	c.sessions[one.id] = one
	return one, ""
}

func (c *conn) endOf(one *session) end {
	return end{Node: c.server.node, Conn: c.id, Session: one.id}
}

// timeout ends a session that had no answer, or has lasted long enough.
func (c *conn) timeout(id uint32) {
	one := c.remove(id)
	switch {
	case one == nil:
	case one.remote.Node == "":
		c.refuse(typeJoin, reasonUnavailable)
	default:
		c.leave(one, reasonExpired)
		c.send(frame{Type: typeClosed, Session: id, Reason: reasonExpired})
	}
}

// remove takes a session out, and returns it if it was there.
func (c *conn) remove(id uint32) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.sessions[id]
	if one != nil {
		delete(c.sessions, id)
	}
	return one
}

// leave tells the other end of a session that was removed.
func (c *conn) leave(one *session, reason string) {
	one.timer.Stop()
	c.server.sessions.Add(-1)
	if one.remote.Node != "" {
		c.server.store.send(note{Kind: noteClosed, To: one.remote, From: c.endOf(one), Reason: reason})
	}
}

// message passes on what the client says.
func (c *conn) message(f frame) {
	limits := &c.server.Limits
	c.mu.Lock()
	one := c.sessions[f.Session]
	if one == nil || one.remote.Node == "" || len(f.Data) == 0 {
		c.mu.Unlock()
		return // it has just been closed, or the client is not one of ours
	}
	one.messages++
	one.octets += len(f.Data)
	over := one.messages > limits.Messages || one.octets > limits.MessageOctets
	to := one.remote
	c.mu.Unlock()
	if !over {
		c.server.store.send(note{Kind: noteMessage, To: to, From: c.endOf(one), Data: f.Data})
		return
	}
	if one = c.remove(f.Session); one != nil {
		c.server.hit("Messages", c.from)
		c.leave(one, reasonLimit)
		c.send(frame{Type: typeClosed, Session: f.Session, Reason: reasonLimit})
	}
}

// proven is the word of the side that waited that the other end knew the code.
// From the other side it means nothing: only its own join can be a guess.
func (c *conn) proven(f frame) {
	c.mu.Lock()
	one := c.sessions[f.Session]
	var to end
	if one != nil {
		to = one.remote
	}
	c.mu.Unlock()
	if to.Node != "" {
		c.server.store.send(note{Kind: noteProven, To: to, From: c.endOf(one)})
	}
}

// receive gets a note from another end. It is called by that end's reader, or
// by a Store's.
func (c *conn) receive(n note) {
	switch n.Kind {
	case noteJoin:
		c.admit(n)
	case noteAccept:
		c.accepted(n)
	case noteRefuse:
		if one := c.remove(n.To.Session); one != nil {
			c.leave(one, "")
			c.refuse(typeJoin, n.Reason)
		}
	case noteReplaced:
		if c.forget(n.Name) {
			c.send(frame{Type: typeGone, Name: n.Name})
		}
	default:
		c.mu.Lock()
		one := c.sessions[n.To.Session]
		known := one != nil && one.remote == n.From
		c.mu.Unlock()
		if known {
			c.told(n, one)
		} else {
			c.server.undelivered(n)
		}
	}
}

// told gets a note from the other end of one.
func (c *conn) told(n note, one *session) {
	switch n.Kind {
	case noteMessage:
		c.send(frame{Type: typeMessage, Session: one.id, Data: n.Data})
	case noteProven:
		c.mu.Lock()
		guess := one.guess
		one.guess = false
		c.mu.Unlock()
		if guess {
			c.server.sources.Give(kindGuesses, c.from)
			c.server.unguess()
		}
	case noteClosed:
		if c.remove(one.id) != nil {
			one.remote.Node = "" // who has told us need not be told
			c.leave(one, "")
			c.send(frame{Type: typeClosed, Session: one.id, Reason: n.Reason})
		}
	}
}

// admit answers a join of one of our mailboxes.
func (c *conn) admit(n note) {
	ours := false
	if n.Mailbox != 0 {
		c.opening.Lock() // until it is known
		ours = c.unlist(n.Mailbox)
		c.opening.Unlock()
	} else {
		c.mu.Lock()
		_, ours = c.names[n.Name]
		c.mu.Unlock()
	}
	if !ours {
		c.server.undelivered(n)
		return
	}
	one, reason := c.newSession(frame{Mailbox: n.Mailbox, Name: n.Name})
	if one == nil {
		if n.Mailbox != 0 {
			c.send(frame{Type: typeGone, Mailbox: n.Mailbox})
		}
		c.server.store.send(note{Kind: noteRefuse, To: n.From, Reason: reason})
		return
	}
	// The other end first: what this client says, once it knows, must find it
	// ready.
	c.begin(one, n.From, true)
	c.server.store.send(note{Kind: noteAccept, To: n.From, From: c.endOf(one)})
	c.joined(one)
}

// accepted is the answer to our join.
func (c *conn) accepted(n note) {
	c.mu.Lock()
	one := c.sessions[n.To.Session]
	c.mu.Unlock()
	if one == nil || !c.begin(one, n.From, false) {
		c.server.undelivered(n) // too late
		return
	}
	c.joined(one)
}

// begin gives a session its other end, unless it has one or is over.
func (c *conn) begin(one *session, remote end, waits bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions[one.id] != one || one.remote.Node != "" {
		return false
	}
	one.remote, one.waits = remote, waits
	one.timer.Reset(c.server.Limits.SessionTime)
	return true
}

func (c *conn) joined(one *session) {
	f := frame{Type: typeJoined, Session: one.id, Mailbox: one.mailbox, Name: one.name, Waiting: one.waits}
	if c.server.Relays != nil {
		f.Relays = c.server.Relays()
	}
	c.send(f)
}
