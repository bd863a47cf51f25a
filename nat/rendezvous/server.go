package rendezvous

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"securecall/nat/rendezvous/quota"
)

// Settings are what a Server is made of. The zero value of a field is a sane
// choice, but for Limits, which are DefaultLimits or of the caller's own.
type Settings struct {
	Limits Limits
	// Store is shared with other nodes; nil: in memory, for this one alone.
	Store Store
	// Relays makes what one end is told of relays, with credentials of its own.
	Relays func() []Relay
	// Proxies are those whose X-Forwarded-For is believed: its last address
	// is then what limits are counted by.
	Proxies []netip.Prefix
	Log     *slog.Logger
	// LogAddresses says that the log may name who hits a limit.
	LogAddresses bool
}

// A Server is one node of a meeting point.
type Server struct {
	Settings
	node     string
	store    Store
	sources  *quota.Table
	announce *quota.Announcer

	connections, mailboxes, names, sessions, queued atomic.Int64

	mu      sync.Mutex
	conns   map[uint64]*conn
	last    uint64 // the latest connection's number
	guesses quota.Bucket
	ending  bool
	running sync.WaitGroup // one for each of conns
}

// NewServer makes a Server and joins its Store.
func NewServer(settings Settings) (*Server, error) {
	if settings.Log == nil {
		settings.Log = slog.New(slog.DiscardHandler)
	}
	if settings.Store == nil {
		settings.Store = NewMemory()
	}
	s := &Server{
		Settings: settings,
		node:     rand.Text(),
		store:    settings.Store,
		sources:  settings.Limits.table(),
		announce: quota.NewAnnouncer(settings.Log, settings.LogAddresses),
		conns:    map[uint64]*conn{},
	}
	return s, s.store.attach(s.node, s.receive)
}

// Serve takes connections from l until the context ends, and closes l then and
// what was open. t is nil where TLS ends at a proxy, or is not wanted.
func (s *Server) Serve(ctx context.Context, l net.Listener, t *tls.Config) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.Limits.HandshakeTime,
		WriteTimeout:      s.Limits.HandshakeTime,
		IdleTimeout:       s.Limits.HandshakeTime,
		MaxHeaderBytes:    4 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // it would name addresses
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true) // WebSocket is asked for in HTTP/1.1
	l = &gate{Listener: l, server: s}
	if t != nil {
		t = t.Clone()
		t.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, t)
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.Serve(l)
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	s.end()
	return err
}

// end drops every connection, and waits until what they held is given back.
func (s *Server) end() {
	s.mu.Lock()
	s.ending = true
	for _, c := range s.conns {
		c.drop()
	}
	s.mu.Unlock()
	s.running.Wait()
	s.store.close()
}

// ServeHTTP is the WebSocket at path, and a word for a browser elsewhere.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		_, _ = io.WriteString(w, "This is a securecall rendezvous: securecall listen --via "+hostOnly(r.Host)+"\n")
	case r.URL.Path != path:
		http.NotFound(w, r)
	case !slices.Contains(tokens(r.Header, "Sec-WebSocket-Protocol"), subprotocol):
		http.Error(w, "the subprotocol is "+subprotocol, http.StatusUpgradeRequired)
	default:
		s.take(w, r)
	}
}

// hostOnly is what is safe to repeat of a Host header.
func hostOnly(h string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == ':' || r == '[' || r == ']' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, h)
}

func tokens(h http.Header, key string) (all []string) {
	for _, v := range h.Values(key) {
		for t := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(t))
		}
	}
	return all
}

// from is the address by which limits count, and whether a proxy named it.
func (s *Server) from(r *http.Request) (a netip.Addr, proxied bool) {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	a = ap.Addr().Unmap()
	if !s.proxy(a) {
		return a, false
	}
	said := tokens(r.Header, "X-Forwarded-For")
	if len(said) == 0 {
		return a, false
	}
	a, _ = netip.ParseAddr(said[len(said)-1]) // what is no address shares one allowance
	return a.Unmap(), true
}

func (s *Server) proxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hit announces that a limit holds.
func (s *Server) hit(limit string, a netip.Addr) { s.announce.Hit(time.Now(), limit, a) }

// admit counts a new connection of a, or says that there are too many.
func (s *Server) admit(a netip.Addr) (release func()) {
	now := time.Now()
	if !s.sources.Take(now, kindConnects, a) {
		s.hit("ConnectsPerNetwork", a)
		return nil
	}
	if release = s.sources.Hold(now, kindConnections, a); release == nil {
		s.hit("ConnectionsPerNetwork", a)
	}
	return release
}

// hold counts one more of what most bounds.
func hold(n *atomic.Int64, most int) bool {
	if n.Add(1) > int64(most) {
		n.Add(-1)
		return false
	}
	return true
}

// receive gets a note for one of our connections.
func (s *Server) receive(n note) {
	s.mu.Lock()
	c := s.conns[n.To.Conn]
	s.mu.Unlock()
	if c != nil {
		c.receive(n)
		return
	}
	s.undelivered(n)
}

// undelivered tells the sender of n that there is nobody to have it.
func (s *Server) undelivered(n note) {
	switch n.Kind {
	case noteJoin:
		s.store.send(note{Kind: noteRefuse, To: n.From, Reason: reasonExpired})
	case noteMessage, noteAccept, noteProven:
		s.store.send(note{Kind: noteClosed, To: n.From, From: n.To, Reason: reasonLost})
	}
}
