package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"securecall/crypto/zrtp/wire"
	"securecall/nat"
)

// Endpoint drives the calls of one path: one for a dialler, many for a
// listener. Its goroutines are the reader (read), control (Run itself) and,
// for each call that was answered, capture and playout (sound.go).
type Endpoint struct {
	conf     Config
	path     nat.Path
	peer     netip.AddrPort // of a dialler; not valid: a listener
	name     string
	addrs    []netip.AddrPort
	commands chan order
	inbox    chan datagram // what control must handle, of calls that have keys
	doorstep chan datagram // the same, of everybody else
	notes    chan note
	done     chan struct{} // closed when control ends
	free     sync.Pool     // of *[maxDatagram]byte

	// routes is read by the reader for each packet and replaced by control.
	routes atomic.Pointer[map[route]*media]
	drops  drops

	// Owned by control.
	zid     wire.ZID
	calls   []*running
	slot    *running // the one call that was admitted
	lastID  int
	refused bool
	last    *Ended // of the last admitted call
	goros   sync.WaitGroup
}

// A route is whose media a datagram is.
type route struct {
	remote netip.AddrPort
	ssrc   uint32
}

type datagram struct {
	buf  *[maxDatagram]byte
	n    int
	from netip.AddrPort
	kind kind
	at   time.Time
}

type order struct {
	id      int
	command Command
}

// NewDialer prepares a call to peer; name is what the caller typed.
func NewDialer(c Config, path nat.Path, peer netip.AddrPort, name string) (*Endpoint, error) {
	e, err := newEndpoint(c, path)
	if err != nil {
		return nil, err
	}
	e.peer, e.name = peer, name
	return e, nil
}

// NewListener prepares to take calls; addrs are shown as what to dial.
func NewListener(c Config, path nat.Path, addrs []netip.AddrPort) (*Endpoint, error) {
	e, err := newEndpoint(c, path)
	if err != nil {
		return nil, err
	}
	e.addrs = addrs
	limit := bucket{rate: finiteFieldRate}
	e.conf.allowFiniteField = limit.take
	return e, nil
}

func newEndpoint(c Config, path nat.Path) (*Endpoint, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		conf:     c,
		path:     path,
		commands: make(chan order, 16),
		inbox:    make(chan datagram, 256),
		doorstep: make(chan datagram, 256),
		notes:    make(chan note, 16),
		done:     make(chan struct{}),
	}
	e.free.New = func() any { return new([maxDatagram]byte) }
	e.routes.Store(&map[route]*media{})
	// A fresh ZID for each run: nothing is remembered yet that it could name
	// (RFC 6189, Section 4.9).
	if _, err := io.ReadFull(c.Rand, e.zid[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return e, nil
}

// Do carries out c for the call numbered id; 0 means the one that rings or
// runs. It may be called from any goroutine and does not wait; what makes no
// sense at this moment is ignored.
func (e *Endpoint) Do(id int, c Command) {
	select {
	case e.commands <- order{id, c}:
	default: // sixteen unheard commands: a person leaning on a key
	}
}

// Run drives the endpoint until its last call has ended (dialler, or listener
// with Once) or ctx is cancelled, which hangs up properly. It returns the
// last call's Ended; a listener that was stopped while it waited returns
// ReasonNormal, with Once and no call yet ReasonInterrupted. Run closes the
// path and everything that it opened, and returns when all its goroutines
// have ended.
func (e *Endpoint) Run(ctx context.Context) Ended {
	defer e.goros.Wait()
	defer e.path.Close()
	defer close(e.done)

	if e.peer.IsValid() {
		if err := e.dial(time.Now()); err != nil {
			ended := Ended{Reason: reasonOf(err), Err: err}
			e.conf.OnEvent(1, ended)
			return ended
		}
	} else {
		e.conf.OnEvent(0, Listening{Addrs: e.addrs})
	}
	e.goros.Go(e.read)
	return e.control(ctx)
}

// dial opens the sound, so that a missing microphone is known before anybody
// is called, and sends the first Hello.
func (e *Endpoint) dial(now time.Time) error {
	ends, err := openEnds(&e.conf)
	if err != nil {
		return err
	}
	c, err := newCore(&e.conf, e.zid, e.path.LocalAddr(), e.peer, true)
	if err != nil {
		ends.close()
		return err
	}
	r := &running{core: c, ends: ends}
	e.number(r)
	e.calls, e.slot = []*running{r}, r
	c.tell(Dialing{Peer: e.name, Addr: e.peer})
	c.start(now)
	e.settle(time.Now(), r)
	return nil
}

// number gives a call its number, from which on its events are told.
func (e *Endpoint) number(r *running) {
	e.lastID++
	r.core.id = e.lastID
}

// control is the loop that owns every call's control half.
func (e *Endpoint) control(ctx context.Context) Ended {
	cancelled := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if ended, over := e.over(cancelled == nil); over {
			return ended
		}
		timer.Reset(time.Until(e.deadline()))
		// Calls that have keys come before strangers, however many these are.
		select {
		case d := <-e.inbox:
			e.take(d)
			continue
		default:
		}
		select {
		case <-cancelled:
			cancelled = nil
			now := time.Now()
			for _, r := range e.calls {
				r.core.hangup(now, ReasonInterrupted)
				e.settle(now, r)
			}
		case d := <-e.inbox:
			e.take(d)
		case d := <-e.doorstep:
			e.take(d)
		case n := <-e.notes:
			e.heed(time.Now(), n)
		case o := <-e.commands:
			e.obey(time.Now(), o)
		case <-timer.C:
			now := time.Now()
			for _, r := range e.calls {
				if d := r.core.Deadline(); !d.IsZero() && !now.Before(d) {
					r.core.Tick(now)
					e.settle(now, r)
				}
			}
		}
		e.sweep()
	}
}

