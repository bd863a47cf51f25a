package call

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"securecall/nat"
)

// control is the loop that owns every call's control half.
func (e *Endpoint) control(ctx context.Context) Ended {
	cancelled := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var routes <-chan PathChanged
	if r, ok := e.path.(Router); ok {
		routes = r.Routes()
		select {
		case way := <-routes: // before anybody is told where the peer is
			e.rerouted(way)
		default:
		}
	}
	for {
		if ended, over := e.over(); over {
			return ended
		}
		timer.Reset(time.Until(e.deadline()))
		// Calls that have keys come before strangers, however many these are.
		strangers := e.doorstep
		if len(e.inbox) > 0 {
			strangers = nil
		}
		select {
		case <-cancelled:
			cancelled, e.stopping = nil, true
			now := time.Now()
			for _, r := range e.calls {
				r.core.hangup(now, ReasonInterrupted)
				e.settle(now, r)
			}
		case d := <-e.inbox:
			e.take(d)
		case d := <-strangers:
			e.take(d)
		case n := <-e.notes:
			e.heed(time.Now(), n)
		case o := <-e.commands:
			e.obey(time.Now(), o)
		case way := <-routes:
			e.rerouted(way)
		case <-timer.C:
			now := time.Now()
			for at := e.schedule.next(); !at.IsZero() && !now.Before(at); at = e.schedule.next() {
				r := e.schedule[0]
				r.core.Tick(now)
				e.settle(now, r)
				if !now.Before(r.due) { // what it waits for is not a matter of time
					break
				}
			}
		}
		if e.endings {
			e.sweep()
		}
	}
}

func (e *Endpoint) rerouted(way PathChanged) {
	for _, r := range e.calls {
		r.core.rerouted(way)
		e.settle(time.Now(), r)
	}
}

// over tells whether Run may return, and with what.
func (e *Endpoint) over() (Ended, bool) {
	switch {
	case e.last != nil && (!e.listens() || e.conf.Once):
		// Calls that were told busy are cut short here: their BYE went out once.
		return *e.last, true
	case !e.stopping || len(e.calls) > 0:
		return Ended{}, false
	case e.conf.Once:
		return Ended{Reason: ReasonInterrupted}, true
	}
	return Ended{Reason: ReasonNormal}, true
}

// deadline is when the next call wants its Tick.
func (e *Endpoint) deadline() time.Time {
	if next := e.schedule.next(); !next.IsZero() {
		return next
	}
	return time.Now().Add(time.Hour)
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
	r.core.Receive(d.at, d.kind, d.from, b)
	e.settle(time.Now(), r)
}

// find is the call that a datagram belongs to: by address, then by SSRC, the
// peer's as its Hello named it or our own (a reflection, for ZRTP to judge). For
// SRTCP of a call that follows its peer the SSRC is enough; the reader has seen to
// it that these are not many.
// A dialler has one call, and all that its peer sends belongs to it.
func (e *Endpoint) find(k kind, from netip.AddrPort, b []byte) *running {
	if k == kindZRTP || k == kindRTCP { // nearly always
		if r := e.index[route{from, ssrcOf(k, b)}]; r != nil && r.core.hears(from) && r.core.peerSSRC == ssrcOf(k, b) {
			return r
		}
	}
	for _, r := range e.calls {
		c := r.core
		if k == kindRTCP && c.follows() && ssrcOf(k, b) == c.peerSSRC {
			return r
		}
		if !c.hears(from) {
			continue
		}
		if c.caller || c.met || k == kindOther || k == kindSTUN {
			return r
		}
		if ssrc := ssrcOf(k, b); ssrc == c.peerSSRC || ssrc == c.ssrc {
			return r
		}
	}
	return nil
}

// locate has r found by what comes from an address, under the SSRC that its peer's
// Hello named.
func (e *Endpoint) locate(r *running, from netip.AddrPort) {
	e.lose(r)
	r.way = route{from, r.core.peerSSRC}
	e.index[r.way] = r
}

func (e *Endpoint) lose(r *running) {
	if e.index[r.way] == r {
		delete(e.index, r.way)
	}
}

// settle does what follows from a step of a call: packets and events go out,
// sound begins or ends.
func (e *Endpoint) settle(now time.Time, r *running) {
	c := r.core
	// Before our Conf2ACK goes out: the first SRTP may be its answer.
	if c.media != nil && !r.routed || c.roam.turned {
		r.routed, c.roam.turned = true, false
		e.reroute()
	}
	for {
		b, to, ok := c.NextPacket()
		if !ok {
			break
		}
		if err := e.path.WritePacket(b, to); err != nil && !errors.Is(err, nat.ErrRefused) {
			c.drops.add(dropUnsent)
		}
	}
	for {
		ev, ok := c.NextEvent()
		if !ok {
			break
		}
		if c.id != 0 { // a stranger's half-open exchange is nobody's news
			e.conf.OnEvent(c.id, ev)
		}
		if _, ok := ev.(Incoming); ok && c.conf.AcceptAll {
			e.open(r)
		}
	}
	e.note(r)
	e.tape(r)
	switch {
	case c.phase == talking && !r.sounding:
		e.sound(r)
	case c.phase >= leaving:
		e.hush(r)
	}
	e.schedule.set(r, c.Deadline())
	e.endings = e.endings || c.phase == ended && !r.busy()
}

