package nat

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// errorQueues: the system keeps ICMP messages for a socket that is not
// connected, each with the address that it is about, and takeError reads them.
const errorQueues = true

// askForErrors has the kernel report ICMP messages about what conn sends
// (IP_RECVERR, ip(7)): the next system call then fails, and the queue says why.
func askForErrors(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
	})
}

// takeError takes the next error of the queue and the address that was written
// to; more is false where the queue is empty.
func takeError(conn *net.UDPConn) (to netip.AddrPort, err error, more bool) {
	raw, rawErr := conn.SyscallConn()
	if rawErr != nil {
		return to, nil, false
	}
	control := make([]byte, 256)
	_ = raw.Control(func(fd uintptr) {
		_, n, _, from, recvErr := syscall.Recvmsg(int(fd), nil, control, syscall.MSG_ERRQUEUE|syscall.MSG_DONTWAIT)
		if recvErr != nil {
			return
		}
		more = true
		to, err = addrOf(from), extendedError(control[:n])
	})
	return to, err, more
}

// extendedError is the number in a struct sock_extended_err; nil: there is none.
func extendedError(control []byte) error {
	messages, _ := syscall.ParseSocketControlMessage(control)
	for _, m := range messages {
		ours := m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_RECVERR ||
			m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_RECVERR
		if ours && len(m.Data) >= 4 {
			return syscall.Errno(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return nil
}

func addrOf(from syscall.Sockaddr) netip.AddrPort {
	switch from := from.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), uint16(from.Port))
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(from.Addr)
		if from.ZoneId != 0 && !addr.Is4In6() {
			addr = addr.WithZone(zoneOf(int(from.ZoneId)))
		}
		return netip.AddrPortFrom(addr, uint16(from.Port))
	}
	return netip.AddrPort{}
}

// zoneOf is what a person knows an interface by, or else its number.
func zoneOf(index int) string {
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
