package meet

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"securecall/call"
	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
	"securecall/nat"
	"securecall/nat/rendezvous"
)

// Two who have been in a call share a secret for this (zidcache.Record.Meet1), and need no
// code. Each waits under names that only the two know, another one each day: to the
// meeting point they are random numbers, and those of two days have nothing in common.
//
//	caller                         callee
//	  |<----- 32 random octets ------>|  of both
//	  |-------- knock --------------->|  sealed from here on
//	  |<--------- introduction -------|  or: busy
//	  ...                                as by a code
//
// Either side may have missed the write of the last call, and so the secret of the one
// before is good as well; and where clocks are a day apart, or it is midnight, the caller
// looks under the names of yesterday and tomorrow too.

// by is what two contacts make of a secret of theirs.
func by(secret []byte) shared { return shared{secret, "securecall meet by name 1: "} }

// nameOn is under which the one with that ZID waits on the UTC day of t.
func nameOn(secret []byte, who wire.ZID, t time.Time) (n rendezvous.Name) {
	copy(n[:], by(secret).derive(nil, "where to find "+hex.EncodeToString(who[:])+" on "+t.UTC().Format(time.DateOnly)))
	return n
}

var (
	// ErrNotThere is DialContact's: the contact does not wait at that meeting point, or
	// does not go on there.
	ErrNotThere = errors.New("the contact does not wait at this meeting point")
	// ErrBusy as well: it is in another call.
	ErrBusy = errors.New("the contact is in another call")
)

// searchEvery is after which a contact who was not there is looked for again.
const searchEvery = 5 * time.Second

// DialContact calls a contact who waits at the meeting point, or will before ctx ends, and
// returns the call, ready to Run. The record's secrets are borrowed. It calls absent when
// the contact is not there yet. Errors: ErrNotThere, ErrBusy, and those of Dial that are
// not about a code.
func DialContact(ctx context.Context, o Options, contact *zidcache.Record, conf call.Config, absent func()) (*call.Endpoint, error) {
	for {
		e, err := dialContact(ctx, o, contact, conf, absent)
		switch {
		case err == nil, errors.Is(ctx.Err(), context.Canceled):
			return e, err
		case ctx.Err() != nil && !errors.Is(err, rendezvous.ErrUnreachable): // our own haste
			return nil, ErrNotThere
		case !errors.Is(err, ErrGone) && !errors.Is(err, rendezvous.ErrLimit):
			return nil, err
		}
		absent()
		sleep(ctx, searchEvery)
	}
}

func dialContact(ctx context.Context, o Options, contact *zidcache.Record, conf call.Config, absent func()) (*call.Endpoint, error) {
	socket, client, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	session, secret, err := o.find(ctx, client, contact)
	for errors.Is(err, ErrNotThere) && ctx.Err() == nil {
		absent()
		sleep(ctx, searchEvery)
		session, secret, err = o.find(ctx, client, contact)
	}
	if err != nil {
		socket.Close()
		client.Close()
		return nil, err
	}
	return o.dialled(ctx, socket, client, session, func(l *link) (*call.Endpoint, error) {
		l.contact = &contact.ZID
		return l.knock(ctx, secret, conf)
	})
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// find joins the contact's name of today, or where there is nobody, that of the day before or
// after.
func (o Options) find(ctx context.Context, client *rendezvous.Client, contact *zidcache.Record) (s *rendezvous.Session, secret []byte, err error) {
	for _, day := range []int{0, -1, 1} {
		for _, secret := range [][]byte{contact.Meet1, contact.Meet2} {
			if secret == nil {
				continue
			}
			err := o.answers(ctx, func(ctx context.Context) (err error) {
				s, err = client.JoinName(ctx, nameOn(secret, contact.ZID, time.Now().AddDate(0, 0, day)))
				return err
			})
			if !errors.Is(err, rendezvous.ErrUnknown) && !errors.Is(err, rendezvous.ErrExpired) {
				return s, secret, err
			}
		}
	}
	return nil, nil, ErrNotThere
}

// knock says who calls, and goes on.
func (l *link) knock(ctx context.Context, secret []byte, conf call.Config) (*call.Endpoint, error) {
	agreeing, cancel := context.WithTimeout(ctx, agreeTime)
	defer cancel()
	t, salt, err := by(secret).secure(agreeing, l.session, true, true, l.o.Rand)
	if err == nil {
		l.again = by(secret).derive(salt, "meeting again")
		err = t.say(agreeing, kindKnock, nil)
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	case err != nil:
		return nil, gone(err)
	}
	return l.meet(ctx, conf, t)
}

// A visitor is a contact who has joined a name of ours and shown who it is.
type visitor struct {
	zid     wire.ZID
	session *rendezvous.Session
	talk    *talk
	again   []byte // for meeting again
}

// dismiss leaves it.
func (v *visitor) dismiss() {
	v.talk.close()
	clear(v.again)
}

// admit waits for the knock of whoever has joined a name: so the meeting point, which has
// seen the name, is not let in.
func admit(ctx context.Context, s *rendezvous.Session, w waiting, random io.Reader) (*visitor, error) {
	ctx, cancel := context.WithTimeout(ctx, agreeTime)
	defer cancel()
	t, salt, err := by(w.secret).secure(ctx, s, false, false, random)
	if err != nil {
		return nil, err
	}
	if _, err = t.hearKind(ctx, kindKnock); err != nil {
		t.close()
		return nil, err
	}
	return &visitor{w.zid, s, t, by(w.secret).derive(salt, "meeting again")}, nil
}

// answer goes on with a visitor, and takes it and the socket over. Errors: those of
// Mailbox.Wait that come after the code was right.
func (v *visitor) answer(ctx context.Context, o Options, socket nat.Path, conf call.Config) (*call.Endpoint, error) {
	// The connection is not the call's: to meet again it has one of its own.
	l, err := o.newLink(ctx, socket, nil, v.session, v.session.Relays, false)
	if err != nil {
		v.dismiss()
		return nil, err
	}
	l.contact, l.again = &v.zid, v.again
	e, err := l.meet(ctx, conf, v.talk)
	if err != nil {
		l.close()
		return nil, err
	}
	go newFollower(l, nil).run()
	return e, nil
}
