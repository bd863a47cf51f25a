package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"securecall/nat/rendezvous/quota"
)

// start runs a relay on loopback.
func start(t *testing.T, edit func(*Settings)) (*Server, *safeBuffer) {
	t.Helper()
	out := &safeBuffer{}
	settings := Settings{
		Bind: netip.MustParseAddrPort("127.0.0.1:0"), Limits: DefaultLimits(), Private: true,
		Log: slog.New(slog.NewTextHandler(out, nil)),
	}
	if edit != nil {
		edit(&settings)
	}
	s, err := Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, out
}

// A safeBuffer is a log that can be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var silent = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// client is a TURN client of s over network, with credentials that are good.
func client(t *testing.T, s *Server, network, username, password string) *turn.Client {
	t.Helper()
	server := fmt.Sprintf("127.0.0.1:%d", s.Port())
	var conn net.PacketConn
	if network == "tcp" {
		c, err := net.Dial("tcp4", server)
		if err != nil {
			t.Fatal(err)
		}
		conn = turn.NewSTUNConn(c)
	} else {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn = c
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server, TURNServerAddr: server, Conn: conn, Username: username, Password: password, Realm: realm,
		LoggerFactory: silent, RTO: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); _ = conn.Close() })
	return c
}

func allocate(t *testing.T, s *Server, network string) (net.PacketConn, error) {
	t.Helper()
	u, p := s.Credentials(time.Now())
	relayed, err := client(t, s, network, u, p).Allocate()
	if err == nil {
		t.Cleanup(func() { _ = relayed.Close() })
	}
	return relayed, err
}

func peer(t *testing.T) net.PacketConn {
	t.Helper()
	p, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// early is what may or may not arrive, since there is no permission yet.
const early = "too early"

// pass sends text from a to b by way of the relay.
func pass(t *testing.T, a, b net.PacketConn, text string) {
	t.Helper()
	if _, err := a.WriteTo([]byte(text), b.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2000)
	_ = b.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := b.ReadFrom(got)
	if err == nil && string(got[:n]) == early {
		n, from, err = b.ReadFrom(got)
	}
	if err != nil || string(got[:n]) != text || from.String() != a.LocalAddr().String() {
		t.Fatalf("%q from %v, %v; want %q from %v", got[:n], from, err, text, a.LocalAddr())
	}
}

func TestSTUN(t *testing.T) {
	s, _ := start(t, nil)
	for _, network := range []string{"udp", "tcp"} {
		c := client(t, s, network, "", "")
		mapped, err := c.SendBindingRequest()
		if err != nil || !strings.HasPrefix(mapped.String(), "127.0.0.1:") {
			t.Fatalf("%s: %v, %v", network, mapped, err)
		}
	}
}

// Both ends relayed, one over TCP; then a plain peer.
func TestRelay(t *testing.T) {
	s, _ := start(t, nil)
	a, err := allocate(t, s, "udp")
	if err != nil {
		t.Fatal(err)
	}
	b, err := allocate(t, s, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	// A permission each way, as a side gives one to whom it sends.
	if _, err := b.WriteTo([]byte(early), a.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	pass(t, a, b, "hello")
	pass(t, b, a, "hello yourself")
	pass(t, b, a, strings.Repeat("long", 300))
	p := peer(t)
	pass(t, a, p, "and you")
	pass(t, p, a, "me too")
}

// The ports are the ones that a firewall knows of.
func TestPorts(t *testing.T) {
	s, _ := start(t, nil)
	for range 4 {
		a, err := allocate(t, s, "udp")
		if err != nil {
			t.Fatal(err)
		}
		if p := a.LocalAddr().(*net.UDPAddr).Port; p < lowPort {
			t.Errorf("port %d", p)
		}
	}
}

func TestCredentials(t *testing.T) {
	s, _ := start(t, nil)
	u, p := s.Credentials(time.Now())
	old, oldPassword := s.Credentials(time.Now().Add(-11 * time.Minute))
	other, _ := s.Credentials(time.Now())
	for name, pair := range map[string][2]string{
		"wrong password": {u, p + "x"}, "another's": {other, p}, "expired": {old, oldPassword}, "no time": {"me", s.password("me")},
		"a later time": {"9" + u, p}, "nothing": {"", ""}, "no number": {"soon:me", s.password("soon:me")},
	} {
		if relayed, err := client(t, s, "udp", pair[0], pair[1]).Allocate(); err == nil {
			t.Errorf("%s: %v", name, relayed.LocalAddr())
		}
	}
	if _, err := client(t, s, "udp", u, p).Allocate(); err != nil {
		t.Error(err)
	}
	// What was begun in time can go on.
	if _, _, ok := s.authenticate(&turn.RequestAttributes{Username: old, Realm: realm, Method: 0x004}); !ok {
		t.Error("a refresh of an old credential is refused")
	}
	ancient, _ := s.Credentials(time.Now().Add(-13 * time.Hour))
	if _, _, ok := s.authenticate(&turn.RequestAttributes{Username: ancient, Realm: realm, Method: 0x004}); ok {
		t.Error("a refresh after 13 hours is not")
	}
}

// Nobody reaches what is behind or on the server.
func TestPrivatePeers(t *testing.T) {
	s, _ := start(t, func(s *Settings) { s.Private = false })
	u, p := s.Credentials(time.Now())
	c := client(t, s, "udp", u, p)
	relayed, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"127.0.0.1:53", "10.0.0.1:80", "192.168.1.1:80", "169.254.169.254:80", "0.0.0.0:1", "224.0.0.1:1", "100.64.0.1:1"} {
		if err := c.CreatePermission(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a))); err == nil {
			t.Errorf("a permission for %s", a)
		}
	}
	if err := c.CreatePermission(net.UDPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.1:1"))); err != nil {
		t.Error(err)
	}
	_ = relayed
}

