package rendezvous

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"securecall/nat/rendezvous/quota"
)

// A conn is the server's side of one client. Its reader, serve, owns frames;
// the rest is under mu, and touched by whoever sends it something.
type conn struct {
	server  *Server
	id      uint64
	from    netip.Addr
	release func() // nil: the gate has counted it
	ws      *websocket.Conn
	raw     net.Conn // below TLS: deadlines, and a close that never waits
	frames  quota.Bucket

	opening sync.Mutex // held while a mailbox is drawn, so that no join comes before it is known

	mu        sync.Mutex
	out       [][]byte
	waiting   int  // octets in out, and in what is being written
	writing   bool // flush is running
	dropped   bool
	mailboxes map[uint32]*time.Timer // until their time is over
	names     map[Name]struct{}
	sessions  map[uint32]*session
	last      uint32 // the latest session's number
}

// take makes a conn of a request. It returns at once, so that everything that
// HTTP needed for it can go.
func (s *Server) take(w http.ResponseWriter, r *http.Request) {
	c := &conn{server: s}
	var proxied bool
	if c.from, proxied = s.from(r); proxied || s.proxy(c.from) {
		if c.release = s.admit(c.from); c.release == nil {
			http.Error(w, "too many connections", http.StatusTooManyRequests)
			return
		}
	}
	var err error
	c.ws, err = websocket.Accept(&small{ResponseWriter: w, conn: c}, r, &websocket.AcceptOptions{
		Subprotocols:   []string{subprotocol},
		OnPingReceived: func(context.Context, []byte) bool { return c.heard() },
	})
	if err != nil {
		c.free()
		return
	}
	c.ws.SetReadLimit(maxFrame)
	if !s.add(c) {
		_ = c.ws.CloseNow()
		c.free()
		return
	}
	go c.serve()
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending {
		return false
	}
	s.last++
	c.id = s.last
	s.conns[c.id] = c
	s.running.Add(1)
	return true
}

// small takes a connection from the HTTP server with buffers that suit short
// messages: there may be many thousand that only wait.
type small struct {
	http.ResponseWriter
	conn *conn
}

const smallBuffer = 512

func (h *small) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, b, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn.raw = nc
	if t, ok := nc.(*tls.Conn); ok {
		h.conn.raw = t.NetConn()
	}
	// The answer is on its way already, so the client may have begun to speak.
	if n := b.Reader.Buffered(); n > 0 {
		early, _ := b.Reader.Peek(n)
		nc = &begun{Conn: nc, early: bytes.Clone(early)}
	}
	return nc, bufio.NewReadWriter(bufio.NewReaderSize(nc, smallBuffer), bufio.NewWriterSize(nc, smallBuffer)), nil
}

// begun is a connection of which something has been read.
type begun struct {
	net.Conn
	early []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.early) > 0 {
		n := copy(p, b.early)
		b.early = b.early[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// heard counts a message or a ping, and gives the connection new time.
func (c *conn) heard() bool {
	now := time.Now()
	if !c.frames.Take(now, c.server.Limits.Frames, 1) {
		c.server.hit("Frames", c.from)
		c.drop()
		return false
	}
	_ = c.raw.SetReadDeadline(now.Add(c.server.Limits.IdleTime))
	return true
}

// serve reads until the connection ends, and then gives back what it had.
func (c *conn) serve() {
	defer c.end()
	_ = c.raw.SetReadDeadline(time.Now().Add(c.server.Limits.IdleTime))
	for {
		kind, b, err := c.ws.Read(context.Background())
		if err != nil || !c.heard() {
			return
		}
		f, err := parse(b)
		if err != nil || kind != websocket.MessageText {
			// A close without waiting for its answer for long.
			_ = c.raw.SetDeadline(time.Now().Add(time.Second))
			_ = c.ws.Close(websocket.StatusUnsupportedData, "not a message of this protocol")
			return
		}
		c.handle(f)
	}
}

// send queues f for the client. It never waits; a client that does not take
// what it is sent is dropped.
func (c *conn) send(f frame) {
	b := f.encode()
	s := c.server
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dropped {
		return
	}
	switch {
	case c.waiting+len(b) > s.Limits.Queue:
		s.hit("Queue", c.from)
		c.dropLocked()
		return
	case s.queued.Add(int64(len(b))) > int64(s.Limits.QueueTotal):
		s.queued.Add(-int64(len(b)))
		s.hit("QueueTotal", c.from)
		c.dropLocked()
		return
	}
	c.out = append(c.out, b)
	c.waiting += len(b)
	if !c.writing {
		c.writing = true
		go c.flush()
	}
}

// flush writes what is queued, and ends when there is no more: a connection
// that waits has no second goroutine.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if len(c.out) == 0 || c.dropped {
			c.server.queued.Add(-int64(c.waiting))
			c.out, c.waiting, c.writing = nil, 0, false
			c.mu.Unlock()
			return
		}
		b := c.out[0]
		c.out = c.out[1:]
		c.mu.Unlock()

		_ = c.raw.SetWriteDeadline(time.Now().Add(c.server.Limits.WriteTime))
		err := c.ws.Write(context.Background(), websocket.MessageText, b)
		_ = c.raw.SetWriteDeadline(time.Time{}) // the answer to a ping has its own

		c.mu.Lock()
		c.waiting -= len(b)
		c.server.queued.Add(-int64(len(b)))
		if err != nil {
			c.dropLocked()
		}
		c.mu.Unlock()
	}
}

// drop ends the connection at once; its reader cleans up.
func (c *conn) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked()
}

func (c *conn) dropLocked() {
	c.dropped = true
	_ = c.raw.Close()
}

// end is the last that the reader does.
func (c *conn) end() {
	c.drop()
	_ = c.ws.CloseNow()
	c.giveBack()
	c.free()
	c.server.running.Done()
}

// giveBack gives up what the connection had.
func (c *conn) giveBack() {
	s := c.server
	s.mu.Lock()
	delete(s.conns, c.id)
	s.mu.Unlock()

	c.mu.Lock()
	mailboxes, names, sessions := c.mailboxes, c.names, c.sessions
	c.mailboxes, c.names, c.sessions = nil, nil, nil
	c.mu.Unlock()
	for number, timer := range mailboxes {
		timer.Stop()
		s.mailboxes.Add(-1)
		s.store.release(number, c.end0())
	}
	for name := range names {
		s.names.Add(-1)
		s.store.unwait(name, c.end0())
	}
	for _, one := range sessions {
		c.leave(one, reasonLost)
	}
}

func (c *conn) free() {
	if c.release != nil {
		c.release()
	}
}

// end0 is the connection as an end that is no session's.
func (c *conn) end0() end { return end{Node: c.server.node, Conn: c.id} }
