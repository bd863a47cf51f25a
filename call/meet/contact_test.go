package meet

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	codeIsGood(t, bob, o)
}

// codeIsGood calls Bob by his second code.
func codeIsGood(t *testing.T, bob *person, o Options) {
	t.Helper()
	stranger := newPerson()
	stranger.conf.Duration = 100 * time.Millisecond
	if ended := NewDialer(stranger.conf, o, code(t, bob, 2)).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Errorf("by the code: %+v", ended)
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
	s := joins(t, client, contact)
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

// joins joins Bob's name as whoever Alice's secrets make one, once he waits there.
func joins(t *testing.T, c *rendezvous.Client, contact *zidcache.Record) *rendezvous.Session {
	t.Helper()
	var s *rendezvous.Session
	var err error
	for range 50 {
		if s, err = c.JoinName(t.Context(), nameOn(contact.Meet1, contact.ZID, time.Now())); err == nil {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

// Who is in a call is busy.
func TestContactBusy(t *testing.T) {
	alice, bob, o, _ := acquainted(t)
	carol := newPerson()
	talking, hangup := context.WithCancel(t.Context())
	done := make(chan call.Ended)
	carols := code(t, bob, 2)
	go func() { done <- NewDialer(carol.conf, o, carols).Run(talking) }()
	told[call.Answered](t, carol, 1)
	if ended := NewContactDialer(alice.conf, o, alice.contact(t, bob)).Run(t.Context()); ended.Reason != call.ReasonBusy || !errors.Is(ended.Err, ErrBusy) {
		t.Errorf("ended: %+v", ended)
	}
	hangup()
	<-done
}

// A contact who knocks and goes is named, and then left out for a while. The code that was
// read out to somebody meanwhile is still good.
func TestVisitToNothing(t *testing.T) {
	alice, bob, o, _ := acquainted(t)
	client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	contact := alice.contact(t, bob)
	s := joins(t, client, contact)
	talk, _, err := by(contact.Meet1).secure(t.Context(), s, true, true, o.Rand)
	if err == nil {
		err = talk.say(t.Context(), kindKnock, nil)
	}
	if err == nil {
		_, err = talk.hearKind(t.Context(), kindIntroduction)
	}
	if err != nil {
		t.Fatal(err)
	}
	talk.close()
	us := alice.conf.Cache.ZID()
	if f := told[call.Fault](t, bob, 1); !errors.Is(f.Err, ErrGone) || !strings.Contains(f.Err.Error(), hex.EncodeToString(us[:])) {
		t.Errorf("told: %v", f.Err)
	}
	if s := joins(t, client, contact); true {
		if _, err := s.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("is let in again at once: %v", err)
		}
	}
	codeIsGood(t, bob, o)
}

// Who joins and says nothing holds up nobody, not even the contact in whose name he does.
func TestSilentJoin(t *testing.T) {
	alice, bob, o, _ := acquainted(t)
	client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	contact := alice.contact(t, bob)
	joins(t, client, contact)
	begin := time.Now()
	if ended := NewContactDialer(alice.conf, o, contact).Run(t.Context()); ended.Reason != call.ReasonNormal {
		t.Errorf("ended: %+v", ended)
	}
	if d := time.Since(begin); d >= agreeTime {
		t.Errorf("it took %v", d)
	}
}

// The door's connection is lost: contacts are waited for again.
func TestDoorIsLost(t *testing.T) {
	_, bob, o, _ := acquainted(t)
	d := newDoor(o, bob.conf.Cache)
	n, err := namesOn(bob.conf.Cache, time.Now())
	if err != nil || len(n) == 0 {
		t.Fatal(n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	elsewhere := server(t)
	stopped, stop := context.WithCancel(t.Context())
	elsewhere.Server = proxied(t, stopped, elsewhere.Server)
	d.o = elsewhere
	time.AfterFunc(2*time.Second, stop) // it is connected by then
	if err := d.day(ctx, n); !errors.Is(err, rendezvous.ErrLost) {
		t.Errorf("the day ended with %v", err)
	}
}

// proxied is a way to a server that ctx cuts.
func proxied(t *testing.T, ctx context.Context, to rendezvous.Address) rendezvous.Address {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
			if err != nil {
				front.Close()
				return
			}
			context.AfterFunc(ctx, func() { front.Close(); back.Close() })
			go func() { _, _ = io.Copy(front, back) }()
			go func() { _, _ = io.Copy(back, front) }()
		}
	}()
	a, err := rendezvous.ParseAddress("ws://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A clock is a day off.
func TestAnotherDay(t *testing.T) {
	alice, bob, _, _ := acquainted(t)
	contact := alice.contact(t, bob)
	for _, day := range []int{-1, 1} {
		o := server(t)
		client, err := rendezvous.Dial(t.Context(), o.Server, rendezvous.Options{})
		if err == nil {
			err = client.Wait(t.Context(), nameOn(contact.Meet1, contact.ZID, time.Now().AddDate(0, 0, day)))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, _, err := o.find(t.Context(), client, contact); err != nil {
			t.Errorf("%+d: %v", day, err)
		}
	}
}

// A name says who waits and on which day, to those who have the secret, and nothing else.
func TestNamesOfADay(t *testing.T) {
	bob := newPerson()
	bob.remembers(t, filepath.Join(t.TempDir(), "bob"))
	evening := time.Date(2026, 3, 4, 23, 59, 0, 0, time.FixedZone("east", 7200)) // 21:59 UTC
	alice := wire.ZID{1}
	secret := func(n byte, zid wire.ZID) []byte { return append(bytes.Repeat([]byte{n}, 20), zid[:]...) }
	put := func(zid wire.ZID, last time.Time) {
		t.Helper()
		if err := bob.conf.Cache.Update(zid, func(r *zidcache.Record) error {
			r.RS1, r.RS2, r.Meet1, r.Meet2 = secret(1, zid), secret(2, zid), secret(3, zid), secret(4, zid)
			r.Answered, r.Last = true, last
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(alice, evening)
	us := bob.conf.Cache.ZID()
	ours := func(at time.Time) names {
		t.Helper()
		n, err := namesOn(bob.conf.Cache, at)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	today := ours(evening)
	if len(today) != 2 {
		t.Fatalf("%d names", len(today))
	}
	for _, n := range []byte{3, 4} {
		for hours, waits := range map[int]bool{0: true, 2: true, 3: false, -24: false, 24: false} {
			if _, ok := today[nameOn(secret(n, alice), us, evening.Add(time.Duration(hours)*time.Hour))]; ok != waits {
				t.Errorf("%d hours away: %t", hours, ok)
			}
		}
		if _, ok := today[nameOn(secret(n, alice), alice, evening)]; ok {
			t.Error("both wait under the same name")
		}
	}
	// To the meeting point the days have nothing in common.
	for _, days := range []int{-1, 1, 2} {
		if same := len(today) - len(today.without(ours(evening.AddDate(0, 0, days)))); same != 0 {
			t.Errorf("%d names are those of %+d days", same, days)
		}
	}
	// More than a meeting point takes: who called longest ago is left out.
	for i := range maxNames / 2 {
		put(wire.ZID{2, byte(i), byte(i >> 8)}, evening.Add(time.Duration(i+1)*time.Second))
	}
	today = ours(evening)
	if len(today) != maxNames {
		t.Errorf("%d names", len(today))
	}
	for _, w := range today {
		if w.zid == alice {
			t.Error("the oldest is not left out")
		}
	}
}

// --timeout is for all of it: what the meeting has taken is not given again to the call.
func TestTimeoutIsOne(t *testing.T) {
	t.Parallel()
	alice, bob, o := newPerson(), newPerson(), server(t)
	bob.conf.AcceptAll = false
	listens(t, bob, o)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second) // more than meeting may take
	defer cancel()
	alice.conf.Timeout = time.Minute
	e, err := Dial(ctx, o, code(t, bob, 1), alice.conf)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	ended := e.Run(t.Context())
	if took := time.Since(begun); ended.Reason != call.ReasonNoAnswer || took < 20*time.Second || took > 40*time.Second {
		t.Errorf("it ended with %+v after %v", ended, took)
	}
}
