package meet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"securecall/crypto/zidcache"
	"securecall/nat/rendezvous"
)

const (
	// lookAgain is after which the contacts may be others, by the calls of other
	// processes, and the day another one.
	lookAgain = time.Minute
	// maxNames is how many a meeting point takes from one connection; who called longest
	// ago is left out.
	maxNames = 1000
	days     = 3 // yesterday, today and tomorrow
)

// A door is where contacts find us: all our names at a meeting point.
type door struct {
	o      Options
	cache  *zidcache.Cache
	client *rendezvous.Client
	names  map[rendezvous.Name]zidcache.Record // those that we wait on; Meet1 alone is kept of the secrets
}

// await returns the next visitor, with the connection, or the context's error. A meeting
// point that is lost is tried again: the code, beside which this goes on, says it.
func (d *door) await(ctx context.Context) (*visitor, error) {
	defer d.close()
	for {
		v, err := d.attend(ctx)
		if v != nil || ctx.Err() != nil {
			return v, ctx.Err()
		}
		wait := againMost
		if err == nil {
			wait = lookAgain // nobody to wait for
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (d *door) close() {
	if d.client != nil {
		d.client.Close()
		d.client = nil
	}
	for _, contact := range d.names {
		contact.Wipe()
	}
	d.names = nil
}

// attend waits under all names; nil and nil: there are none.
func (d *door) attend(ctx context.Context) (*visitor, error) {
	defer d.close()
	for {
		some, err := d.renew(ctx)
		if err != nil || !some {
			return nil, err
		}
		until, cancel := context.WithTimeout(ctx, lookAgain)
		v, err := d.accept(until)
		cancel()
		if v != nil || until.Err() == nil || ctx.Err() != nil {
			return v, err
		}
	}
}

// renew waits under the names of today, and under no others.
func (d *door) renew(ctx context.Context) (some bool, err error) {
	names, err := namesOn(d.cache, time.Now())
	if err != nil || len(names) == 0 {
		return false, err
	}
	if d.client == nil {
		if d.client, err = d.o.connect(ctx); err != nil {
			wipe(names)
			return false, err
		}
	}
	stale, fresh := without(d.names, names), without(names, d.names)
	wipe(d.names)
	d.names = names
	return true, d.o.answers(ctx, func(ctx context.Context) error {
		return errors.Join(d.client.Unwait(ctx, stale...), d.client.Wait(ctx, fresh...))
	})
}

func without(a, b map[rendezvous.Name]zidcache.Record) (names []rendezvous.Name) {
	for n := range a {
		if _, both := b[n]; !both {
			names = append(names, n)
		}
	}
	return names
}

func wipe(names map[rendezvous.Name]zidcache.Record) {
	for _, contact := range names {
		contact.Wipe()
	}
}

// accept returns who has joined a name of ours and knows what it is made from. The
// connection is the visitor's from then on, who is alone on it.
func (d *door) accept(ctx context.Context) (*visitor, error) {
	for {
		s, err := d.client.Accept(ctx)
		var gone *rendezvous.GoneError
		switch {
		case errors.As(err, &gone):
			continue // another listen of this installation waits there now
		case err != nil:
			return nil, err
		}
		contact, ours := d.names[s.Name]
		if !ours {
			_ = s.Close()
			continue
		}
		talk, again, err := admit(ctx, s, contact.Meet1, d.o.Rand)
		if err != nil {
			_ = s.Close()
			continue
		}
		v := &visitor{client: d.client, session: s, talk: talk, again: again}
		v.contact.ZID, v.contact.Name = contact.ZID, contact.Name
		leaving := without(d.names, nil)
		d.client = nil
		go func() { _ = v.client.Unwait(context.Background(), leaving...) }()
		return v, nil
	}
}

// namesOn are those under which we wait at t, made from the secrets of the last two calls
// with each contact, the last call first. Each has its contact, with the secret as Meet1.
func namesOn(cache *zidcache.Cache, t time.Time) (map[rendezvous.Name]zidcache.Record, error) {
	var contacts []zidcache.Record
	err := cache.Each(func(r *zidcache.Record) {
		if Meetable(r, t) {
			contacts = append(contacts, zidcache.Record{
				ZID: r.ZID, Name: r.Name, Last: r.Last, Meet1: bytes.Clone(r.Meet1), Meet2: bytes.Clone(r.Meet2),
			})
		}
	})
	slices.SortStableFunc(contacts, func(a, b zidcache.Record) int { return b.Last.Compare(a.Last) })
	names := map[rendezvous.Name]zidcache.Record{}
	for _, c := range contacts {
		for _, secret := range [][]byte{c.Meet1, c.Meet2} {
			if secret == nil || len(names)+days > maxNames || err != nil {
				continue
			}
			for day := range days {
				name := nameOn(secret, cache.ZID(), t.AddDate(0, 0, day-1))
				names[name] = zidcache.Record{ZID: c.ZID, Name: c.Name, Meet1: bytes.Clone(secret)}
			}
		}
		c.Wipe()
	}
	return names, err
}

// Meetable tells whether a contact can be called by name: there has been a call.
func Meetable(r *zidcache.Record, now time.Time) bool {
	r.Expire(now)
	return r.Meet1 != nil
}
