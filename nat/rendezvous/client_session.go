package rendezvous

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

// A Session is a conversation with the other end, through the server. Its
// methods may be called from any goroutine.
type Session struct {
	// Mailbox or Name is where the two have met.
	Mailbox uint32
	Name    Name
	// Waiting: this is the side that waited.
	Waiting bool
	// Relays are the server's STUN and TURN, with credentials for this side.
	Relays []Relay

	client *Client
	id     uint32

	mu       sync.Mutex
	received [][]byte
	err      error         // why it has ended
	changed  chan struct{} // closed and replaced when there is more
}

// begin makes a session of a joined.
func (c *Client) begin(f frame) (*Session, error) {
	for i := range f.Relays {
		if f.Relays[i].Host == "" {
			f.Relays[i].Host = c.server.Host
		}
	}
	s := &Session{
		Mailbox: f.Mailbox, Name: f.Name, Waiting: f.Waiting, Relays: f.Relays,
		client: c, id: f.Session, changed: make(chan struct{}),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sessions == nil {
		return nil, c.err
	}
	if c.sessions[s.id] != nil || s.id == 0 || len(c.sessions) >= maxEvents {
		return nil, errUnasked
	}
	c.sessions[s.id] = s
	return s, nil
}

func (c *Client) session(id uint32) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}

func (c *Client) forget(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s.id)
}

// closedError is what Receive returns at the end of a session.
func closedError(reason string) error {
	switch reason {
	case reasonEnded:
		return io.EOF
	case reasonLimit:
		return ErrLimit
	case reasonExpired:
		return ErrExpired
	}
	return ErrLost
}

// put keeps a message for Receive, or returns false if there are too many.
func (s *Session) put(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.received) >= maxReceived {
		return false
	}
	s.received = append(s.received, b)
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// over ends the session for err.
func (s *Session) over(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

var errSize = errors.New("a message has 1 to 4096 octets")

// Send sends one message, of 1 to MaxData octets. That it returns nil does not
// mean that the other end has it.
func (s *Session) Send(ctx context.Context, b []byte) error {
	if len(b) == 0 || len(b) > MaxData {
		return errSize
	}
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.client.write(ctx, frame{Type: typeMessage, Session: s.id, Data: bytes.Clone(b)})
}

// Receive waits for the next message. When all have been received it returns
// io.EOF if the other end has closed the session, ErrLost if its connection has
// gone, ErrLimit or ErrExpired if the server has ended it, and a *ServerError
// if our own connection has gone.
func (s *Session) Receive(ctx context.Context) ([]byte, error) {
	for {
		s.mu.Lock()
		changed, err := s.changed, s.err
		if len(s.received) > 0 {
			b := s.received[0]
			s.received = s.received[1:]
			s.mu.Unlock()
			return b, nil
		}
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Proven tells the server that the other end knew the code, so that its join
// does not count as a guess. Only the side that waited is believed.
func (s *Session) Proven(ctx context.Context) error {
	return s.client.write(ctx, frame{Type: typeProven, Session: s.id})
}

// Close ends the session. The connection stays.
func (s *Session) Close() error {
	s.mu.Lock()
	ended := s.err != nil
	s.mu.Unlock()
	s.over(io.ErrClosedPipe)
	if ended {
		return nil
	}
	s.client.forget(s)
	return s.client.write(context.Background(), frame{Type: typeClose, Session: s.id})
}
