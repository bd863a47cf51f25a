//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package nat

import (
	"net"
	"syscall"
)

// expedited is expedited forwarding, DSCP 46 (RFC 3246), which is what voice is
// marked with (RFC 4594, Section 4.1; RFC 8837, Section 5), in the upper six bits
// of IPv4's TOS and IPv6's traffic class. The lower two, ECN, stay zero.
const expedited = 46 << 2

// expedite marks all that conn sends, in both families: routers on the way may
// let it pass the rest. A refusal costs no more than that, and the one of the
// family that the socket does not have is certain.
func expedite(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, expedited)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, expedited)
	})
}
