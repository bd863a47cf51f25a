package punched

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"

	"securecall/nat/reflexive"
)

// ErrCredentials is what a ServerError is when the server refuses ours.
var ErrCredentials = errors.New("the server refuses the credentials")

// A ServerError is a STUN or TURN server that was of no use.
type ServerError struct {
	Server string // as configured
	Err    error  // reflexive.ErrNoAnswer, ErrCredentials, a *nat.NameError, of TLS, or the system's
}

func (e *ServerError) Error() string { return fmt.Sprintf("%s: %v", e.Server, e.Err) }
func (e *ServerError) Unwrap() error { return e.Err }

const (
	maxRelayed = 64 // addresses that a relay sends to
	retryAfter = 2 * time.Second
	knownTime  = 2 * time.Second // for a server to say that it knows us: less than a Gather has
)

// A relay is an address of ours at a TURN server.
type relay struct {
	path   *Path
	server TURN
	at     netip.AddrPort // the server, as we reach it
	mapped netip.AddrPort // what the server saw us at, by UDP; not valid: not asked
	addr   *net.UDPAddr   // at

	stream net.Conn    // over TCP and TLS
	gone   atomic.Bool // that has ended, or the library has given up what was allocated
	client *turn.Client
	conn   net.PacketConn // at the relayed address

	view    atomic.Pointer[view] // the agent's, of this session
	relayed netip.AddrPort
	ready   bool // guarded by path.mu

	mu      sync.Mutex
	peers   map[netip.AddrPort]*relayedPeer
	permits map[netip.Addr]*permit

	closing sync.Once
}

// A relayedPeer is an address that the relay sends to.
type relayedPeer struct {
	addr *net.UDPAddr
	*permit
}

// A permit is the server's, for the exchange with all ports of an IP address
// (RFC 8656, Section 9).
type permit struct {
	ready atomic.Bool
	asked time.Time // guarded by relay.mu
	busy  bool      // guarded by relay.mu
}

// newRelay has an address of a family allocated by a server at one of its own.
func (p *Path) newRelay(ctx context.Context, server TURN, host string, at netip.AddrPort, family turn.RequestedAddressFamily) (*relay, error) {
	r := &relay{path: p, server: server, at: at, addr: net.UDPAddrFromAddrPort(at), peers: make(map[netip.AddrPort]*relayedPeer), permits: make(map[netip.Addr]*permit)}
	if err := r.allocate(ctx, host, family); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *relay) allocate(ctx context.Context, host string, family turn.RequestedAddressFamily) error {
	p := r.path
	var link net.PacketConn = &udpLink{path: p, local: net.UDPAddrFromAddrPort(p.LocalAddr())}
	if r.server.Transport != UDP {
		conn, err := dialStream(ctx, r.server, host, r.at)
		if err != nil {
			return err
		}
		r.stream = newStream(conn)
		link = turn.NewSTUNConn(r.stream)
	}
	var err error
	r.client, err = turn.NewClient(&turn.ClientConfig{
		Conn:                   link,
		TURNServerAddr:         r.at.String(),
		Username:               r.server.Username,
		Password:               r.server.Password,
		RequestedAddressFamily: family,
		LoggerFactory:          logs{p.conf.Log},
	})
	if err != nil {
		return err
	}
	if !p.attach(r, link) {
		return net.ErrClosed
	}
	if r.conn, err = r.client.AllocateWithContext(ctx); err != nil {
		return turnError(ctx, err)
	}
	udp, ok := r.conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return errors.New("the server gave no address")
	}
	r.relayed = unmap(udp.AddrPort())
	if !reachable(r.relayed) {
		return fmt.Errorf("the server gave an address that is nobody's: %v", r.relayed)
	}
	if !p.spawn(r.pump) {
		return net.ErrClosed
	}
	return nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// turnError says what a person can act on. The library's text has no secret.
func turnError(ctx context.Context, err error) error {
	var refusal *stun.TurnError
	if errors.As(err, &refusal) {
		switch code := refusal.ErrorCodeAttr.Code; code {
		// Bad Request is what pion/turn says to a wrong password.
		case stun.CodeUnauthorized, stun.CodeForbidden, stun.CodeWrongCredentials, stun.CodeBadRequest:
			return fmt.Errorf("%w (error %d)", ErrCredentials, code)
		default:
			return &reflexive.Refusal{Code: int(code)}
		}
	}
	if ctx.Err() != nil {
		return reflexive.ErrNoAnswer
	}
	return err
}

// dialStream opens the connection that TURN over TCP and TLS takes (RFC 8656,
// Section 3.1).
func dialStream(ctx context.Context, server TURN, host string, at netip.AddrPort) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	if server.Transport == TCP {
		return conn, nil
	}
	conf := server.TLS.Clone()
	if conf == nil {
		conf = new(tls.Config)
	}
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// attach has what comes from the server handed to r.
func (p *Path) attach(r *relay, link net.PacketConn) bool {
	if r.stream == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.keep(r)
		return !p.shut
	}
	return p.spawn(func() {
		buf := make([]byte, 0x10000)
		for {
			n, _, err := link.ReadFrom(buf)
			if err != nil {
				r.gone.Store(true) // and with the connection what it had allocated
				return
			}
			r.receive(buf[:n])
		}
	})
}