func TestPublic(t *testing.T) {
	for a, want := range map[string]bool{
		"8.8.8.8": true, "2600::1": true, "203.0.113.9": true, "::ffff:8.8.8.8": true,
		"::ffff:10.0.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "64:ff9b::a00:1": false,
		"2002:a00:1::1": false, "2001:0:a00:1::": false, "::10.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "172.16.0.1": false,
		"198.18.0.1": false, "192.0.0.8": false, "0.1.2.3": false,
	} {
		if got := public(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// Of our own addresses only relays can be reached.
func TestOwnPorts(t *testing.T) {
	s, _ := start(t, func(s *Settings) { s.Public = []netip.Addr{netip.MustParseAddr("203.0.113.1")} })
	a, err := allocate(t, s, "udp")
	if err != nil {
		t.Fatal(err)
	}
	got := a.LocalAddr().(*net.UDPAddr).AddrPort()
	if got.Addr() != netip.MustParseAddr("203.0.113.1") {
		t.Fatalf("it relays at %v", got)
	}
	s.Private = false
	if !s.mayReach(nil, net.IPv4(203, 0, 113, 1)) || !s.maySend(got) || s.maySend(netip.AddrPortFrom(got.Addr(), 22)) || !s.maySend(netip.MustParseAddrPort("203.0.113.2:22")) {
		t.Error("our own ports")
	}
}

// Each limit holds and is announced.
func TestLimits(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*Limits)
		hit  func(t *testing.T, s *Server)
	}{
		"Allocations": {func(l *Limits) { l.Allocations = 1 }, func(t *testing.T, s *Server) { second(t, s) }},
		"AllocationsPerNetwork": {func(l *Limits) { l.AllocationsPerNetwork = 1 }, func(t *testing.T, s *Server) {
			a := second(t, s)
			_ = a.Close()
			for range 100 { // the refresh that ends it takes a moment
				if _, err := allocate(t, s, "udp"); err == nil {
					return
				}
			}
			t.Error("what was given back is not free")
		}},
		"AllocationsPerCredential": {nil, func(t *testing.T, s *Server) {
			u, p := s.Credentials(time.Now())
			for i := range 5 {
				if _, err := client(t, s, "udp", u, p).Allocate(); (err == nil) != (i < 4) {
					t.Errorf("allocation %d: %v", i, err)
				}
			}
		}},
		"OctetsPerCredential": {func(l *Limits) { l.OctetsPerCredential = 1000 }, func(t *testing.T, s *Server) {
			u, password := s.Credentials(time.Now())
			a, err := client(t, s, "udp", u, password).Allocate()
			if err != nil {
				t.Fatal(err)
			}
			p := peer(t)
			b, err := allocate(t, s, "udp")
			if err != nil {
				t.Fatal(err)
			}
			pass(t, a, p, strings.Repeat("x", 900))
			if _, err := a.WriteTo(make([]byte, 101), p.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			pass(t, b, p, "of another credential")
			if _, err := client(t, s, "udp", u, password).Allocate(); err == nil {
				t.Error("another allocation")
			}
		}},
		"OctetsPerAllocation": {func(l *Limits) { l.OctetsPerAllocation = quota.Rate{Burst: 1000, Every: time.Hour} }, func(t *testing.T, s *Server) {
			a, err := allocate(t, s, "udp")
			if err != nil {
				t.Fatal(err)
			}
			flood(t, a, 900)
		}},
		"TCPConnections":           {func(l *Limits) { l.TCPConnections = 1 }, thirdTCP},
		"TCPConnectionsPerNetwork": {func(l *Limits) { l.TCPConnectionsPerNetwork = 1 }, thirdTCP},
		"RequestsPerNetwork": {func(l *Limits) { l.RequestsPerNetwork = quota.Rate{Burst: 2, Every: time.Hour} }, func(t *testing.T, s *Server) {
			request, indication := []byte{0, 1}, []byte{0, 0x11}
			from, other := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2)}
			for i, test := range []struct {
				b    []byte
				from net.Addr
				want bool
			}{{request, from, true}, {request, from, true}, {request, from, false}, {indication, from, true}, {request, other, true}, {nil, from, true}} {
				if got := s.mayAsk(test.b, test.from); got != test.want {
					t.Errorf("message %d: %v", i, got)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // clients wait for answers that do not come
			s, log := start(t, func(s *Settings) {
				if test.edit != nil {
					test.edit(&s.Limits)
				}
			})
			test.hit(t, s)
			if !strings.Contains(log.String(), "limit="+name+" ") || strings.Contains(log.String(), "127.0.0.1") {
				t.Errorf("the log says %q", log)
			}
		})
	}
}

func second(t *testing.T, s *Server) net.PacketConn {
	t.Helper()
	a, err := allocate(t, s, "udp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := allocate(t, s, "udp"); err == nil {
		t.Error("a second allocation")
	}
	return a
}

// flood wants the second of two packets of n octets to be lost.
func flood(t *testing.T, a net.PacketConn, n int) {
	t.Helper()
	p := peer(t)
	pass(t, a, p, strings.Repeat("x", n))
	if _, err := a.WriteTo(bytes.Repeat([]byte("y"), n), p.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	pass(t, a, p, "small")
}

func thirdTCP(t *testing.T, s *Server) {
	t.Helper()
	client(t, s, "tcp", "", "")
	c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		return // the reset came as early as that
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second connection: %v", err)
	}
}

// TCP that is no STUN is ended, and what is ended is forgotten.
func TestStreamNonsense(t *testing.T) {
	s, _ := start(t, nil)
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x01\xff\xfc" + strings.Repeat("x", 100), "\x40\x00\xff\xff", "\x00\x01\x00\x03"} {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", s.Port()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: %v", text, err)
		}
		_ = c.Close()
	}
}

