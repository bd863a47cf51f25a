package punched

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/turn/v5"

	"securecall/nat"
	"securecall/nat/memnet"
)

// The two sides, each in a private network of its own, and what is public.
var (
	alice  = netip.MustParseAddrPort("10.1.0.2:5004")
	bob    = netip.MustParseAddrPort("10.2.0.2:5004")
	server = netip.MustParseAddrPort("203.0.113.9:3478")

	aliceNet = netip.MustParsePrefix("10.1.0.0/16")
	bobNet   = netip.MustParsePrefix("10.2.0.0/16")
	aliceNAT = netip.MustParseAddr("198.51.100.1")
	bobNAT   = netip.MustParseAddr("198.51.100.2")
)

const (
	oneWay    = 50 * time.Millisecond
	roundTrip = 2 * oneWay
)

// network is one on which everything takes oneWay.
func network() *memnet.Network {
	n := memnet.New(1)
	n.SetConditions(netip.AddrPort{}, netip.AddrPort{}, memnet.Conditions{Delay: oneWay})
	return n
}

// ordinary is the NAT of most homes.
func ordinary(public netip.Addr, inside netip.Prefix) memnet.Router {
	return memnet.Router{Public: public, Inside: inside, Filtering: memnet.AddressAndPortDependent}
}

func symmetric(public netip.Addr, inside netip.Prefix) memnet.Router {
	return memnet.Router{Public: public, Inside: inside, Mapping: memnet.AddressAndPortDependent, Filtering: memnet.AddressAndPortDependent}
}

// packetConn is a nat.Path as package net has it, for the TURN server.
type packetConn struct{ nat.Path }

func (c packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.ReadPacket(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (c packetConn) WriteTo(b []byte, to net.Addr) (int, error) {
	return len(b), c.WritePacket(b, to.(*net.UDPAddr).AddrPort())
}

func (c packetConn) LocalAddr() net.Addr {
	return net.UDPAddrFromAddrPort(c.Path.LocalAddr())
}
func (packetConn) SetDeadline(time.Time) error      { return nil }
func (packetConn) SetReadDeadline(time.Time) error  { return nil }
func (packetConn) SetWriteDeadline(time.Time) error { return nil }

// relayAddrs gives the TURN server ports of its own address.
type relayAddrs struct {
	network *memnet.Network
	addr    netip.Addr
}

func (relayAddrs) Validate() error { return nil }

func (r relayAddrs) AllocatePacketConn(turn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	c := packetConn{r.network.Path(netip.AddrPortFrom(r.addr, 0))}
	return c, c.LocalAddr(), nil
}

func (relayAddrs) AllocateListener(turn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

func (relayAddrs) AllocateConn(turn.AllocateConnConfig) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// serve runs a STUN and TURN server, where user "user" has the password "pass".
func serve(t *testing.T, n *memnet.Network) *turn.Server {
	t.Helper()
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: "test",
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			return a.Username, turn.GenerateAuthKey("user", "test", "pass"), a.Username == "user"
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            packetConn{n.Path(server)},
			RelayAddressGenerator: relayAddrs{n, server.Addr()},
		}},
		LoggerFactory: logs{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var (
	withSTUN = Config{STUN: []string{server.String()}}
	withTURN = Config{TURN: []TURN{{Server: server.String(), Username: "user", Password: "pass"}}}
)

// side makes one side at an address; c is what is special about it.
func side(t *testing.T, n *memnet.Network, at netip.AddrPort, controlling bool, c Config) *Path {
	t.Helper()
	c.Path, c.Controlling = n.Path(at), controlling
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// passed is a Description as the other side gets it.
func passed(t *testing.T, d Description) Description {
	t.Helper()
	got, err := ParseDescription(d.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// connect connects two sides, neither of which hears of the other before the
// other has gathered, and says how long it took from then on.
func connect(t *testing.T, a, b *Path) (time.Duration, error) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	errs := make(chan error, 1)
	go func() { errs <- b.Connect(ctx, passed(t, a.Local())) }()
	err := a.Connect(ctx, passed(t, b.Local()))
	if e := <-errs; err == nil {
		err = e
	}
	return time.Since(start), err
}

func gather(t *testing.T, paths ...*Path) {
	t.Helper()
	for _, p := range paths {
		if err := p.Gather(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// talk has a packet go each way.
func talk(t *testing.T, a, b *Path) {
	t.Helper()
	buf := make([]byte, 100)
	for _, way := range [][2]*Path{{a, b}, {b, a}} {
		if err := way[0].WritePacket([]byte("\x80hello"), Peer); err != nil {
			t.Fatalf("writing: %v", err)
		}
		n, from, err := way[1].ReadPacket(buf)
		if err != nil || string(buf[:n]) != "\x80hello" || from != Peer {
			t.Fatalf("got %q from %v, %v", buf[:n], from, err)
		}
	}
}

// bubble runs a test in virtual time. What is cleaned up is cleaned up inside.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
