package meet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"securecall/nat"
	"securecall/nat/punched"
	"securecall/nat/rendezvous"
)

// Two who are in a call find each other again when one of them goes to another
// network. Both wait at the meeting point, under a name each that only they know, made
// from what they had when they met. Who has moved, or hears nothing any more, joins the
// other's name; they say fresh numbers to each other, from which the keys of this one
// talk are made, and then where they are now. ICE restarts (RFC 8445, Section 9), on each
// side once it has opened something of the other's: before that the meeting point could
// have sent it. The old way is kept until there is a new one.
//
//	joins                          waits
//	  |---- 32 random octets -------->|
//	  |<--- 32 random octets ---------|
//	  |---- knock ------------------->|  sealed from here on
//	  |<--- where I am now -----------|
//	  |---- where I am now ---------->|
//	  |<--- more candidates --------->|
const (
	kindRestart = 3 // a description, of a new ICE session
	kindKnock   = 4

	lookEvery  = 250 * time.Millisecond // whether anything is heard
	quietMoved = 2                      // looks at nothing, after which it matters that we have moved
	quietLost  = 3                      // after which the way is lost
	flowing    = 100                    // packets after which that means something: while it rings few are sent
	againTime  = 5 * time.Second        // for one attempt to meet again
	oldTime    = 500 * time.Millisecond // for a connection that may be as lost as the way
	retryEvery = 2 * time.Second
)

// shared is what both have for it.
func (f *follower) shared() shared { return shared{f.link.again, "securecall meet again 1: "} }

// A follower is one side of that. One goroutine, that of run, owns it.
type follower struct {
	*link
	server *rendezvous.Client       // nil: not connected
	joined chan *rendezvous.Session // somebody has joined our name
	lost   chan *rendezvous.Client  // this connection has ended

	addrs []netip.AddrPort // ours, when something was heard last
	heard uint64           // packets
	quiet int              // looks at nothing
	moved bool             // since then
	next  time.Time        // not before this is anything tried again
}

func newFollower(l *link, c *rendezvous.Client) *follower {
	return &follower{
		link: l, server: c,
		joined: make(chan *rendezvous.Session), lost: make(chan *rendezvous.Client),
		addrs: nat.LocalAddrs(l.way.LocalAddr()),
	}
}

// run ends with the call.
func (f *follower) run() {
	defer func() {
		f.leave()
		f.workers.Wait()
		f.forget()
	}()
	if f.server != nil {
		f.attend()
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.life.Done():
			return
		case s := <-f.joined:
			_ = f.serve(s)
		case c := <-f.lost:
			if c == f.server {
				f.leave()
			}
		case now := <-tick.C:
			f.look()
			if now.Before(f.next) || !f.astray() && f.server != nil {
				break
			}
			f.next = now.Add(retryEvery)
			if f.astray() {
				_ = f.reach() // else again, as long as nothing is heard
			} else {
				_ = f.arrive(f.life)
			}
		}
	}
}

// look finds out whether the other side is not to be heard any more. Where we are is of no
// interest as long as it is.
func (f *follower) look() {
	heard := f.way.heard.Load()
	if heard != f.heard || heard < flowing {
		f.heard, f.quiet, f.moved = heard, 0, false
		return
	}
	f.quiet++
	if addrs := nat.LocalAddrs(f.way.LocalAddr()); !slices.Equal(addrs, f.addrs) {
		f.addrs, f.moved = addrs, true
		f.next = time.Time{}
		f.leave() // that connection was from where we were
	}
}

// astray tells whether the two have to find each other again.
func (f *follower) astray() bool {
	return f.quiet >= quietLost || f.moved && f.quiet >= quietMoved
}

// leave ends the connection to the meeting point.
func (f *follower) leave() {
	if f.server != nil {
		f.server.Close()
		f.server = nil
	}
}

// arrive connects to the meeting point, where we are not.
func (f *follower) arrive(ctx context.Context) error {
	if f.server != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, againTime)
	defer cancel()
	c, err := f.o.connect(ctx)
	if err != nil {
		return err
	}
	f.server = c
	f.attend()
	return nil
}

