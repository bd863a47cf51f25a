package meet

import (
	"context"
	"sync"
	"testing"
	"time"

	"securecall/nat/rendezvous"
)

// pair is both sides of a call by code, without what drives them.
func pair(t *testing.T) (caller, callee *follower) {
	t.Helper()
	o := server(t)
	m, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
	if err != nil {
		t.Fatal(err)
	}
	joined, err := client.Join(t.Context(), m.Code.Mailbox())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := m.client.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, b := newTestLink(t, o, client, joined, true), newTestLink(t, o, m.client, accepted, false)
	t.Cleanup(a.close)
	t.Cleanup(b.close)
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { _, errs[0] = a.dial(t.Context(), m.Code, newPerson().conf) })
	wg.Go(func() {
		_, errs[1] = b.answer(t.Context(), m.Code, newPerson().conf, func(context.Context) error { return nil })
	})
	wg.Wait()
	if errs != [2]error{} {
		t.Fatal(errs)
	}
	return newFollower(a, client), newFollower(b, m.client)
}

// drives runs a follower until the test ends.
func drives(t *testing.T, f *follower) {
	var wg sync.WaitGroup
	wg.Go(f.run)
	t.Cleanup(func() {
		f.end()
		wg.Wait()
	})
}

// attends waits until a follower is to be found under its name.
func attends(t *testing.T, f, by *follower) {
	t.Helper()
	for range 200 {
		s, err := by.server.JoinName(t.Context(), f.name(f.caller))
		if err == nil {
			s.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nobody waits there")
}

// Either side can have ICE restart, again and again, and the call's path is the same.
func TestMeetAgain(t *testing.T) {
	a, b := pair(t)
	drives(t, b)
	a.attend()
	attends(t, b, a)
	for range 3 {
		before := a.way.Local()
		if err := a.reach(); err != nil {
			t.Fatal(err)
		}
		if a.way.Local().SameSession(before) {
			t.Error("nothing has restarted")
		}
		if r := a.way.Route(); r.Kind.String() != "direct" {
			t.Errorf("the way is %v", r)
		}
	}
}

// Both notice at the same time.
func TestBothMeetAgain(t *testing.T) {
	a, b := pair(t)
	a.attend()
	b.attend()
	attends(t, b, a)
	attends(t, a, b)
	// What attends has joined is in joined now.
	for _, f := range []*follower{a, b} {
		(<-f.joined).Close()
	}
	var wg sync.WaitGroup
	var errs [2]error
	wg.Go(func() { errs[0] = a.reach() })
	wg.Go(func() {
		if errs[1] = b.reach(); errs[1] != nil { // the caller has not even answered
			errs[1] = b.serve(<-b.joined)
		}
	})
	wg.Wait()
	if errs[0] != nil {
		t.Errorf("the caller's attempt: %v", errs[0])
	}
	if errs[1] != nil {
		t.Errorf("the callee, who was to join it: %v", errs[1])
	}
}

// Somebody who has found out the name, the meeting point for one, cannot have us
// restart.
func TestStrangerMeetsAgain(t *testing.T) {
	a, b := pair(t)
	drives(t, b)
	attends(t, b, a)
	before := b.way.Local()
	stranger := &follower{link: &link{o: a.o, caller: true, again: []byte("not what the code has given them")}}
	s, err := a.server.JoinName(t.Context(), b.name(false))
	if err != nil {
		t.Fatal(err)
	}
	talk, _, err := stranger.shared().secure(t.Context(), s, true, true, a.o.Rand)
	if err != nil {
		t.Fatal(err)
	}
	if err := talk.say(t.Context(), kindKnock, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := talk.hearKind(ctx, kindRestart); err == nil {
		t.Error("a stranger is told where we are")
	}
	talk.close()
	if !b.way.Local().SameSession(before) {
		t.Error("a stranger has had us restart")
	}
}

// What the meeting point has kept of one talk opens nothing in the next.
func TestTalksHaveKeysOfTheirOwn(t *testing.T) {
	a, b := pair(t)
	pass := func(_, _ int, b []byte) [][]byte { return [][]byte{b} }
	var sealed [2][]byte
	for i := range sealed {
		x, y := between(t, pass)
		var ta, tb *talk
		var wg sync.WaitGroup
		wg.Go(func() { ta, _, _ = a.shared().secure(t.Context(), x, true, true, a.o.Rand) })
		wg.Go(func() { tb, _, _ = b.shared().secure(t.Context(), y, false, false, b.o.Rand) })
		wg.Wait()
		if ta == nil || tb == nil {
			t.Fatal("no talk")
		}
		if i > 0 {
			if _, err := tb.channel.Open(nil, sealed[0]); err == nil {
				t.Error("a message of another talk opens")
			}
		}
		sealed[i], _ = ta.channel.Seal(nil, []byte("word"))
		if plain, err := tb.channel.Open(nil, sealed[i]); err != nil || string(plain) != "word" {
			t.Errorf("%q, %v", plain, err)
		}
	}
}