// Streams hand on whole messages, whatever pieces they come in.
func FuzzStream(f *testing.F) {
	binding := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	f.Add(append(binding, 0x40, 0, 0, 3, 'a', 'b', 'c', 0), 1)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 3)
	limits := DefaultLimits()
	limits.RequestsPerNetwork.Burst = 1 << 30
	s := &Server{Settings: Settings{Limits: limits}, sources: quota.NewTable([]quota.Rate{limits.RequestsPerNetwork, {}}, []int{0, 1})}
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		if piece < 1 || len(b) > 1<<16 {
			return
		}
		c := &stream{Conn: &pieces{b: b, size: piece}, s: s}
		var got []byte
		out := make([]byte, maxMessage)
		for {
			n, err := c.Read(out)
			if err != nil {
				break
			}
			if n < 4 || n >= maxMessage || n%4 != 0 {
				t.Fatalf("a message of %d octets", n)
			}
			if want, err := messageLen(out[:n]); err != nil || want != n {
				t.Fatalf("%d octets for %d, %v", n, want, err)
			}
			got = append(got, out[:n]...)
		}
		if !bytes.HasPrefix(b, got) {
			t.Fatal("not what came")
		}
	})
}

// pieces is a connection that gives size octets at a time.
type pieces struct {
	net.Conn
	b    []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.b[:min(p.size, len(p.b))])
	p.b = p.b[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }
func (p *pieces) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }

func TestMessageLen(t *testing.T) {
	message := func(first byte, n int) []byte {
		b := []byte{first, 0, 0, 0}
		binary.BigEndian.PutUint16(b[2:], uint16(n))
		return b
	}
	for _, test := range []struct {
		first   byte
		n, want int
	}{{0, 0, 20}, {1, 4, 24}, {0, 3, -1}, {0x40, 0, 4}, {0x40, 1, 8}, {0x4f, 4, 8}, {0x50, 0, -1}, {0x80, 0, -1}, {0, 1576, 1596}, {0, 1580, -1}, {0x40, 0xffff, -1}} {
		got, err := messageLen(message(test.first, test.n))
		if err != nil {
			got = -1
		}
		if got != test.want {
			t.Errorf("%#x, %d: %d, want %d", test.first, test.n, got, test.want)
		}
	}
}
