package nat

import (
	"net"
	"net/netip"
	"testing"
)

// A socket that somebody else has bound takes calls like our own, and answers from where it
// was called.
func TestPassedSocketListens(t *testing.T) {
	for _, bind := range []string{"127.0.0.1:0", "[::]:0", "0.0.0.0:0"} {
		conn, err := net.ListenPacket("udp", bind)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Passed(conn.(*net.UDPConn))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		if p.LocalAddr().Port() == 0 {
			t.Errorf("%s: bound to %v", bind, p.LocalAddr())
		}
		for _, a := range loopbacks() {
			if a.Is6() && bind != "[::]:0" {
				continue
			}
			d := mustDial(t, addrPort("[::]:0"), netip.AddrPortFrom(a, port(p)))
			send(t, d, "hello", netip.AddrPortFrom(a, port(p)))
			from := expect(t, p, "hello")
			send(t, p, "welcome", from)
			if from := expect(t, d, "welcome"); from != netip.AddrPortFrom(a, port(p)) {
				t.Errorf("%s was called at %v and answered from %v", bind, a, from)
			}
		}
	}
}
