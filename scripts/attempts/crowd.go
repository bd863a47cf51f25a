package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"securecall/crypto/callcode"
	"securecall/crypto/pake"
)

const (
	highest = 999 // number that is tried: with a few hundred mailboxes none is higher
	// joinsEach is for one connection: the server takes 60 messages at once from each.
	joinsEach = 36
	again     = 100 * time.Millisecond // after a connection that was refused
	refusals  = 300                    // after which an attacker gives up
	strange   = 1000                   // session numbers from here on are nobody's
)

// A crowd is all who attack, and what they were told.
type crowd struct {
	*scene
	mu          sync.Mutex
	connections int
	answered    int            // joins
	joined      int            // that came through to somebody
	own         int            // of those, to one of themselves
	to          map[uint32]int // joins that came through, by number
	opened      []uint32       // numbers of their own mailboxes
}

// attack returns when all attempts are made. Connections are kept until then.
func (s *scene) attack(ctx context.Context) *crowd {
	c := &crowd{scene: s, to: map[uint32]int{}}
	var all sync.WaitGroup
	for i := range attackers {
		a := &attacker{crowd: c, from: source(hostile, i), left: attempts}
		defer a.leave()
		all.Go(func() {
			if err := a.run(ctx); err != nil {
				s.untoward("an attacker gave up: %v", err)
			}
		})
	}
	all.Wait()
	return c
}

// judge compares what the crowd was told with what the people know.
func (c *crowd) judge(p *people) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range c.opened {
		if p.taken[n] {
			c.untoward("a stranger was given mailbox %d, at which somebody waits", n)
		}
		c.own += c.to[n]
	}
	if c.joined-c.own != p.reached {
		c.untoward("%d joins of strangers came through, and %d were seen by those who wait", c.joined-c.own, p.reached)
	}
}

// An attacker has one address, and as many connections as it likes.
type attacker struct {
	*crowd
	from  netip.Addr
	left  int // attempts
	conns []*websocket.Conn
}

func (a *attacker) run(ctx context.Context) error {
	for failed := 0; a.left > 0; {
		ws, err := a.connect(ctx)
		if err == nil {
			a.conns = append(a.conns, ws)
			h := &harasser{attacker: a, ws: ws, exchanges: map[uint32]*pake.Exchange{}, last: a.left <= joinsEach}
			err = h.harass(ctx)
		}
		if err == nil {
			continue
		}
		if failed++; failed > refusals || ctx.Err() != nil {
			return err
		}
		time.Sleep(again)
	}
	return nil
}

func (a *attacker) connect(ctx context.Context) (*websocket.Conn, error) {
	ws, _, err := websocket.Dial(ctx, "wss://"+a.at.String()+"/rendezvous", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: dialer(a.from), TLSClientConfig: a.tls, DisableKeepAlives: true,
		}},
		Subprotocols: []string{"securecall.rendezvous.1"},
	})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.connections++
	a.mu.Unlock()
	return ws, nil
}

func (a *attacker) leave() {
	for _, ws := range a.conns {
		_ = ws.CloseNow()
	}
}

