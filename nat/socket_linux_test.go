//go:build linux && (amd64 || arm64 || arm || riscv64 || loong64)

package nat

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// What is written as a struct sockaddr is read as the same address, and package
// net's sockets take it for it.
func TestSockaddr(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr string
		v6   bool
		want string
	}{
		{"192.0.2.1:5004", false, "192.0.2.1:5004"},
		{"192.0.2.1:65535", true, "[::ffff:192.0.2.1]:65535"},
		{"[2001:db8::1]:1", true, "[2001:db8::1]:1"},
		{"[fe80::1%" + lo.Name + "]:5004", true, "[fe80::1%" + lo.Name + "]:5004"},
		{"[fe80::1%1]:5004", true, "[fe80::1%" + lo.Name + "]:5004"},
	} {
		var out, in datagram
		n, err := out.setAddress(addrPort(c.addr), c.v6)
		if err != nil || c.v6 != (n == syscall.SizeofSockaddrInet6) {
			t.Errorf("%s: %d octets, %v", c.addr, n, err)
		}
		in.name = out.name
		if got := in.address(); got != addrPort(c.want) {
			t.Errorf("%s is read as %v", c.addr, got)
		}
	}
	var d datagram
	if _, err := d.setAddress(addrPort("[2001:db8::1]:1"), false); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("IPv6 through an IPv4 socket: %v", err)
	}
	if n, err := d.setAddress(netip.AddrPort{}, true); n != 0 || err != nil {
		t.Errorf("no address: %d octets, %v", n, err)
	}
	if got := new(datagram).address(); got.IsValid() {
		t.Errorf("no address is read as %v", got)
	}
}
