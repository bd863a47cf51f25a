package call

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"securecall/nat"
)

// turnOfReader is how many datagrams the reader takes before it lets others run: where those
// of many calls have piled up, sound that is due would wait for all of them.
const turnOfReader = 32

// read is the reader: the only one that reads the path. It opens media itself
// and hands everything else to control, dropping it if control is behind.
func (e *Endpoint) read() {
	for n := 1; ; n++ {
		if n%turnOfReader == 0 {
			runtime.Gosched()
		}
		buf := e.free.Get().(*[maxDatagram]byte)
		size, from, err := e.path.ReadPacket(buf[:])
		now := time.Now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, nat.ErrRefused):
			e.free.Put(buf)
			if !e.tell(note{kind: noteRefused, from: from}) {
				return
			}
			continue
		case err != nil:
			e.free.Put(buf)
			// Out of memory, or an interface that went away: it may come back.
			select {
			case <-e.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		b := buf[:size]
		k := classify(b)
		queue := e.doorstep
		if k == kindRTP || k == kindRTCP {
			a, stray := e.arrival(from, ssrcOf(k, b))
			switch {
			case stray && !e.strays.take(now):
				e.drops.add(dropStranger)
				e.free.Put(buf)
				continue
			case a.media != nil && k == kindRTP:
				e.media(now, a, from, b)
				e.free.Put(buf)
				continue
			case a.media != nil:
				queue = e.inbox
			}
		}
		if queue == e.doorstep && !e.listens() && !slices.Contains(e.peers, from) {
			e.drops.add(dropStranger)
			e.free.Put(buf)
			continue
		}
		select {
		case queue <- datagram{buf, size, from, k, now}:
		default:
			e.drops.add(dropBehind)
			e.free.Put(buf)
		}
	}
}

// arrival is whose media a packet may be: by the address that it came from or
// else, stray, by its SSRC alone.
func (e *Endpoint) arrival(from netip.AddrPort, ssrc uint32) (a arrival, stray bool) {
	known := e.routes.Load()
	a, ok := known.at[route{from, ssrc}]
	if !ok {
		a.media = known.of[ssrc]
	}
	return a, !ok && a.media != nil
}

// media takes one SRTP packet, and tells control of the first valid one, which
// may stand for a Conf2ACK, and of those that the peer has sent from elsewhere.
func (e *Endpoint) media(now time.Time, a arrival, from netip.AddrPort, b []byte) {
	m := a.media
	first := m.heard.Load() == 0
	is := m.receive(now, b)
	if a.place != nil && is != refused {
		a.place.came(now.Sub(m.begun), len(b))
	}
	if !a.here && is == fresh {
		e.mention(note{kind: noteElsewhere, media: m, from: from, size: len(b)})
	}
	if first && m.heard.Load() != 0 {
		e.tell(note{kind: noteHeard, media: m})
	}
	if is != refused && m.pressed.waiting.Load() {
		e.mention(note{kind: noteKeys, media: m})
	}
}