// over tells whether Run may return, and with what.
func (e *Endpoint) over(stopped bool) (Ended, bool) {
	dialler := e.peer.IsValid()
	switch {
	case e.last != nil && (dialler || e.conf.Once):
		// Calls that were told busy are cut short here: their BYE went out once.
		return *e.last, e.slot == nil
	case stopped && len(e.calls) == 0:
		if e.last != nil {
			return *e.last, true
		}
		if e.conf.Once {
			return Ended{Reason: ReasonInterrupted}, true
		}
		return Ended{Reason: ReasonNormal}, true
	}
	return Ended{}, false
}

// deadline is when the next call wants its Tick.
func (e *Endpoint) deadline() time.Time {
	var next time.Time
	for _, r := range e.calls {
		next = earlier(next, r.core.Deadline())
	}
	if next.IsZero() {
		return time.Now().Add(time.Hour)
	}
	return next
}

// take handles one datagram that is not the media of a call.
func (e *Endpoint) take(d datagram) {
	defer e.free.Put(d.buf)
	b := d.buf[:d.n]
	r := e.find(d.kind, d.from, b)
	if r == nil {
		if r = e.greet(d, b); r == nil {
			return
		}
	}
	r.core.Receive(d.at, d.kind, b)
	e.settle(time.Now(), r)
}

// find is the call that a datagram belongs to: by address, then by SSRC, the
// peer's as its Hello named it or our own (a reflection, for ZRTP to judge).
// A dialler has one call, and all that its peer sends belongs to it.
func (e *Endpoint) find(k kind, from netip.AddrPort, b []byte) *running {
	for _, r := range e.calls {
		c := r.core
		if c.remote != from {
			continue
		}
		if c.caller || k == kindOther || k == kindSTUN {
			return r
		}
		if ssrc := ssrcOf(k, b); ssrc == c.peerSSRC || ssrc == c.ssrc {
			return r
		}
	}
	return nil
}

// settle does what follows from a step of a call: packets and events go out,
// sound begins or ends.
func (e *Endpoint) settle(now time.Time, r *running) {
	c := r.core
	for {
		b, ok := c.NextPacket()
		if !ok {
			break
		}
		if err := e.path.WritePacket(b, c.remote); err != nil && !errors.Is(err, nat.ErrRefused) {
			c.drops.add(dropUnsent)
		}
	}
	if c.media != nil && !r.routed {
		r.routed = true
		e.reroute()
	}
	for {
		ev, ok := c.NextEvent()
		if !ok {
			break
		}
		if c.id != 0 { // a stranger's half-open exchange is nobody's news
			e.conf.OnEvent(c.id, ev)
		}
		if _, ok := ev.(Incoming); ok && e.conf.AcceptAll {
			e.open(r)
		}
	}
	switch {
	case c.phase == talking && !r.sounding:
		e.sound(r)
	case c.phase >= leaving:
		e.hush(r)
	}
}

// admit gives the listener's one slot to a call that has just been secured.
func (e *Endpoint) admit(r *running) bool {
	if e.slot != nil || e.conf.Once && e.last != nil {
		return false
	}
	e.slot = r
	e.number(r)
	return true
}

// sweep forgets the calls that have ended.
func (e *Endpoint) sweep() {
	kept := e.calls[:0]
	for _, r := range e.calls {
		if r.core.phase != ended || r.busy() {
			kept = append(kept, r)
			continue
		}
		r.core.close()
		if r == e.slot {
			e.slot, e.last = nil, &r.core.result
			e.conf.OnEvent(r.core.id, r.core.result)
		}
	}
	changed := len(kept) != len(e.calls)
	clear(e.calls[len(kept):])
	e.calls = kept
	if changed {
		e.reroute()
	}
}

// reroute tells the reader whose media it may open.
func (e *Endpoint) reroute() {
	routes := make(map[route]*media)
	for _, r := range e.calls {
		if m := r.core.media; m != nil && r.core.phase != ended {
			routes[route{r.core.remote, r.core.peerSSRC}] = m
		}
	}
	e.routes.Store(&routes)
}

// obey carries out a person's command.
func (e *Endpoint) obey(now time.Time, o order) {
	r := e.slot
	if r == nil || o.id != 0 && o.id != r.core.id {
		return
	}
	c := r.core
	switch o.command {
	case Answer:
		if c.phase == ringing && !c.caller {
			e.open(r)
		}
	case Decline:
		c.decline(now)
	case Hangup:
		c.hangup(now, ReasonInterrupted)
	case Mute, Unmute:
		on := o.command == Mute
		if c.media != nil && c.phase == talking && c.media.muted.Swap(on) != on {
			c.tell(Muted{On: on})
		}
	}
	e.settle(now, r)
}

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
			if !e.tell(note{kind: noteRefused}) {
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
		if e.peer.IsValid() && from != e.peer {
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
