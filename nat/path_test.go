package nat

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var ctx = context.Background()

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func mustListen(t testing.TB, bind string) Path {
	t.Helper()
	p, err := Listen(ctx, addrPort(bind))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func mustDial(t testing.TB, bind, peer netip.AddrPort) Path {
	t.Helper()
	p, _, err := Dial(ctx, bind, peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func port(p Path) uint16 { return p.LocalAddr().Port() }

// expect reads one datagram and fails the test if none comes.
func expect(t testing.TB, p Path, want string) (from netip.AddrPort) {
	t.Helper()
	stop := time.AfterFunc(5*time.Second, func() { p.Close() })
	defer stop.Stop()
	b := make([]byte, 1500)
	n, from, err := p.ReadPacket(b)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("got %q from %v, %v; want %q", b[:n], from, err, want)
	}
	return from
}

func send(t testing.TB, p Path, text string, to netip.AddrPort) {
	t.Helper()
	if err := p.WritePacket([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

func hasIPv6() bool {
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err == nil {
		c.Close()
	}
	return err == nil
}

// loopbacks are the loopback addresses that this machine has.
func loopbacks() []netip.Addr {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	if hasIPv6() {
		addrs = append(addrs, netip.IPv6Loopback())
	}
	return addrs
}

func TestListenAndDial(t *testing.T) {
	for _, bind := range []string{"[::]:0", "0.0.0.0:0", "127.0.0.1:0", "[::ffff:127.0.0.1]:0"} {
		l := mustListen(t, bind)
		for _, addr := range loopbacks() {
			if addr.Is6() && bind != "[::]:0" {
				continue
			}
			for _, from := range []netip.AddrPort{{}, addrPort("[::]:0"), addrPort("0.0.0.0:0"), netip.AddrPortFrom(addr, 0)} {
				peer := netip.AddrPortFrom(addr, port(l))
				d := mustDial(t, from, peer)
				if d.Source(peer) != netip.AddrPortFrom(addr, port(d)) || port(d) == 0 {
					t.Errorf("leaves from %v of %v", d.Source(peer), d.LocalAddr())
				}
				send(t, d, "", peer) // an empty datagram is one, not an end
				send(t, d, "hello", netip.AddrPortFrom(netip.AddrFrom16(addr.As16()), port(l)))
				expect(t, l, "")
				caller := expect(t, l, "hello")
				if caller != d.Source(peer) {
					t.Errorf("%s: called from %v, seen as %v", bind, d.Source(peer), caller)
				}
				send(t, l, "answer", caller)
				if from := expect(t, d, "answer"); from != peer {
					t.Errorf("answered by %v, want %v", from, peer)
				}
			}
		}
		if a := l.LocalAddr(); bind != "[::]:0" && a.Addr() != addrPort(bind).Addr().Unmap() {
			t.Errorf("%s bound to %v", bind, a)
		}
	}
}

func TestRefused(t *testing.T) {
	l := mustListen(t, "127.0.0.1:0")
	peer := l.LocalAddr()
	l.Close()
	d := mustDial(t, netip.AddrPort{}, peer)
	stop := time.AfterFunc(5*time.Second, func() { d.Close() })
	defer stop.Stop()
	b := make([]byte, 100)
	for range 3 {
		send(t, d, "anybody?", peer)
		if _, from, err := d.ReadPacket(b); err != ErrRefused || from != peer {
			t.Fatalf("from %v: %v, want ErrRefused", from, err)
		}
	}
	// Sent one after the other, none fails for the refusal of the one before
	// but with ErrRefused.
	for range 10 {
		if err := d.WritePacket([]byte("anybody?"), peer); err != nil && err != ErrRefused {
			t.Fatal(err)
		}
	}
	if _, _, err := d.ReadPacket(b); err != ErrRefused {
		t.Fatal(err)
	}
	// Each is told with the address that refused, and none for another's sake.
	other := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), peer.Port())
	for _, to := range []netip.AddrPort{other, peer, other} {
		_ = d.WritePacket([]byte("anybody?"), to)
	}
	told := map[netip.AddrPort]bool{}
	for !told[other] || !told[peer] {
		_, from, err := d.ReadPacket(b)
		if err != ErrRefused || from != peer && from != other {
			t.Fatalf("from %v: %v", from, err)
		}
		told[from] = true
	}
	// And the path still works.
	again, err := Listen(ctx, peer)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	_ = d.WritePacket([]byte("cleared"), peer)
	expect(t, again, "cleared")
}

func TestCloseEndsRead(t *testing.T) {
	l := mustListen(t, "[::]:0")
	d := mustDial(t, netip.AddrPort{}, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(l)))
	for _, p := range []Path{d, l} {
		ended := make(chan error)
		go func() {
			_, _, err := p.ReadPacket(make([]byte, 100))
			ended <- err
		}()
		p.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%T: reading ended with %v", p, err)
		}
		if err := p.WritePacket(nil, addrPort("127.0.0.1:9")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%T: writing: %v", p, err)
		}
	}
}

func only(p Path, _ []netip.AddrPort, err error) (Path, error) { return p, err }

func TestBindError(t *testing.T) {
	taken := mustListen(t, "127.0.0.1:0").LocalAddr()
	for _, test := range []struct {
		name string
		open func() (Path, error)
		hint string
	}{
		{"listen, port in use", func() (Path, error) { return Listen(ctx, taken) }, "another program has port"},
		{"dial, port in use", func() (Path, error) { return only(Dial(ctx, taken, addrPort("127.0.0.1:9"))) }, "another program has port"},
		{"listen, not our address", func() (Path, error) { return Listen(ctx, addrPort("192.0.2.1:0")) }, "no address 192.0.2.1"},
		{"dial, not our address", func() (Path, error) { return only(Dial(ctx, addrPort("192.0.2.1:0"), addrPort("127.0.0.1:9"))) }, "no address 192.0.2.1"},
	} {
		p, err := test.open()
		var bind *BindError
		if p != nil || !errors.As(err, &bind) {
			t.Errorf("%s: %v, %v", test.name, p, err)
			continue
		}
		if !strings.Contains(bind.Hint, test.hint) || !bind.Addr.IsValid() || !strings.Contains(err.Error(), bind.Addr.String()) {
			t.Errorf("%s: %v (%s)", test.name, err, bind.Hint)
		}
	}
}

// Whoever runs the tests may be allowed to use every port.
func TestPrivilegedPort(t *testing.T) {
	denied := &os.SyscallError{Syscall: "bind", Err: syscall.EACCES}
	if e := newBindError(addrPort("[::]:80"), denied); !strings.Contains(e.Hint, "below 1024") || !errors.Is(e, syscall.EACCES) {
		t.Errorf("%v (%s)", e, e.Hint)
	}
	if e := newBindError(addrPort("[::]:5004"), denied); e.Hint != "" {
		t.Errorf("%v (%s)", e, e.Hint)
	}
}

// For the race detector: a listener answers many callers from several
// goroutines while it reads.
func TestConcurrentWrites(t *testing.T) {
	l := mustListen(t, "[::]:0")
	peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(l))
	var wg sync.WaitGroup
	for range 4 {
		d := mustDial(t, netip.AddrPort{}, peer)
		for range 20 {
			send(t, d, "hello", peer)
		}
	}
	b := make([]byte, 100)
	for range 80 {
		_, from, err := l.ReadPacket(b)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := l.WritePacket([]byte("answer"), from); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNoRoute(t *testing.T) {
	for _, test := range [][2]string{
		{"127.0.0.1:0", "[2001:db8::1]:5004"}, // another family
		{"[::1]:0", "127.0.0.1:5004"},
		{"0.0.0.0:0", "0.0.0.0:5004"},
		{"0.0.0.0:0", "224.0.0.1:5004"},
		{"[::]:0", "[ff02::1]:5004"},
		{"0.0.0.0:0", "127.0.0.1:0"},
		{"127.0.0.1:0", "192.0.2.1:5004"}, // loopback leads nowhere else
	} {
		if p, _, err := Dial(ctx, addrPort(test[0]), addrPort(test[1])); p != nil || !errors.Is(err, ErrNoRoute) {
			t.Errorf("%v: %v, %v", test, p, err)
		}
	}
	if _, _, err := Dial(ctx, netip.AddrPort{}, netip.AddrPort{}); !errors.Is(err, ErrNoRoute) {
		t.Error(err)
	}
}

func TestPathAllocs(t *testing.T) {
	for _, bind := range []string{"[::]:0", "127.0.0.1:0"} {
		l := mustListen(t, bind)
		peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(l))
		d := mustDial(t, netip.AddrPort{}, peer)
		packet, b := make([]byte, 182), make([]byte, 1500)
		if n := testing.AllocsPerRun(100, func() { roundTrip(t, d, l, peer, packet, b) }); n != 0 {
			t.Errorf("%s: %v allocations a round trip", bind, n)
		}
	}
}

func roundTrip(t testing.TB, d, l Path, peer netip.AddrPort, packet, b []byte) {
	if err := d.WritePacket(packet, peer); err != nil {
		t.Fatal(err)
	}
	n, from, err := l.ReadPacket(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.WritePacket(b[:n], from); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.ReadPacket(b); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, bind := range []string{"[::]:0", "127.0.0.1:0"} {
		b.Run(bind, func(b *testing.B) {
			l := mustListen(b, bind)
			peer := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(l))
			d := mustDial(b, netip.AddrPort{}, peer)
			packet, buf := make([]byte, 182), make([]byte, 1500)
			b.ReportAllocs()
			for b.Loop() {
				roundTrip(b, d, l, peer, packet, buf)
			}
		})
	}
}

// RFC 8305, Section 4: the families take turns, and nothing is tried twice.
func TestAlternate(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:1 127.0.0.2:1 [::1]:1 [::1]:2": "127.0.0.1:1 [::1]:1 127.0.0.2:1 [::1]:2",
		"[::1]:1 [::1]:2 [::1]:2 127.0.0.1:1":     "[::1]:1 127.0.0.1:1 [::1]:2",
		"[::1]:1 [::1]:2":                         "[::1]:1 [::1]:2",
		"":                                        "",
	} {
		if got := addrs(alternate(parse(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// What there is no route to is left out, and no name has us write to many.
func TestDialReachable(t *testing.T) {
	many := "127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 127.0.0.1:4 127.0.0.1:5 127.0.0.1:6"
	for _, test := range []struct{ from, to, want string }{
		{"127.0.0.1:0", "[2001:db8::1]:1 127.0.0.1:1 192.0.2.1:1 127.0.0.2:1", "127.0.0.1:1 127.0.0.2:1"},
		{"[::]:0", many + " 127.0.0.1:7", many},
	} {
		p, got, err := Dial(ctx, addrPort(test.from), parse(test.to)...)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if addrs(got) != test.want {
			t.Errorf("%s: %v", test.to, got)
		}
	}
}

func parse(list string) (parsed []netip.AddrPort) {
	for s := range strings.FieldsSeq(list) {
		parsed = append(parsed, addrPort(s))
	}
	return parsed
}

func addrs(list []netip.AddrPort) string {
	var text []string
	for _, a := range list {
		text = append(text, a.String())
	}
	return strings.Join(text, " ")
}
