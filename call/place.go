package call

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// A place is an address of the peer: where it is, was, or may be. Control makes
// places, the reader notes what comes from them, and capture asks whether it may
// send.
type place struct {
	addr netip.AddrPort

	// proven: the peer has shown that it hears us there. Until then at most three
	// times as many bytes are sent there as came (RFC 9000, Section 8.1): whoever
	// writes somebody else's address into a datagram has him flooded no more than
	// that.
	proven         atomic.Bool
	received, sent atomic.Int64

	heard atomic.Int64 // when a packet of the peer's last came from there: ns since media.begun
}

func provenPlace(addr netip.AddrPort) *place {
	p := &place{addr: addr}
	p.proven.Store(true)
	return p
}

// takes tells whether n more bytes may be sent there, and counts them.
func (p *place) takes(n int) bool {
	if p.proven.Load() {
		return true
	}
	if p.sent.Add(int64(n)) > 3*p.received.Load() {
		p.sent.Add(int64(-n))
		return false
	}
	return true
}

// came notes n bytes of a packet of the peer's from there.
func (p *place) came(since time.Duration, n int) {
	p.heard.Store(max(1, int64(since)))
	if !p.proven.Load() {
		p.received.Add(int64(n))
	}
}

// routes is what the reader knows of calls that have keys. It is not changed.
type routes struct {
	at map[route]arrival
	of map[uint32]*media // by the peer's SSRC: of calls that follow it to other addresses
}

// A route is whose media a datagram is.
type route struct {
	remote netip.AddrPort
	ssrc   uint32
}

// An arrival is what comes by a route: of a call, from the place where its peer
// is (here) or from where it was before that.
type arrival struct {
	media *media
	place *place
	here  bool
}

// newness is what a packet is to a stream.
type newness int

const (
	refused  newness = iota
	repeated         // the peer's, opened before: the network, or somebody, has sent it again
	late             // the peer's, and older than the newest
	fresh            // the peer's, and newer than all before
)

// strayRate and strayBurst are how many packets from addresses that nobody is
// known to be at are tried with a call's keys, in a second: 2 µs each. A peer
// that has moved sends 50 a second, and one is enough.
const strayRate, strayBurst = 1000, 250
