package meet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/rendezvous"
)

const (
	// lookAgain is after which the contacts may be others, by the calls of other
	// processes.
	lookAgain = time.Minute
	// maxNames is how many a meeting point takes from one connection; who called longest
	// ago is left out.
	maxNames = 1000
	// busyAfter is for us to be ready for a visitor, between two calls.
	busyAfter = 2 * time.Second
	// shunned is for how long a contact is left out whose visit came to nothing.
	shunned = time.Minute
)

// A door is where contacts find us, as long as a Listener runs.
type door struct {
	o        Options
	cache    *zidcache.Cache
	visitors chan *visitor // who has come; who is not taken in time is told that we are busy
	changed  chan struct{} // holds a token when there may be other contacts

	mu   sync.Mutex
	shun map[wire.ZID]time.Time // until then
	open map[wire.ZID]*rendezvous.Session
}

func newDoor(o Options, cache *zidcache.Cache) *door {
	return &door{
		o: o, cache: cache, visitors: make(chan *visitor), changed: make(chan struct{}, 1),
		shun: map[wire.ZID]time.Time{}, open: map[wire.ZID]*rendezvous.Session{},
	}
}

// A waiting is a name of ours: whom it is for, and what it is made from.
type waiting struct {
	zid    wire.ZID
	secret []byte
}

type names map[rendezvous.Name]waiting

func (n names) wipe() {
	for _, w := range n {
		clear(w.secret)
	}
}

// without are the names that are not in others.
func (n names) without(others names) (rest []rendezvous.Name) {
	for name := range n {
		if _, both := others[name]; !both {
			rest = append(rest, name)
		}
	}
	return rest
}

// keep keeps the door open until ctx ends. Each day (UTC) it is another connection, so
// that the names of two days are not seen to be ours by that.
func (d *door) keep(ctx context.Context) {
	again := againFirst
	for ctx.Err() == nil {
		now := time.Now()
		today, cancel := context.WithDeadline(ctx, now.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1))
		wait := lookAgain // for there to be somebody to wait for
		n, err := namesOn(d.cache, now)
		if err == nil && len(n) > 0 {
			err = d.day(today, n)
		}
		if time.Since(now) > longWait {
			again = againFirst
		}
		if err != nil {
			// What is wrong with the server is told of its code, beside which this goes on.
			wait, again = again, min(2*again, againMost)
		}
		select {
		case <-today.Done():
		case <-d.changed:
		case <-time.After(wait):
		}
		cancel()
	}
}

// An arrival is what Accept returns.
type arrival struct {
	session *rendezvous.Session
	err     error
}

// day waits under names, until ctx ends or the connection does.
func (d *door) day(ctx context.Context, n names) error {
	defer func() { n.wipe() }()
	ctx, cancel := context.WithCancel(ctx)
	client, err := d.o.connect(ctx)
	if err != nil {
		cancel()
		return err
	}
	var inside sync.WaitGroup
	defer inside.Wait()
	defer client.Close()
	defer cancel()
	if err := d.swap(ctx, client, nil, n); err != nil {
		return err
	}
	arrivals := make(chan arrival)
	inside.Go(func() { accept(ctx, client, arrivals) })
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.changed:
			if n, err = d.renew(ctx, client, n); err != nil {
				return err
			}
		case <-look.C:
			if n, err = d.renew(ctx, client, n); err != nil {
				return err
			}
		case a := <-arrivals:
			var gone *rendezvous.GoneError
			switch {
			case errors.As(a.err, &gone): // another listen of this installation; at the next look it is our turn again
				clear(n[gone.Name].secret)
				delete(n, gone.Name)
			case a.err != nil:
				return a.err
			default:
				w, ours := n[a.session.Name]
				if !ours || !d.takes(w.zid, a.session) {
					_ = a.session.Close()
					break
				}
				w.secret = bytes.Clone(w.secret)
				inside.Go(func() { d.visited(ctx, w, a.session) })
			}
		}
	}
}

// renew waits under the names that there are by now.
func (d *door) renew(ctx context.Context, client *rendezvous.Client, old names) (names, error) {
	now, err := namesOn(d.cache, time.Now())
	if err == nil {
		err = d.swap(ctx, client, old, now)
	}
	old.wipe()
	return now, err
}

// swap waits under the names that are new, and no more under those that are not there.
func (d *door) swap(ctx context.Context, client *rendezvous.Client, old, now names) error {
	return d.o.answers(ctx, func(ctx context.Context) error {
		return errors.Join(client.Unwait(ctx, old.without(now)...), client.Wait(ctx, now.without(old)...))
	})
}

func accept(ctx context.Context, client *rendezvous.Client, arrivals chan<- arrival) {
	for {
		s, err := client.Accept(ctx)
		select {
		case arrivals <- arrival{s, err}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.As(err, new(*rendezvous.GoneError)) {
			return
		}
	}
}

// takes tells whether a contact may come in. Each has one visit at a time, the last one: who
// says nothing holds up nobody but himself.
func (d *door) takes(zid wire.ZID, s *rendezvous.Session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Now().Before(d.shun[zid]) {
		return false
	}
	delete(d.shun, zid)
	if before := d.open[zid]; before != nil {
		_ = before.Close()
	}
	d.open[zid] = s
	return true
}

// avoid leaves a contact out for a while.
func (d *door) avoid(zid wire.ZID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shun[zid] = time.Now().Add(shunned)
}

// visited waits for somebody who has joined a name to show that it is the contact.
func (d *door) visited(ctx context.Context, w waiting, s *rendezvous.Session) {
	defer clear(w.secret)
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.open[w.zid] == s {
			delete(d.open, w.zid)
		}
	}()
	v, err := admit(ctx, s, w, d.o.Rand)
	if err != nil {
		_ = s.Close()
		return
	}
	select {
	case d.visitors <- v:
		return
	case <-time.After(busyAfter):
		_ = v.talk.say(ctx, kindBusy, nil)
	case <-ctx.Done():
	}
	v.dismiss()
}

// namesOn are those under which we wait on the UTC day of t, made from the secrets of the
// last two calls with each contact, the last call first.
func namesOn(cache *zidcache.Cache, t time.Time) (names, error) {
	type contact struct {
		last    time.Time
		waiting []waiting
	}
	var contacts []contact
	err := cache.Each(func(r *zidcache.Record) {
		if !Meetable(r, t) {
			return
		}
		c := contact{last: r.Last}
		for _, secret := range [][]byte{r.Meet1, r.Meet2} {
			if secret != nil {
				c.waiting = append(c.waiting, waiting{r.ZID, bytes.Clone(secret)})
			}
		}
		contacts = append(contacts, c)
	})
	slices.SortStableFunc(contacts, func(a, b contact) int { return b.last.Compare(a.last) })
	n := names{}
	for _, c := range contacts {
		for _, w := range c.waiting {
			if len(n) == maxNames {
				clear(w.secret)
				continue
			}
			n[nameOn(w.secret, cache.ZID(), t)] = w
		}
	}
	return n, err
}

// Meetable tells whether a contact can be called by name: there has been a call.
func Meetable(r *zidcache.Record, now time.Time) bool {
	r.Expire(now)
	return r.Meet1 != nil
}
