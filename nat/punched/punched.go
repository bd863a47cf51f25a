// Package punched is a nat.Path to one peer, found by ICE (RFC 8445): directly
// where the two can reach each other, through holes in their NATs where those
// let them, and over TURN relays (RFC 8656) elsewhere. Consent is kept fresh
// (RFC 7675), and a session can restart while packets travel on.
//
// The ICE agent of pion/ice does the checks: pairs, roles, nomination, peer-
// reflexive candidates, consent. Sockets, gathering and media are ours. There is
// one UDP socket, the path that New is given, and checks, questions to STUN
// servers, TURN over UDP and media share its port. Media never passes through
// the agent: it comes from the socket, or from a relay, and waits for ReadPacket;
// it goes out by the way that the agent last selected. docs/notes/ice.md says
// why, and what was tuned.
//
// Left out of RFC 8445: TCP candidates, more than one component or stream, ICE
// lite. No multicast DNS: no name is asked for on the network, or answered.
//
// Nobody but the peer is sent anything unless Config names a server, and
// nothing at all before Gather and Connect. The package starts goroutines: one
// that reads the socket, one or two for each relay, and the agent's.
package punched

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"securecall/nat"
	"securecall/nat/reflexive"
)

// Peer is the address that stands for the peer in ReadPacket and WritePacket, of
// every Path and whichever way packets take. It is in the prefix that routers
// discard (RFC 6666): sent to by mistake, it reaches nobody. OnRoute and Route
// tell the peer's real address.
var Peer = netip.MustParseAddrPort("[100::1]:1")

var (
	// ErrNoRoute is WritePacket's error before there is a way to the peer and
	// after it was lost, and Connect's when none was found.
	ErrNoRoute = errors.New("no way to the peer was found")
	// ErrRestart is Connect's error for a peer that has restarted while we have
	// not: Restart comes first, and the peer needs what it returns.
	ErrRestart = errors.New("the peer has restarted")

	errOtherPeer = errors.New("this path reaches only its one peer")
)

// Transport is how a TURN server is spoken to.
type Transport uint8

const (
	UDP Transport = iota
	TCP
	TLS
)

func (t Transport) String() string { return [...]string{"UDP", "TCP", "TLS", "unknown"}[t&3] }

// A TURN is a relay server with our credentials there.
type TURN struct {
	Server    string // host or host:port; without a port 3478, with TLS 5349
	Transport Transport
	Username  string
	Password  string
	// TLS is for certificates that the system does not trust; nil: those that
	// it does. ServerName is set to the host's if it is empty.
	TLS *tls.Config
}

// Config is what New needs. The functions in it are called from one goroutine,
// and should not wait; they may call the Path's methods, but for Close.
type Config struct {
	// Path is the socket to everybody. The new Path reads it from now on, and
	// closes it when it is closed, or when New fails.
	Path nat.Path
	// Addrs are the addresses at which that socket is reached from its own
	// networks; nil: what nat.LocalAddrs says, each time a session begins.
	Addrs []netip.AddrPort
	// Mapped are addresses at which a gateway was told to forward to it.
	Mapped []netip.AddrPort

	STUN []string // servers, host or host:port; without a port 3478
	TURN []TURN

	// RelayOnly keeps this machine's addresses from the peer: only relayed
	// candidates leave it, and packets leave it only for TURN servers. STUN and
	// Mapped are not used.
	RelayOnly bool
	// Controlling is true on one side: of the two, it selects the pair. If both
	// sides say the same, the checks settle it.
	Controlling bool

	OnRoute func(Route)       // the way has changed; Kind None: it was lost
	OnLocal func(Description) // a candidate was found, or gathering is complete

	Rand io.Reader    // nil: crypto/rand's
	Log  *slog.Logger // nil: none. What is logged has addresses, but no secret.
}

// A Path is a nat.Path to one peer.
type Path struct {
	conf   Config
	path   *reflexive.Path
	agent  *ice.Agent
	inbox  *inbox
	random *lockedReader

	way    atomic.Pointer[way]      // nil: none
	bases  atomic.Pointer[bases]    // the agent's sockets for checks without a relay
	relays atomic.Pointer[[]*relay] // those that the reader knows

	admitting sync.Mutex               // held to replace admitted
	admitted  atomic.Pointer[admitted] // addresses that media is taken from

	key     atomic.Pointer[stun.MessageIntegrity] // the peer's of this session; nil: none yet
	heardOf atomic.Pointer[heardOf]               // the same
	hearing *heardOf                              // what heardOf will be, once the agent has it

	life    context.Context // ended by Close
	end     func()
	closing sync.Once
	workers sync.WaitGroup // all goroutines of ours

	// Neither the agent's own goroutine nor the reader takes mu, which is held while
	// the agent is waited for.
	mu      sync.Mutex
	local   Description
	remote  *Description         // of this session; nil: none yet
	views   map[string]localView // of this session, by the agent's candidate IDs
	session uint64
	started bool          // the agent has begun its first session
	failed  bool          // this session has
	shut    bool          // no more goroutines are to start
	news    chan struct{} // closed and replaced when something above changes
	tidings []func()      // what OnRoute and OnLocal are to be told
	told    chan struct{} // there are tidings
}

type bases struct{ v4, v6 *view } // nil: none of that family

type localView struct {
	view *view
	Candidate
}

