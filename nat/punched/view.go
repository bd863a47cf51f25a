package punched

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A carrier takes a packet to an address: the socket, or a relay. It does not
// wait.
type carrier interface {
	send(b []byte, to netip.AddrPort) error
}

// The types of STUN message that ICE has (RFC 8445, Section 2.2). Indications
// are not among them: nobody authenticates them, yet the library takes them as
// a sign of life.
const (
	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	bindingError   = 0x0111
)

const (
	stunHeader     = 20
	maxCheck       = 1280 // bytes of a check, at most; the library's have 100 to 130
	checksWaiting  = 64
	openChecks     = 512 // transactions of which an answer is waited for
	maxCheckedAddr = 32  // that one view sends checks to
)

// A view is what the ICE agent has for a local candidate: a socket that carries
// nothing but the checks of one session. Closing it closes nothing else, so that
// a restart leaves sockets and relays as they are.
type view struct {
	carrier carrier
	local   net.Addr
	signed  func(answer []byte) bool                       // by the peer
	unheard func(request []byte, from netip.AddrPort) bool // not yet to be answered

	in        chan check
	closed    chan struct{}
	closeOnce sync.Once

	mu      sync.Mutex
	open    [openChecks][12]byte // transaction numbers
	next    int
	targets map[netip.AddrPort]*target
}

type check struct {
	b    []byte
	from netip.AddrPort
}

// A target is an address that checks are sent to.
type target struct{ first, last time.Time }

func newView(c carrier, local netip.AddrPort, signed func(answer []byte) bool, unheard func([]byte, netip.AddrPort) bool) *view {
	return &view{
		carrier: c,
		local:   net.UDPAddrFromAddrPort(local),
		signed:  signed,
		unheard: unheard,
		in:      make(chan check, checksWaiting),
		closed:  make(chan struct{}),
		targets: make(map[netip.AddrPort]*target),
	}
}

// isSTUN tells by the first byte (RFC 7983, Section 7).
func isSTUN(b []byte) bool { return len(b) >= stunHeader && b[0] <= 3 }

// deliver hands a check to the agent, or drops what cannot be one: what is no
// check, and answers to what was not asked. The latter matter to the agent only
// as signs of life, which must not be had by repeating an old answer (RFC 7675,
// Section 5.1: consent is an answer to a request). An answer without the peer's
// password leaves the question open: who sees checks could else be first with one
// to each, and so end a call for want of consent.
func (v *view) deliver(b []byte, from netip.AddrPort) {
	if len(b) > maxCheck {
		return
	}
	switch binary.BigEndian.Uint16(b) {
	case bindingRequest:
		if v.unheard(b, from) {
			return
		}
		v.hurry(from)
	case bindingSuccess, bindingError:
		if !v.answers([12]byte(b[8:]), b) {
			return
		}
	default:
		return
	}
	select {
	case v.in <- check{append([]byte(nil), b...), from}:
	default: // as a socket would: there is a next one
	}
}

// answers takes the one answer to a request of ours.
func (v *view) answers(id [12]byte, b []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.open {
		if v.open[i] == id && id != [12]byte{} && v.signed(b) {
			v.open[i] = [12]byte{}
			return true
		}
	}
	return false
}

// pace decides whether a request goes out now. The agent repeats each check at
// checkInterval as long as there is no pair, whoever the address belongs to: it
// came from the peer, and may be a victim's. So the checks of one address thin
// out, and only so many addresses are checked. A nomination goes to an address
// that has answered, and does not wait.
func (v *view) pace(id [12]byte, to netip.AddrPort, nominates bool, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.targets[to]
	if t == nil {
		if len(v.targets) >= maxCheckedAddr {
			return false
		}
		t = &target{first: now}
		v.targets[to] = t
	}
	gap := checkInterval / 2
	switch age := now.Sub(t.first); {
	case age > 5*time.Second:
		gap = 500 * time.Millisecond
	case age > time.Second:
		gap = 100 * time.Millisecond
	}
	if !nominates && !t.last.IsZero() && now.Sub(t.last) < gap {
		return false
	}
	t.last = now
	v.open[v.next] = id
	v.next = (v.next + 1) % openChecks
	return true
}

// hurry lets the next check of an address out at once: it may be the one that a
// request from there triggers (RFC 8445, Section 7.3.1.4), before which our hole
// was not there.
func (v *view) hurry(to netip.AddrPort) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.targets[to]; t != nil {
		t.last = time.Time{}
	}
}

// hasUseCandidate looks for USE-CANDIDATE (RFC 8445, Section 16.1).
func hasUseCandidate(b []byte) bool {
	for b = b[stunHeader:]; len(b) >= 4; {
		if binary.BigEndian.Uint16(b) == 0x0025 {
			return true
		}
		size := 4 + (int(binary.BigEndian.Uint16(b[2:]))+3)&^3
		if size > len(b) {
			return false
		}
		b = b[size:]
	}
	return false
}

// The rest is a net.PacketConn with the library's AddrPortReaderWriter.

func (v *view) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case c := <-v.in:
		return copy(b, c.b), c.from, nil
	case <-v.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (v *view) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	to = unmap(to)
	if isSTUN(b) && binary.BigEndian.Uint16(b) == bindingRequest && !v.pace([12]byte(b[8:]), to, hasUseCandidate(b), time.Now()) {
		return len(b), nil
	}
	// What cannot be sent is a check without an answer.
	_ = v.carrier.send(b, to)
	return len(b), nil
}

func (v *view) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := v.ReadFromAddrPort(b)
	return n, net.UDPAddrFromAddrPort(from), err
}

func (v *view) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, net.InvalidAddrError("not a UDP address")
	}
	return v.WriteToAddrPort(b, udp.AddrPort())
}

func (v *view) Close() error {
	v.closeOnce.Do(func() { close(v.closed) })
	return nil
}

func (v *view) LocalAddr() net.Addr              { return v.local }
func (v *view) SetDeadline(time.Time) error      { return nil }
func (v *view) SetReadDeadline(time.Time) error  { return nil }
func (v *view) SetWriteDeadline(time.Time) error { return nil }
