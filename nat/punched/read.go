package punched

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// read is the only one that reads the socket. It tells apart by the sender what
// a TURN server relays, and by the first byte what is a check.
func (p *Path) read() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := p.path.ReadPacket(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// A refusal that could be anybody's, or an interface that went away.
			select {
			case <-p.life.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		b := buf[:n]
		if r := p.relayAt(from); r != nil && (isSTUN(b) || isChannelData(b)) {
			r.receive(b)
			continue
		}
		if p.conf.RelayOnly {
			continue
		}
		v := p.bases.Load()
		if from.Addr().Is4() {
			p.arrive(v.v4, b, from)
		} else {
			p.arrive(v.v6, b, from)
		}
	}
}

// arrive takes a packet that came from an address, by the socket or by a relay;
// v takes checks there.
func (p *Path) arrive(v *view, b []byte, from netip.AddrPort) {
	if isSTUN(b) {
		if v != nil {
			v.deliver(b, from)
		}
		return
	}
	if slices.Contains(p.admitted.Load()[:], from) {
		p.inbox.put(b)
	}
}

// isChannelData tells by the first byte (RFC 8656, Section 12).
func isChannelData(b []byte) bool { return len(b) >= 4 && b[0] >= 64 && b[0] <= 79 }
