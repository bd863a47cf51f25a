package call

import (
	"errors"
	"net"
	"slices"
	"time"

	"securecall/nat"
)

// read is the reader: the only one that reads the path. It opens media itself
// and hands everything else to control, dropping it if control is behind.
func (e *Endpoint) read() {
	for {
		buf := e.free.Get().(*[maxDatagram]byte)
		n, from, err := e.path.ReadPacket(buf[:])
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
		if !e.listens() && !slices.Contains(e.peers, from) {
			e.drops.add(dropStranger)
			e.free.Put(buf)
			continue
		}
		b := buf[:n]
		k := classify(b)
		queue := e.doorstep
		if k == kindRTP || k == kindRTCP {
			if m := (*e.routes.Load())[route{from, ssrcOf(k, b)}]; m != nil {
				if k == kindRTP {
					e.media(now, m, b)
					e.free.Put(buf)
					continue
				}
				queue = e.inbox
			}
		}
		select {
		case queue <- datagram{buf, n, from, k, now}:
		default:
			e.drops.add(dropBehind)
			e.free.Put(buf)
		}
	}
}

// media takes one SRTP packet, and tells control of the first valid one: it
// may stand for a Conf2ACK.
func (e *Endpoint) media(now time.Time, m *media, b []byte) {
	first := m.heard.Load() == 0
	m.receive(now, b)
	if first && m.heard.Load() != 0 {
		e.tell(note{kind: noteHeard, media: m})
	}
}