// keep makes r known to the reader and to Close. The caller holds mu.
func (p *Path) keep(r *relay) {
	old := *p.relays.Load()
	next := make([]*relay, 0, len(old)+1)
	for _, o := range old {
		if o != r {
			next = append(next, o)
		}
	}
	next = append(next, r)
	p.relays.Store(&next)
}

// drop makes r unknown again.
func (p *Path) drop(r *relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ready = false
	var next []*relay
	for _, o := range *p.relays.Load() {
		if o != r {
			next = append(next, o)
		}
	}
	p.relays.Store(&next)
}

// readyRelays are those that have an address. The others are being allocated, by
// a Gather that closes them.
func (p *Path) readyRelays() []*relay {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready []*relay
	for _, r := range *p.relays.Load() {
		if r.ready {
			ready = append(ready, r)
		}
	}
	return ready
}

// relayAt is the relay of the server at an address, by UDP.
func (p *Path) relayAt(from netip.AddrPort) *relay {
	for _, r := range *p.relays.Load() {
		if r.stream == nil && r.at == from {
			return r
		}
	}
	return nil
}

// receive takes what the server sent. What makes no sense is dropped.
func (r *relay) receive(b []byte) { _, _ = r.client.HandleInbound(b, r.addr) }

// pump takes what peers sent to the relayed address.
func (r *relay) pump() {
	defer r.gone.Store(true)
	buf := make([]byte, maxDatagram)
	for {
		n, addr, err := r.conn.ReadFrom(buf)
		switch {
		case errors.Is(err, io.ErrShortBuffer):
			continue
		case err != nil:
			return // closed
		}
		if udp, ok := addr.(*net.UDPAddr); ok {
			r.path.arrive(r.view.Load(), buf[:n], unmap(udp.AddrPort()))
		}
	}
}

// send sends to a peer over the server. The first packet to an address waits for
// the server to permit it, which must not hold up the agent or the microphone:
// that happens aside, and what comes meanwhile is lost.
func (r *relay) send(b []byte, to netip.AddrPort) error {
	peer := r.peer(to)
	if peer == nil {
		return nil
	}
	if peer.ready.Load() {
		_, err := r.conn.WriteTo(b, peer.addr)
		return err
	}
	r.mu.Lock()
	now := time.Now()
	idle := !peer.busy && (peer.asked.IsZero() || now.Sub(peer.asked) > retryAfter)
	if idle {
		peer.busy, peer.asked = true, now
	}
	r.mu.Unlock()
	if idle {
		first := append([]byte(nil), b...)
		go r.ask(peer, first)
	}
	return nil
}

// ask sends the first packet to an IP address, which has the library ask for the
// permit. It is over when the server has answered, when the library gives up on
// it, or when the relay is closed.
func (r *relay) ask(peer *relayedPeer, first []byte) {
	_, err := r.conn.WriteTo(first, peer.addr)
	peer.ready.Store(err == nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	peer.busy = false
}

func (r *relay) peer(to netip.AddrPort) *relayedPeer {
	r.mu.Lock()
	defer r.mu.Unlock()
	peer := r.peers[to]
	if peer == nil && len(r.peers) < maxRelayed {
		if r.permits[to.Addr()] == nil {
			r.permits[to.Addr()] = new(permit)
		}
		peer = &relayedPeer{net.UDPAddrFromAddrPort(to), r.permits[to.Addr()]}
		r.peers[to] = peer
	}
	return peer
}

// known tells whether the server still has our allocation, by asking for a permit, for the relayed
// address itself: a server that was started again has forgotten all, and answers other questions
// as before, but this one with a refusal or not at all.
func (r *relay) known(ctx context.Context) bool {
	answer := make(chan bool, 1)
	go func() {
		for range 2 { // the second time with the nonce that the first answer had
			err := r.client.CreatePermission(net.UDPAddrFromAddrPort(r.relayed))
			var refusal *stun.TurnError
			if err == nil || errors.As(err, &refusal) && refusal.ErrorCodeAttr.Code == stun.CodeForbidden {
				answer <- true // it may permit no such address, but knows who asks
				return
			}
		}
		answer <- false
	}()
	select {
	case known := <-answer:
		return known
	case <-time.After(knownTime):
	case <-ctx.Done():
	}
	return false
}

// close gives the address back, if there is one.
func (r *relay) close() {
	r.closing.Do(func() {
		r.path.drop(r)
		if r.conn != nil {
			_ = r.conn.Close()
		}
		if r.client != nil {
			r.client.Close()
		}
		if r.stream != nil {
			_ = r.stream.Close()
		}
	})
}

// udpLink is the socket as the TURN client writes it; the reader hands it what
// comes.
type udpLink struct {
	path  *Path
	local net.Addr
}

func (l *udpLink) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("not a UDP address")
	}
	return len(b), l.path.path.WritePacket(b, unmap(udp.AddrPort()))
}

func (l *udpLink) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }
func (l *udpLink) Close() error                           { return nil }
func (l *udpLink) LocalAddr() net.Addr                    { return l.local }
func (l *udpLink) SetDeadline(time.Time) error            { return nil }
func (l *udpLink) SetReadDeadline(time.Time) error        { return nil }
func (l *udpLink) SetWriteDeadline(time.Time) error       { return nil }