// admit makes a call that has just been secured one of the listener's, if there
// may be one more.
func (e *Endpoint) admit(r *running) bool {
	limit := e.next.MaxCalls
	if e.conf.Once {
		limit = 1
	}
	now := time.Now()
	if len(e.admitted) >= limit || e.conf.Once && e.last != nil {
		switch {
		case e.next.MaxCalls > 1 && e.full.due(now):
			e.conf.OnEvent(0, Fault{Err: fmt.Errorf("all %d calls are taken: a caller was told busy", limit), Hint: "a larger --max-calls takes more"})
		case e.next.MaxCalls <= 1 && len(e.admitted) > 0 && e.full.due(now):
			e.conf.OnEvent(0, Fault{Err: &BusyError{r.core.who()}})
		}
		return false
	}
	if !e.slowAt.IsZero() && now.Sub(e.slowAt) < recovery {
		return false
	}
	e.admitted = append(e.admitted, r)
	e.number(r)
	return true
}

// call is the admitted call of that number; 0: the latest. nil: there is none.
func (e *Endpoint) call(id int) *running {
	for _, r := range slices.Backward(e.admitted) {
		if id == 0 || r.core.id == id {
			return r
		}
	}
	return nil
}

// sweep forgets the calls that have ended.
func (e *Endpoint) sweep() {
	e.endings = false
	kept := e.calls[:0]
	for _, r := range e.calls {
		if r.core.phase != ended || r.busy() {
			kept = append(kept, r)
			continue
		}
		r.core.close()
		e.schedule.forget(r)
		e.lose(r)
		if s := e.sounding.Load(); s != nil && s.media == r.core.media {
			e.sounding.Store(nil)
		}
		if i := slices.Index(e.admitted, r); i >= 0 {
			e.admitted, e.last = slices.Delete(e.admitted, i, i+1), &r.core.result
			if e.next.MaxCalls <= 1 {
				e.full = notice{} // whom the next one keeps waiting is told anew
			}
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
	known := routes{at: make(map[route]arrival), of: make(map[uint32]*media)}
	for _, r := range e.calls {
		c := r.core
		if c.media == nil || c.phase == ended {
			continue
		}
		if last := c.roam.last; last != nil {
			known.at[route{last.addr, c.peerSSRC}] = arrival{c.media, last, false}
		}
		here := c.here()
		known.at[route{here.addr, c.peerSSRC}] = arrival{c.media, here, true}
		e.locate(r, here.addr)
		if c.follows() {
			known.of[c.peerSSRC] = c.media
		}
	}
	e.routes.Store(&known)
}

// obey carries out a person's command.
func (e *Endpoint) obey(now time.Time, o order) {
	if o.conf != nil {
		e.configure(o.conf)
		return
	}
	r := e.call(o.id)
	if r == nil {
		if o.reply != nil {
			o.reply <- Comparison{}
		}
		if o.told != nil {
			o.told <- ErrNoCall
		}
		return
	}
	c := r.core
	if o.reply != nil {
		o.reply <- c.compare(now, o.how, o.typed)
		e.settle(now, r)
		return
	}
	if o.told != nil {
		o.told <- o.act(now, c)
		e.settle(now, r)
		return
	}
	switch o.command {
	case Answer:
		if c.phase == ringing && !c.caller {
			e.open(r)
		}
	case Decline:
		c.decline(now)
	case Busy:
		c.busy(now)
	case Hangup:
		c.hangup(now, ReasonInterrupted)
	case Mute, Unmute:
		on := o.command == Mute
		if c.media != nil && c.phase == talking && c.media.muted.Swap(on) != on {
			c.tell(Muted{On: on})
		}
	case Hold, Unhold:
		on := o.command == Hold
		if c.media != nil && c.phase == talking && c.media.held.Swap(on) != on {
			c.tell(Held{On: on})
		}
	case Record:
		c.record()
	case EndRecord:
		c.endRecording(now, nil)
	case BeginVerify, EndVerify:
		c.setVerifying(o.command == BeginVerify)
	case AcceptRisk:
		c.acceptRisk()
	}
	e.settle(now, r)
}