// A frame is what the protocol has, in docs/rendezvous.md, as far as it matters here.
type frame struct {
	Type    string   `json:"type"`
	Mailbox uint32   `json:"mailbox,omitempty"`
	Names   []string `json:"names,omitempty"`
	Session uint32   `json:"session,omitempty"`
	Data    []byte   `json:"data,omitempty"`
	Waiting bool     `json:"waiting,omitempty"`
	Re      string   `json:"re,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}

// A harasser is an attacker at one connection.
type harasser struct {
	*attacker
	ws        *websocket.Conn
	exchanges map[uint32]*pake.Exchange // by session
	asked     int                       // joins without an answer yet
	last      bool                      // connection of this attacker
}

// harass makes some attempts, all at once, guesses at the words wherever it gets through,
// and asks for what nobody may have.
func (h *harasser) harass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, oneExchange)
	defer cancel()
	for range min(h.left, joinsEach) {
		if err := h.say(ctx, frame{Type: "join", Mailbox: number()}); err != nil {
			return err
		}
		h.asked++
	}
	for h.asked > 0 || len(h.exchanges) > 0 {
		if _, err := h.hear(ctx); err != nil {
			return err
		}
	}
	for _, f := range h.demands() {
		if err := h.say(ctx, f); err != nil {
			return err
		}
	}
	if h.last {
		defer h.ws.CloseNow() // or another of the crowd finds the mailbox and waits for an answer
	}
	for { // the answer to unwait comes last
		f, err := h.hear(ctx)
		if err != nil || f.Type == "waiting" {
			return err
		}
	}
}

// demands are for what is somebody else's, and end with unwait.
func (h *harasser) demands() []frame {
	n, nobodys := number(), uint32(strange)+number()
	all := []frame{
		{Type: "list"},
		{Type: "read", Mailbox: n},
		{Type: "delete", Mailbox: n},
		{Type: "release", Mailbox: n},
		{Type: "message", Session: nobodys, Data: []byte("hi")},
		{Type: "proven", Session: nobodys},
		{Type: "close", Session: nobodys},
	}
	if h.last {
		all = append(all, frame{Type: "open", Mailbox: n})
	}
	var name [32]byte
	_, _ = rand.Read(name[:])
	return append(all, frame{Type: "unwait", Mailbox: n, Names: []string{fmt.Sprintf("%x", name)}})
}

func number() uint32 { return uint32(mrand.IntN(highest)) + 1 }

func (h *harasser) say(ctx context.Context, f frame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return h.ws.Write(ctx, websocket.MessageText, b)
}

// hear takes one message of the server, and goes on with the exchange that it is of.
func (h *harasser) hear(ctx context.Context) (f frame, err error) {
	_, b, err := h.ws.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, err
	}
	switch f.Type {
	case "error":
		if f.Re == "join" {
			h.count(0)
		}
	case "joined":
		if f.Waiting {
			break // another of the crowd has found a mailbox of its own
		}
		h.count(f.Mailbox)
		return f, h.guess(ctx, f)
	case "message":
		return f, h.goOn(ctx, f)
	case "closed":
		delete(h.exchanges, f.Session)
	case "opened":
		h.mu.Lock()
		h.opened = append(h.opened, f.Mailbox)
		h.mu.Unlock()
	case "waiting":
	default:
		h.untoward("a stranger is told %q", f.Type)
	}
	return f, nil
}

// count counts the answer to a join; n is the mailbox that it came through to, or 0.
func (h *harasser) count(n uint32) {
	h.asked--
	h.left--
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answered++
	if n != 0 {
		h.joined++
		h.to[n]++
	}
}

// guess begins the key exchange with words of its own.
func (h *harasser) guess(ctx context.Context, f frame) error {
	code, err := callcode.New(rand.Reader, f.Mailbox)
	if err != nil {
		return err
	}
	x, err := pake.New(pake.A, code.String(), agreement, rand.Reader)
	if err != nil {
		return err
	}
	h.exchanges[f.Session] = x
	return h.flush(ctx, f.Session, x)
}

func (h *harasser) goOn(ctx context.Context, f frame) error {
	x := h.exchanges[f.Session]
	if x == nil {
		h.untoward("a stranger is told what was said in another session")
		return nil
	}
	_ = x.Receive(f.Data)
	if _, err := x.Keys(); err == nil {
		h.untoward("a stranger has keys")
	} else if !errors.Is(err, pake.ErrUnfinished) {
		delete(h.exchanges, f.Session)
	}
	return h.flush(ctx, f.Session, x)
}

func (h *harasser) flush(ctx context.Context, session uint32, x *pake.Exchange) error {
	for m, ok := x.NextMessage(); ok; m, ok = x.NextMessage() {
		if err := h.say(ctx, frame{Type: "message", Session: session, Data: m}); err != nil {
			return err
		}
	}
	return nil
}
