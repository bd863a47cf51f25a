package nat

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	originSets = 512
	originWays = 8

	// A cmsghdr with struct in6_pktinfo: the address, then the interface.
	control6Size  = syscall.SizeofCmsghdr + syscall.SizeofInet6Pktinfo
	interface6Off = syscall.SizeofCmsghdr + 16
	// A cmsghdr with struct in_pktinfo: the interface, then the address to
	// send from, then the address that was called.
	control4Size  = syscall.SizeofCmsghdr + syscall.SizeofInet4Pktinfo
	interface4Off = syscall.SizeofCmsghdr

	controlSize = (control6Size + 7) &^ 7 // with alignment
)

// origins keeps, on a socket bound to an unspecified address, at which of our
// addresses each peer called, and answers from there: a peer behind a connected
// socket, a NAT or a firewall drops an answer from any other address. The
// kernel hands the address in with each datagram as a control message
// (IPV6_PKTINFO, for mapped IPv4 too, or IP_PKTINFO) and takes the very same
// message when sending (ipv6(7), ip(7)).
//
// The last 4096 peers are kept, in sets chosen by a keyed hash, so that a thousand calls
// hardly ever meet in a set that is too small for them. Strangers can push out a peer only
// by flooding, and its next packet brings it back.
type origins struct {
	in [controlSize]byte // the reader's

	seed         maphash.Seed
	interfaceOff int
	size         int // of a control message, without alignment

	mu    sync.Mutex
	clock uint64
	sets  [originSets][originWays]origin
}

// origin is a peer with the control message that answers it.
type origin struct {
	peer    netip.AddrPort
	control [controlSize]byte
	used    uint64 // by origins.clock; 0: empty
	heard   time.Time
}

// originQuiet is how long a peer must have been silent at the address where it
// called before another one of ours is taken for it. A call has a packet every
// 20 ms and a handshake one every 200: whoever merely writes the peer's address
// into a datagram does not turn a call aside.
const originQuiet = time.Second

// newOrigins returns nil if the kernel does not want to tell.
func newOrigins(conn *net.UDPConn, v6 bool) *origins {
	o := &origins{seed: maphash.MakeSeed(), interfaceOff: interface4Off, size: control4Size}
	level, option := syscall.IPPROTO_IP, syscall.IP_PKTINFO
	if v6 {
		o.interfaceOff, o.size = interface6Off, control6Size
		level, option = syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), level, option, 1) }); err != nil || failed != nil {
		return nil
	}
	return o
}

func (o *origins) read(s *socket, b []byte) (int, netip.AddrPort, error) {
	n, controlN, from, err := s.read(b, o.in[:])
	if err == nil && controlN >= o.size {
		// The answer's interface is for routing to choose.
		clear(o.in[o.interfaceOff:][:4])
		o.remember(unmap(from))
	}
	return n, from, err
}

func (o *origins) write(s *socket, b []byte, to netip.AddrPort) error {
	control, known := o.lookUp(to)
	if known {
		if err := s.write(b, control[:o.space()], to); err == nil {
			return nil
		}
		// That address may have gone since, or was a multicast group: let the
		// system choose.
	}
	return s.write(b, nil, to)
}

func (o *origins) space() int { return (o.size + 7) &^ 7 }

// remember makes o.in the control message for peer.
func (o *origins) remember(peer netip.AddrPort) {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	set := o.set(peer)
	slot := &set[0]
	for i := range set {
		if set[i].peer == peer && set[i].used > 0 {
			slot = &set[i]
			if slot.control != o.in && now.Sub(slot.heard) < originQuiet {
				o.clock++
				slot.used = o.clock
				return
			}
			break
		}
		if set[i].used < slot.used {
			slot = &set[i]
		}
	}
	o.clock++
	*slot = origin{peer, o.in, o.clock, now}
}

func (o *origins) lookUp(peer netip.AddrPort) (control [controlSize]byte, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	set := o.set(peer)
	for i := range set {
		if set[i].peer == peer && set[i].used > 0 {
			return set[i].control, true
		}
	}
	return control, false
}

func (o *origins) set(peer netip.AddrPort) *[originWays]origin {
	var key [18]byte
	addr := peer.Addr().As16()
	copy(key[:], addr[:])
	key[16], key[17] = byte(peer.Port()>>8), byte(peer.Port())
	return &o.sets[maphash.Bytes(o.seed, key[:])%originSets]
}