// New prepares a session. Host candidates are there at once; Gather finds the
// others, and nothing is sent before it or Connect.
func New(c Config) (*Path, error) {
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	p := &Path{
		conf:   c,
		random: &lockedReader{r: c.Rand},
		inbox:  newInbox(),
		news:   make(chan struct{}),
		told:   make(chan struct{}, 1),
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.path = reflexive.New(c.Path, p.random)
	p.admitted.Store(new(admitted))
	p.bases.Store(new(bases))
	p.relays.Store(new([]*relay))
	err := p.newSession()
	if err == nil {
		p.agent, err = p.newAgent()
	}
	if err == nil {
		p.mu.Lock()
		err = p.addBases()
		p.mu.Unlock()
	}
	if err != nil {
		if p.agent != nil {
			_ = p.agent.Close()
		}
		p.end()
		c.Path.Close()
		return nil, err
	}
	p.workers.Go(p.read)
	p.workers.Go(p.tell)
	return p, nil
}

// newSession makes the Description of the next session: the host candidates as
// they are now, and what was gathered before.
func (p *Path) newSession() error {
	d, err := newDescription(p.random)
	if err != nil {
		return err
	}
	old := p.local.Candidates
	if !p.conf.RelayOnly {
		for _, a := range p.hosts() {
			d.add(Candidate{Host, a})
		}
		for _, a := range p.conf.Mapped {
			d.add(Candidate{Reflexive, a})
		}
	}
	for _, c := range old {
		if c.Type == Reflexive {
			d.add(c)
		}
	}
	p.local, p.remote, p.failed = d, nil, false
	p.hearing = nil
	p.heardOf.Store(nil)
	p.views = make(map[string]localView)
	return nil
}

func (p *Path) hosts() []netip.AddrPort {
	if p.conf.Addrs != nil {
		return p.conf.Addrs
	}
	return nat.LocalAddrs(p.path.LocalAddr())
}

// Local is this side's Description, for the other side. More candidates may
// follow unless it is complete.
func (p *Path) Local() Description {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local
}

// Route is the way that packets take now.
func (p *Path) Route() Route {
	if w := p.way.Load(); w != nil {
		return w.route
	}
	return Route{}
}

// ReadPacket waits for a packet of the peer. The address is always Peer. Packets
// come only from addresses that ICE has verified; whether they are the peer's
// is for whoever opens them to say. It does not allocate.
func (p *Path) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	n, err := p.inbox.take(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	return n, Peer, nil
}

// WritePacket sends a packet to Peer, the only one that it sends to. Over a
// direct way it does not allocate; over a relay the TURN client does.
func (p *Path) WritePacket(b []byte, to netip.AddrPort) error {
	if to != Peer {
		return errOtherPeer
	}
	w := p.way.Load()
	if w == nil {
		return ErrNoRoute
	}
	return w.carrier.send(b, w.route.Remote)
}

// LocalAddr is the address that the socket is bound to.
func (p *Path) LocalAddr() netip.AddrPort { return p.path.LocalAddr() }

// Source is LocalAddr: which of our addresses the way leaves from is its route's to say.
func (p *Path) Source(netip.AddrPort) netip.AddrPort { return p.LocalAddr() }

// Close gives back relayed addresses, ends everything and closes the socket.
func (p *Path) Close() error {
	p.closing.Do(func() {
		p.mu.Lock()
		p.shut = true
		p.mu.Unlock()
		p.end()
		p.inbox.close()
		p.way.Store(nil)
		for _, r := range p.readyRelays() {
			r.close()
		}
		_ = p.agent.Close()
		p.path.Close()
		p.workers.Wait()
	})
	return nil
}

// spawn starts a goroutine that Close waits for, unless Close has begun.
func (p *Path) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return false
	}
	p.workers.Go(f)
	return true
}

// living is ctx, ended by Close as well.
func (p *Path) living(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// changed tells those who wait in Connect. The caller holds mu.
func (p *Path) changed() {
	close(p.news)
	p.news = make(chan struct{})
}

// later has f called, after those before it. The caller holds mu.
func (p *Path) later(f func()) {
	p.tidings = append(p.tidings, f)
	select {
	case p.told <- struct{}{}:
	default:
	}
}

// tell calls OnRoute and OnLocal.
func (p *Path) tell() {
	for {
		select {
		case <-p.life.Done():
			return
		case <-p.told:
		}
		p.mu.Lock()
		tidings := p.tidings
		p.tidings = nil
		p.mu.Unlock()
		for _, f := range tidings {
			f()
		}
	}
}

// send is the socket as a carrier.
func (p *Path) send(b []byte, to netip.AddrPort) error { return p.path.WritePacket(b, to) }

// maxAdmitted bounds the addresses that media is taken from: the peer's, of
// this session and the one before.
const maxAdmitted = 32

type admitted [maxAdmitted]netip.AddrPort

// admit takes media from an address from now on, in the place of the one that
// was admitted first.
func (p *Path) admit(a netip.AddrPort) {
	old := p.admitted.Load()
	if !a.IsValid() || slices.Contains(old[:], a) {
		return
	}
	p.admitting.Lock()
	defer p.admitting.Unlock()
	next := new(admitted)
	old = p.admitted.Load()
	copy(next[1:], old[:])
	next[0] = a
	p.admitted.Store(next)
}

// lockedReader is a random source for several goroutines.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.ReadFull(l.r, b)
}

var _ nat.Path = (*Path)(nil)
