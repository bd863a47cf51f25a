package nat

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// What a call sends arrives marked as expedited forwarding, DSCP 46, over each
// family, from the one who dials and from the one who listens.
func TestExpedited(t *testing.T) {
	for _, addr := range loopbacks() {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVTOS, 1)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVTCLASS, 1)
		})
		peer := unmap(conn.LocalAddr().(*net.UDPAddr).AddrPort())
		for what, p := range map[string]Path{
			"dial":                  mustDial(t, netip.AddrPort{}, peer),
			"dial from one address": mustDial(t, netip.AddrPortFrom(addr, 0), peer),
			"listen":                mustListen(t, netip.AddrPortFrom(addr, 0).String()),
			"listen, both families": mustListen(t, "[::]:0"),
		} {
			send(t, p, "speech", peer)
			if got := trafficClass(t, conn); got != expedited {
				t.Errorf("%s to %v: traffic class %#x, want %#x", what, peer, got, expedited)
			}
		}
	}
}

// trafficClass reads a datagram and returns its TOS or traffic class; -1: the
// kernel did not tell.
func trafficClass(t *testing.T, conn *net.UDPConn) int {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, control := make([]byte, 100), make([]byte, 100)
	_, n, _, _, err := conn.ReadMsgUDP(b, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := syscall.ParseSocketControlMessage(control[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if m.Header.Type == syscall.IP_TOS || m.Header.Type == syscall.IPV6_TCLASS {
			return int(m.Data[0]) // one octet for IPv4; the first of an int in the machine's order
		}
	}
	return -1
}
