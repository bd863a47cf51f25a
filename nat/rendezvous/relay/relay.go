// Package relay is a STUN and TURN server (RFC 8489, RFC 8656) for people who
// have met at a rendezvous: by pion/turn, with credentials that it makes
// itself and that are good for a short time, and with bounds on what they are
// good for. It relays UDP and nothing else; docs/rendezvous.md says to whom.
//
// It opens sockets and starts goroutines: one a socket, one an allocation, and
// one a TCP connection.
package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"securecall/nat/rendezvous/quota"
)

const realm = "securecall"

// Limits are what the relay lets others have. The names of the fields are what
// the log calls them.
type Limits struct {
	Allocations                 int
	AllocationsPerNetwork       int
	AllocationsPerCredential    int
	OctetsPerCredential         int64
	OctetsPerAllocation         quota.Rate // in both directions together
	RequestsPerNetwork          quota.Rate
	TCPConnections              int
	TCPConnectionsPerNetwork    int
	CredentialTime, LongestTime time.Duration // to begin an allocation, and to refresh it
	IdleTime                    time.Duration // for a whole message to come over TCP
}

// DefaultLimits are for some hundred calls at once. A call of both sides
// takes some 25 kB a second.
func DefaultLimits() Limits {
	return Limits{
		Allocations:              1000,
		AllocationsPerNetwork:    20,
		AllocationsPerCredential: 4,
		OctetsPerCredential:      2 << 30,
		OctetsPerAllocation:      quota.Rate{Burst: 128 << 10, Every: time.Second / (64 << 10)},
		RequestsPerNetwork:       quota.Rate{Burst: 100, Every: time.Second / 20},
		TCPConnections:           1000,
		TCPConnectionsPerNetwork: 20,
		CredentialTime:           10 * time.Minute,
		LongestTime:              12 * time.Hour,
		IdleTime:                 5 * time.Minute,
	}
}

// Settings are what a Server is made of.
type Settings struct {
	// Bind is where it listens, over UDP and TCP. Unspecified IPv6 is both
	// families; port 0 any free one.
	Bind netip.AddrPort
	// Packets and Listeners, where there are any, are sockets in place of Bind, which the Server
	// closes (passed.go).
	Packets   []net.PacketConn
	Listeners []net.Listener
	// Public are the addresses by which others reach the relay, one a family,
	// where the machine does not have them itself.
	Public []netip.Addr
	// Private lets it relay to addresses that are not public, as a server for
	// one local network has to.
	Private      bool
	Limits       Limits
	Log          *slog.Logger
	LogAddresses bool
}

// A Server relays until it is closed.
type Server struct {
	Settings
	announce *quota.Announcer
	sources  *quota.Table
	secret   string
	turn     *turn.Server
	port     uint16
	public   []netip.Addr
	own      map[netip.Addr]bool // this machine's, and public

	mu          sync.Mutex
	users       map[string]*user
	swept       time.Time
	allocations int
	networks    map[netip.Prefix]int // allocations of each
	ports       map[uint16]bool      // of the relay's own sockets
	streams     map[*stream]struct{}
	closed      bool
}

// What a Server's Table counts, by network.
const (
	kindRequests quota.Kind = iota
	kindTCP
)

// Start opens the sockets and begins. The error of a socket is the system's.
func Start(ctx context.Context, settings Settings) (*Server, error) {
	if settings.Log == nil {
		settings.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		Settings: settings,
		announce: quota.NewAnnouncer(settings.Log, settings.LogAddresses),
		sources: quota.NewTable(
			[]quota.Rate{kindRequests: settings.Limits.RequestsPerNetwork, kindTCP: {}},
			[]int{kindRequests: 0, kindTCP: settings.Limits.TCPConnectionsPerNetwork},
		),
		secret:   rand.Text(),
		users:    map[string]*user{},
		networks: map[netip.Prefix]int{},
		ports:    map[uint16]bool{},
		streams:  map[*stream]struct{}{},
	}
	s.addresses()
	packets, listeners, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	config := turn.ServerConfig{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
		Realm:         realm,
		AuthHandler:   s.authenticate,
		QuotaHandler:  s.mayAllocate,
		// Without REQUESTED-ADDRESS-FAMILY it is IPv4, whatever the client came by (RFC
		// 8656, Section 7.2): who has IPv6 alone reaches the others so.
		StrictAddressFamily: true,
		EventHandler:        turn.EventHandler{OnAllocationCreated: s.created, OnAllocationDeleted: s.deleted},
	}
	generator := &generator{s}
	for _, p := range packets {
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{
			PacketConn: &packetConn{p, s}, RelayAddressGenerator: generator, PermissionHandler: s.mayReach,
		})
	}
	for _, l := range listeners {
		config.ListenerConfigs = append(config.ListenerConfigs, turn.ListenerConfig{
			Listener: &listener{l, s}, RelayAddressGenerator: generator, PermissionHandler: s.mayReach,
		})
	}
	if s.turn, err = turn.NewServer(config); err != nil {
		closeAll(packets, listeners)
		return nil, err
	}
	return s, nil
}

// Port is where it listens.
func (s *Server) Port() uint16 { return s.port }

// Addresses are those at which it relays, one a family.
func (s *Server) Addresses() []netip.Addr { return s.public }

// Close ends all of it.
func (s *Server) Close() error {
	err := s.turn.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.streams {
		_ = c.Conn.Close()
	}
	s.mu.Unlock()
	return err
}

// open opens the sockets: one a family, so that each knows its own, and UDP
// and TCP at the same port.
func (s *Server) open(ctx context.Context) (packets []net.PacketConn, listeners []net.Listener, err error) {
	if len(s.Packets)+len(s.Listeners) > 0 {
		return s.Packets, s.Listeners, s.passed()
	}
	for range 8 { // a port that is free for one need not be free for all
		packets, listeners, err = s.openAt(ctx, s.Bind.Port())
		if err == nil || s.Bind.Port() != 0 {
			break
		}
	}
	return packets, listeners, err
}

func (s *Server) openAt(ctx context.Context, port uint16) (packets []net.PacketConn, listeners []net.Listener, err error) {
	var l net.ListenConfig
	for _, family := range s.families() {
		address := netip.AddrPortFrom(family.bind, port).String()
		p, err := l.ListenPacket(ctx, "udp"+family.name, address)
		if err != nil {
			if len(packets) > 0 && s.Bind.Addr().IsUnspecified() && noFamily(err) {
				continue // a machine of one family
			}
			closeAll(packets, listeners)
			return nil, nil, err
		}
		packets = append(packets, p)
		port = p.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		t, err := l.Listen(ctx, "tcp"+family.name, netip.AddrPortFrom(family.bind, port).String())
		if err != nil {
			closeAll(packets, listeners)
			return nil, nil, err
		}
		listeners = append(listeners, t)
	}
	s.port = port
	return packets, listeners, nil
}

func closeAll(packets []net.PacketConn, listeners []net.Listener) {
	for _, p := range packets {
		_ = p.Close()
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}

// A family is an address family and where to bind in it.
type family struct {
	name string // 4 or 6
	bind netip.Addr
}

func (s *Server) families() []family {
	if len(s.Packets)+len(s.Listeners) > 0 {
		return s.passedFamilies()
	}
	bind := s.Bind.Addr().Unmap()
	switch {
	case bind == netip.IPv6Unspecified(), !bind.IsValid():
		return []family{{"4", netip.IPv4Unspecified()}, {"6", netip.IPv6Unspecified()}}
	case bind.Is4():
		return []family{{"4", bind}}
	}
	return []family{{"6", bind}}
}

var errFamily = errors.New("no relay address of that family")
