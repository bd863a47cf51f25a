package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
)

func udp(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func tcp(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// both are sockets of UDP and TCP at one port, which is free for both only where neither has it.
func both(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		l := tcp(t, "127.0.0.1:0")
		if u, err := net.ListenPacket("udp4", l.Addr().String()); err == nil {
			t.Cleanup(func() { _ = u.Close() })
			return u, l
		}
	}
	t.Fatal("there is no port that is free for UDP and TCP")
	return nil, nil
}

// A relay works at sockets that somebody else has opened as at its own, whatever Bind says.
func TestPassedSockets(t *testing.T) {
	u, l := both(t)
	s, _ := start(t, func(settings *Settings) {
		settings.Bind = netip.MustParseAddrPort("192.0.2.77:1")
		settings.Packets, settings.Listeners = []net.PacketConn{u}, []net.Listener{l}
	})
	if want := addrPort(u.LocalAddr()).Port(); s.Port() != want {
		t.Fatalf("port %d, want %d", s.Port(), want)
	}
	for _, network := range []string{"udp", "tcp"} {
		relayed, err := allocate(t, s, network)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		p := peer(t)
		_, _ = relayed.WriteTo([]byte(early), p.LocalAddr())
		pass(t, relayed, p, "there")
		pass(t, p, relayed, "and back")
	}
}

// One port for all of them, one of UDP for each family, and UDP at all.
func TestPassedSocketsThatDoNotGoTogether(t *testing.T) {
	one := udp(t, "udp4", "127.0.0.1:0")
	for what, settings := range map[string]Settings{
		"no UDP":          {Listeners: []net.Listener{tcp(t, "127.0.0.1:0")}},
		"two ports":       {Packets: []net.PacketConn{one}, Listeners: []net.Listener{tcp(t, "127.0.0.1:0")}},
		"two of a family": {Packets: []net.PacketConn{one, udp(t, "udp4", fmt.Sprintf("127.0.0.2:%d", addrPort(one.LocalAddr()).Port()))}},
	} {
		settings.Limits = DefaultLimits()
		if _, err := Start(t.Context(), settings); !errors.Is(err, ErrPassed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Where the relay's own sockets are bound follows from those that were passed.
func TestFamiliesOfPassedSockets(t *testing.T) {
	any4, any6, one4 := netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		networks []string // of sockets, with the address
		want     []family
	}{
		{[]string{"udp4 127.0.0.1:0"}, []family{{"4", one4}}},
		{[]string{"udp4 0.0.0.0:0"}, []family{{"4", any4}}},
		{[]string{"udp [::]:0"}, []family{{"4", any4}, {"6", any6}}},
		{[]string{"udp6 [::]:0", "udp4 127.0.0.1:0"}, []family{{"4", one4}, {"6", any6}}},
	} {
		s := &Server{}
		for _, n := range c.networks {
			var network, address string
			if _, err := fmt.Sscan(n, &network, &address); err != nil {
				t.Fatal(err)
			}
			s.Packets = append(s.Packets, udp(t, network, address))
		}
		if got := s.families(); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.networks, got, c.want)
		}
	}
}
