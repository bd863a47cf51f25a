package meet

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"securecall/call"
	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/rendezvous"
)

// remembers gives a person a memory, in dir.
func (p *person) remembers(t *testing.T, dir string) {
	t.Helper()
	cache, err := zidcache.Open(dir, func(_ string, why error) { t.Error(why) })
	if err != nil {
		t.Fatal(err)
	}
	p.conf.Cache = cache
}

// contact is what p remembers of another one, with secrets.
func (p *person) contact(t *testing.T, of *person) *zidcache.Record {
	t.Helper()
	r, known, err := p.conf.Cache.Lookup(of.conf.Cache.ZID())
	if err != nil || !known {
		t.Fatalf("known %t, %v", known, err)
	}
	return &r
}

// acquainted are two who have been in a call by a code; Bob listens on.
func acquainted(t *testing.T) (alice, bob *person, o Options, bobs string) {
	t.Helper()
	o = server(t)
	alice, bob, bobs = newPerson(), newPerson(), filepath.Join(t.TempDir(), "bob")
	alice.remembers(t, filepath.Join(t.TempDir(), "alice"))
	bob.remembers(t, bobs)
	alice.conf.Duration = 200 * time.Millisecond
	listens(t, bob, o)
	if ended := NewDialer(alice.conf, o, code(t, bob, 1)).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Fatalf("the first call: %+v", ended)
	}
	code(t, bob, 2) // and so the first call is written
	return alice, bob, o, bobs
}

// After one call the name is enough, both ways round the secrets of the calls.
func TestContactByName(t *testing.T) {
	alice, bob, o, bobs := acquainted(t)
	before, err := os.ReadFile(filepath.Join(bobs, "zids"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 4; n++ {
		if ended := NewContactDialer(alice.conf, o, alice.contact(t, bob)).Run(t.Context()); ended.Reason != call.ReasonNormal {
			t.Fatalf("call %d: %+v", n, ended)
		}
		for _, p := range []*person{alice, bob} {
			if s := told[call.Secured](t, p, n); s.ByCode || s.Auxiliary != "none" || s.Continuity != "match" {
				t.Errorf("call %d: %+v", n, s)
			}
		}
		code(t, bob, n+1)
		if n == 2 {
			// Bob's machine has lost power before that was written.
			if err := os.WriteFile(filepath.Join(bobs, "zids"), before, 0o600); err != nil {
				t.Fatal(err)
			}
			if a, b := alice.contact(t, bob), bob.contact(t, alice); string(a.Meet1) == string(b.Meet1) || string(a.Meet2) != string(b.Meet1) {
				t.Fatal("nothing was lost")
			}
		}
	}
}

// The code that was told meanwhile is good.
func TestCodeBesideNames(t *testing.T) {
	_, bob, o, _ := acquainted(t)
	stranger := newPerson()
	stranger.conf.Duration = 100 * time.Millisecond
	if ended := NewDialer(stranger.conf, o, code(t, bob, 2)).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Errorf("ended: %+v", ended)
	}
}

func TestContactNotThere(t *testing.T) {
	alice, bob, _, _ := acquainted(t)
	alice.conf.Timeout = 3 * time.Second
	ended := NewContactDialer(alice.conf, server(t), alice.contact(t, bob)).Run(t.Context())
	if ended.Reason != call.ReasonUnreachable || !errors.Is(ended.Err, ErrNotThere) || ended.Duration > 0 {
		t.Errorf("ended: %+v", ended)
	}
	if f := told[call.Fault](t, alice, 1); !errors.Is(f.Err, ErrNotThere) {
		t.Errorf("told: %v", f.Err)
	}
}

// The meeting point knows the name once it has been used. It is told nothing, and the one
// who waits goes on waiting.
func TestStrangerAtAName(t *testing.T) {
	alice, bob, o, _ := acquainted(t)
	client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	contact := alice.contact(t, bob)
	name := nameOn(contact.Meet1, contact.ZID, time.Now())
	var s *rendezvous.Session
	for range 200 {
		if s, err = client.JoinName(t.Context(), name); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	talk, _, err := shared{[]byte("not the secret of those two"), "securecall meet by name 1: "}.secure(t.Context(), s, true, true, o.Rand)
	if err != nil {
		t.Fatal(err)
	}
	for range maxNonsense {
		if err := talk.say(t.Context(), kindKnock, nil); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Receive(t.Context()); err == nil {
		t.Errorf("a stranger is told %d octets", len(b))
	}
	if ended := NewContactDialer(alice.conf, o, contact).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Errorf("the contact after a stranger: %+v", ended)
	}
}

// A name says who waits and on which day, to those who have the secret, and nothing else.
func TestNamesOfADay(t *testing.T) {
	bob := newPerson()
	bob.remembers(t, filepath.Join(t.TempDir(), "bob"))
	evening := time.Date(2026, 3, 4, 23, 59, 0, 0, time.FixedZone("east", 7200)) // 21:59 UTC
	alice := wire.ZID{1}
	secrets := [2][]byte{{0: 1, 31: 0}, {0: 2, 31: 0}}
	put := func(zid wire.ZID, last time.Time) {
		t.Helper()
		if err := bob.conf.Cache.Update(zid, func(r *zidcache.Record) error {
			r.RS1, r.RS2, r.Meet1, r.Meet2 = secrets[0], secrets[1], bytes.Clone(secrets[0]), bytes.Clone(secrets[1])
			copy(r.Meet1[1:], zid[1:])
			copy(r.Meet2[1:], zid[1:])
			r.Answered, r.Last = true, last
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(alice, evening)
	names, err := namesOn(bob.conf.Cache, evening)
	if err != nil || len(names) != 6 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	us := bob.conf.Cache.ZID()
	for _, secret := range secrets {
		for hours, waits := range map[int]bool{0: true, -24: true, 24: true, 2: true, 3: true, -48: false, 48: false} {
			if _, ok := names[nameOn(secret, us, evening.Add(time.Duration(hours)*time.Hour))]; ok != waits {
				t.Errorf("%d hours away: %t", hours, ok)
			}
		}
		if _, ok := names[nameOn(secret, alice, evening)]; ok {
			t.Error("both wait under the same name")
		}
	}
	// More than a meeting point takes: who called longest ago is left out.
	for i := range maxNames / days {
		put(wire.ZID{2, byte(i), byte(i >> 8)}, evening.Add(time.Duration(i+1)*time.Second))
	}
	if names, err = namesOn(bob.conf.Cache, evening); err != nil || len(names) > maxNames || len(names) < maxNames-days {
		t.Errorf("%d names, %v", len(names), err)
	}
	for _, c := range names {
		if c.ZID == alice {
			t.Error("the oldest is not left out")
		}
	}
}