// attend waits under our name for the other side to join.
func (f *follower) attend() {
	c, name := f.server, f.name(f.caller)
	go func() {
		defer func() {
			select {
			case f.lost <- c:
			case <-f.life.Done():
			}
		}()
		if c.Wait(f.life, name) != nil {
			c.Close()
			return
		}
		for {
			s, err := c.Accept(f.life)
			var gone *rendezvous.GoneError
			switch {
			case errors.As(err, &gone):
				c.Close() // somebody else waits under it now: it is ours, and we come again
				return
			case err != nil:
				return
			}
			select {
			case f.joined <- s:
			case <-f.life.Done():
				return
			}
		}
	}()
}

// join joins the other side's name, by a new connection where the old one does not answer.
func (f *follower) join() (*rendezvous.Session, error) {
	if f.server != nil {
		ctx, cancel := context.WithTimeout(f.life, oldTime)
		defer cancel()
		s, err := f.server.JoinName(ctx, f.name(!f.caller))
		var lost *rendezvous.ServerError
		if ctx.Err() == nil && !errors.As(err, &lost) {
			return s, err
		}
		f.leave()
	}
	if err := f.arrive(f.life); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(f.life, againTime)
	defer cancel()
	return f.server.JoinName(ctx, f.name(!f.caller))
}

// reach joins the other side's name. If both do that at once, the caller's attempt counts.
func (f *follower) reach() error {
	s, err := f.join()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(f.life, againTime)
	defer cancel()
	theirs := make(chan *rendezvous.Session, 1)
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case t := <-f.joined:
				if !f.caller {
					theirs <- t
					cancel()
					return
				}
				_ = t.Close()
			case <-over:
				return
			}
		}
	}()
	err = f.again(ctx, s, true)
	close(over)
	<-watched
	select {
	case t := <-theirs:
		return f.serve(t)
	default:
		return err
	}
}

// serve answers who has joined our name.
func (f *follower) serve(s *rendezvous.Session) error {
	ctx, cancel := context.WithTimeout(f.life, againTime)
	defer cancel()
	return f.again(ctx, s, false)
}

// again does what stands above, and waits until there is a way.
func (f *follower) again(ctx context.Context, s *rendezvous.Session, joins bool) error {
	t, _, err := f.shared().secure(ctx, s, joins, f.caller, f.o.Rand)
	if err != nil {
		_ = s.Close()
		return err
	}
	theirs, err := f.exchange(ctx, t, joins)
	if err == nil {
		f.way.Servers(servers(s.Relays))
		talking := f.talking // the next talk has another
		f.workers.Go(func() { _ = f.way.Gather(talking) })
		err = f.connect(ctx, t, theirs)
	}
	if err != nil {
		t.close()
		return err
	}
	f.linger(t)
	f.quiet = 0
	return nil
}

// exchange says where we are now, and hears where the other side is.
func (f *follower) exchange(ctx context.Context, t *talk, joins bool) (theirs punched.Description, err error) {
	awaited := byte(kindKnock)
	if joins {
		if err := t.say(ctx, kindKnock, nil); err != nil {
			return theirs, err
		}
		awaited = kindRestart
	}
	body, err := t.hearKind(ctx, awaited)
	if err != nil {
		return theirs, err
	}
	// It is the other side. What is found from now on is told in this talk alone.
	f.hush()
	f.talking, f.hush = context.WithCancel(f.life)
	ours, err := f.way.Restart()
	if err != nil {
		return theirs, err
	}
	if err := t.say(ctx, kindRestart, ours.Append(nil)); err != nil {
		return theirs, err
	}
	if !joins {
		if body, err = t.hearKind(ctx, kindRestart); err != nil {
			return theirs, err
		}
	}
	if theirs, err = punched.ParseDescription(body); err != nil {
		return theirs, fmt.Errorf("%w: %w", ErrOtherEnd, err)
	}
	return theirs, nil
}

// name is under which the caller, or the callee, waits.
func (f *follower) name(caller bool) (n rendezvous.Name) {
	copy(n[:], f.shared().derive(nil, "where to find the "+role(caller)))
	return n
}
