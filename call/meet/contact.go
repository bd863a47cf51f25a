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
// meeting point they are random numbers, which it cannot link from day to day.
//
//	caller                         callee
//	  |<----- 32 random octets ------>|  of both
//	  |-------- knock --------------->|  sealed from here on
//	  |<--------- introduction -------|
//	  ...                                as by a code
//
// Either side may have missed the write of the last call, and so the secret of the one
// before is good as well; and a clock may be a day off.

// by is what two contacts make of a secret of theirs.
func by(secret []byte) shared { return shared{secret, "securecall meet by name 1: "} }

// nameOn is under which the one with that ZID waits on the UTC day of t.
func nameOn(secret []byte, who wire.ZID, t time.Time) (n rendezvous.Name) {
	copy(n[:], by(secret).derive(nil, "where to find "+hex.EncodeToString(who[:])+" on "+t.UTC().Format(time.DateOnly)))
	return n
}

// ErrNotThere is DialContact's: the contact does not wait at that meeting point.
var ErrNotThere = errors.New("the contact does not wait at this meeting point")

// DialContact calls a contact who waits at the meeting point, and returns the call, ready
// to Run. The record's secrets are borrowed. Errors: ErrNotThere, and those of Dial that
// are not about a code.
func DialContact(ctx context.Context, o Options, contact *zidcache.Record, conf call.Config) (*call.Endpoint, error) {
	socket, client, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	session, secret, err := o.find(ctx, client, contact)
	if err != nil {
		socket.Close()
		client.Close()
		return nil, err
	}
	l, err := o.newLink(ctx, socket, client, session, session.Relays, true)
	if err != nil {
		client.Close()
		return nil, err
	}
	l.contact = contact
	e, err := l.knock(ctx, secret, conf)
	if err != nil {
		l.close()
		return nil, err
	}
	go newFollower(l, client).run()
	return e, nil
}

// find joins the contact's name of today.
func (o Options) find(ctx context.Context, client *rendezvous.Client, contact *zidcache.Record) (s *rendezvous.Session, secret []byte, err error) {
	err = ErrNotThere
	for _, secret = range [][]byte{contact.Meet1, contact.Meet2} {
		if secret == nil {
			continue
		}
		err = o.answers(ctx, func(ctx context.Context) (err error) {
			s, err = client.JoinName(ctx, nameOn(secret, contact.ZID, time.Now()))
			return err
		})
		if !errors.Is(err, rendezvous.ErrUnknown) {
			return s, secret, err
		}
		err = ErrNotThere
	}
	return nil, nil, err
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
	contact zidcache.Record // without secrets
	client  *rendezvous.Client
	session *rendezvous.Session
	talk    *talk
	again   []byte // for meeting again
}

// dismiss leaves it.
func (v *visitor) dismiss() {
	v.talk.close()
	v.client.Close()
	clear(v.again)
}

// admit waits for the knock of whoever has joined the name that is made from secret: so
// the meeting point alone, which has seen the name, is not let in.
func admit(ctx context.Context, s *rendezvous.Session, secret []byte, random io.Reader) (t *talk, again []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, agreeTime)
	defer cancel()
	t, salt, err := by(secret).secure(ctx, s, false, false, random)
	if err != nil {
		return nil, nil, err
	}
	if _, err = t.hearKind(ctx, kindKnock); err != nil {
		t.close()
		return nil, nil, err
	}
	return t, by(secret).derive(salt, "meeting again"), nil
}

// answer goes on with a visitor, and takes it over. Errors: a *nat.BindError, and those
// of Mailbox.Wait that come after the code was right.
func (v *visitor) answer(ctx context.Context, o Options, conf call.Config) (*call.Endpoint, error) {
	socket, err := nat.Listen(ctx, o.Bind)
	if err != nil {
		v.dismiss()
		return nil, err
	}
	l, err := o.newLink(ctx, socket, v.client, v.session, v.session.Relays, false)
	if err != nil {
		v.dismiss()
		return nil, err
	}
	l.contact, l.again = &v.contact, v.again
	e, err := l.meet(ctx, conf, v.talk)
	if err != nil {
		l.close()
		return nil, err
	}
	go newFollower(l, v.client).run()
	return e, nil
}
