package call

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zidcache"
)

// home is a state folder of one of the two.
func home(t *testing.T, dir string) *zidcache.Cache {
	t.Helper()
	c, err := zidcache.Open(dir, func(aside string, why error) { t.Errorf("damaged: %s: %v", aside, why) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// friends are two installations that call each other again and again.
type friends struct {
	t          *testing.T
	seed       uint64
	alice, bob string // folders
}

func newFriends(t *testing.T) *friends {
	f := &friends{t: t, alice: t.TempDir(), bob: t.TempDir()}
	for _, d := range []string{f.alice, f.bob} {
		if err := os.Chmod(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// world is the next call's, not yet run: Alice dials and hangs up after 2 s.
func (f *friends) world(edit ...func(w *world)) *world {
	f.seed++
	w := newWorld(f.t, f.seed)
	w.alice.conf.Cache, w.bob.conf.Cache = home(f.t, f.alice), home(f.t, f.bob)
	w.alice.conf.Duration = 2 * time.Second
	for _, e := range edit {
		e(w)
	}
	return w
}

// call is one whole call.
func (f *friends) call(edit ...func(w *world)) *world {
	f.t.Helper()
	w := f.world(edit...)
	w.run()
	w.alice.result(f.t)
	w.bob.result(f.t)
	return w
}

// record is what one of the two remembers about the other.
func (f *friends) record(dir, of string) (zidcache.Record, bool) {
	f.t.Helper()
	r, known, err := home(f.t, dir).Lookup(home(f.t, of).ZID())
	if err != nil {
		f.t.Fatal(err)
	}
	return r, known
}

// copied keeps a folder's file, to be put back by the function that it returns.
func copied(t *testing.T, dir string) (restore func()) {
	t.Helper()
	path := filepath.Join(dir, "zids")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) continuity() [2]string {
	return [2]string{await[Secured](w.t, &w.alice).Continuity, await[Secured](w.t, &w.bob).Continuity}
}

// secured runs a world until both have keys.
func (w *world) secured() *world {
	w.t.Helper()
	w.run()
	await[Secured](w.t, &w.alice)
	await[Secured](w.t, &w.bob)
	return w
}

// hears tells whether Bob has heard Alice's voice, and not silence.
func (w *world) hears() bool {
	w.bob.ear.mu.Lock()
	defer w.bob.ear.mu.Unlock()
	return slices.ContainsFunc(w.bob.ear.heard, func(s int16) bool { return s > 4000 })
}

func (w *world) deafen() {
	w.bob.ear.mu.Lock()
	defer w.bob.ear.mu.Unlock()
	w.bob.ear.heard = nil
}

// Call twice, verify once by typing, and the second call says that it is the
// same person, verified; no third one asks anything.
func TestSamePersonAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.alice.conf.Contact = "bob"; w.alice.conf.Address = "bob.example" }).secured()
		if got := w.continuity(); got != [2]string{"new", "new"} {
			t.Errorf("the first call: %v", got)
		}
		words := await[Secured](t, &w.alice).SAS
		if c := w.alice.e.Compare(0, "typed", "y"); !c.Possible || c.Equal || c.Left != 2 {
			t.Errorf("y verifies: %+v", c)
		}
		if c := w.alice.e.Compare(0, "typed", strings.ToUpper(words)); !c.Equal {
			t.Errorf("the right words do not verify: %+v", c)
		}
		if await[Verified](t, &w.alice).How != "typed" {
			t.Error("verified by what?")
		}
		w.alice.result(t)
		w.bob.result(t)
		if r, _ := f.record(f.alice, f.bob); r.How != "typed" || r.Verified.IsZero() || !r.Answered || r.Name != "bob" || r.Address != "bob.example" || len(r.RS1) != 32 {
			t.Errorf("Alice remembers %+q, %v, %v, %d bytes of rs1", r.Name, r.How, r.Answered, len(r.RS1))
		}

		for range 2 {
			w = f.call()
			if got := w.continuity(); got != [2]string{"match", "match"} {
				t.Fatalf("the next call: %v", got)
			}
			a, b := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
			if !a.Verified || a.PeerVerified || a.Contact != "bob" {
				t.Errorf("Alice is told: verified %v, the other side %v, contact %q", a.Verified, a.PeerVerified, a.Contact)
			}
			if b.Verified || !b.PeerVerified || b.Contact != "" {
				t.Errorf("Bob is told: verified %v, the other side %v, contact %q", b.Verified, b.PeerVerified, b.Contact)
			}
			if !w.hears() {
				t.Error("Bob hears nothing")
			}
		}
	})
}

// "It is possible for both parties to detect this condition if both parties
// have surviving cached secrets that have fallen out of sync" (RFC 6189, Section
// 4.3.2), and one that has lost everything is a new peer, not a changed one.
func TestOldCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		older := copied(t, f.bob)
		f.call()
		old := copied(t, f.bob)
		f.call()
		old()
		if got := f.call().continuity(); got != [2]string{"match", "match"} {
			t.Errorf("one call behind: %v", got)
		}
		older()
		w := f.call(func(w *world) { w.alice.conf.Attended, w.bob.conf.Attended = true, true })
		if got := w.continuity(); got != [2]string{"mismatch", "mismatch"} {
			t.Errorf("more calls behind: %v", got)
		}
		for _, s := range []*side{&w.alice, &w.bob} {
			if k := await[KeyChanged](t, s); k.Another || k.ZID == "" {
				t.Errorf("told %+v", k)
			}
		}
		// "The user will thus be alerted ... on every call until the SAS is verified."
		w = f.world(func(w *world) { w.alice.conf.Attended, w.bob.conf.Attended = true, true }).secured()
		if got := w.continuity(); got != [2]string{"mismatch", "mismatch"} {
			t.Errorf("the call after: %v", got)
		}
		words := await[Secured](t, &w.alice).SAS
		if !w.alice.e.Compare(0, "typed", words).Equal || !w.bob.e.Compare(0, "typed", words).Equal {
			t.Error("not verified")
		}
		w.alice.result(t)
		w.bob.result(t)
		if got := f.call().continuity(); got != [2]string{"match", "match"} {
			t.Errorf("after the verification: %v", got)
		}
	})
}

// Without anybody there a mismatch ends the call with 21, at both ends, before
// a word is spoken; and nothing is changed by it.
func TestKeysChangedUnattended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		older := copied(t, f.bob)
		f.call()
		f.call()
		older()
		before, _ := f.record(f.alice, f.bob)
		w := f.call()
		if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonKeysChanged || b.Reason != ReasonKeysChanged {
			t.Errorf("ended with %d and %d", a.Reason, b.Reason)
		}
		if _, ok := find[Answered](&w.alice); ok || w.hears() {
			t.Error("the call took place")
		}
		after, _ := f.record(f.alice, f.bob)
		if !bytes.Equal(after.RS1, before.RS1) || !bytes.Equal(after.RS2, before.RS2) {
			t.Error("the mismatch changed what Alice remembers")
		}
	})
}

// The microphone: closed, open while the SAS is read out, closed again; open
// when the risk is accepted, for this call only.
func TestMicrophoneIsGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		older := copied(t, f.bob)
		f.call()
		f.call()
		older()
		w := f.world(func(w *world) {
			w.alice.conf.Attended, w.bob.conf.Attended = true, true
			w.alice.conf.Duration = time.Minute
		}).secured()
		var seen watch
		w.net.SetTap(seen.tap)
		await[Answered](t, &w.bob)
		hears := func() bool {
			time.Sleep(time.Second)
			w.deafen()
			time.Sleep(time.Second)
			return w.hears()
		}
		if hears() {
			t.Error("the microphone is open although the keys have changed")
		}
		if !await[Guarded](t, &w.alice).On {
			t.Error("nobody said so")
		}
		if n := seen.count(w.alice.addr, kindRTP); n < 90 {
			t.Errorf("%d packets while it is closed: silence must be sent", n)
		}
		w.alice.e.Do(0, BeginVerify)
		if !hears() {
			t.Error("closed while the SAS is read out")
		}
		w.alice.e.Do(0, EndVerify)
		if hears() {
			t.Error("open after nothing was verified")
		}
		w.alice.e.Compare(0, "typed", "nonsense")
		if hears() {
			t.Error("nonsense opens it")
		}
		w.alice.e.Do(0, AcceptRisk)
		if !hears() {
			t.Error("closed although the risk was accepted")
		}
		w.alice.e.Do(0, Hangup)
		w.alice.result(t)
		w.bob.result(t)
		w = f.call(func(w *world) { w.alice.conf.Attended = true })
		if got := w.continuity()[0]; got != "mismatch" {
			t.Errorf("the next call does not warn: %s", got)
		}
	})
}

// Three wrong answers end the call with 22, put rs1 and rs2 back and take the
// verification away (RFC 6189, Section 7.1). A command's answer is no slip of
// the tongue: one is enough.
func TestWrongSAS(t *testing.T) {
	for _, how := range []string{"typed", "via"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFriends(t)
			w := f.world().secured()
			w.alice.e.Compare(0, "typed", await[Secured](t, &w.alice).SAS)
			w.alice.result(t)
			w.bob.result(t)
			before, _ := f.record(f.alice, f.bob)
			if before.Verified.IsZero() {
				t.Fatal("not verified")
			}
			w = f.world(func(w *world) { w.alice.conf.Duration = time.Minute }).secured()
			var last Comparison
			for range 3 {
				if last = w.alice.e.Compare(0, how, "adult amulet"); last.Equal || !last.Possible || last.Left == 0 {
					break
				}
			}
			if last.Left != 0 || last.Equal {
				t.Errorf("%+v", last)
			}
			if r := w.alice.result(t); r.Reason != ReasonSAS {
				t.Errorf("%s: ended with %d", how, r.Reason)
			}
			if r := w.bob.result(t); r.Reason != ReasonSAS || !errors.Is(r.Err, ErrUnequalThere) {
				t.Errorf("%s: Bob's ended: %+v", how, r)
			}
			if r, _ := f.record(f.bob, f.alice); !r.Verified.IsZero() || !bytes.Equal(r.RS1, before.RS1) {
				t.Errorf("%s: Bob remembers the call", how)
			}
			after, _ := f.record(f.alice, f.bob)
			if !after.Verified.IsZero() || after.How != "" || !bytes.Equal(after.RS1, before.RS1) || !bytes.Equal(after.RS2, before.RS2) {
				t.Errorf("%s: Alice remembers the call: verified %v", how, after.Verified)
			}
			if c := w.alice.e.Compare(0, how, "adult amulet"); c.Possible {
				t.Error("compared after the end")
			}
		})
	}
}

// Somebody with a friend's ZID and not his secret says that the words are not the same: he is
// not believed, and takes nobody's verification away.
func TestImpostorCriesWolf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world().secured()
		w.bob.e.Compare(0, "typed", await[Secured](t, &w.bob).SAS)
		w.alice.result(t)
		w.bob.result(t)
		_ = home(t, f.alice).Update(home(t, f.bob).ZID(), func(r *zidcache.Record) error {
			r.Wipe()
			return nil
		})
		w = f.world(func(w *world) {
			w.alice.conf.Attended, w.bob.conf.Attended = true, true
			w.bob.conf.AcceptAll = false
		})
		w.secured()
		if s := await[Secured](t, &w.bob); s.Continuity != "mismatch" {
			t.Fatalf("%+v", s)
		}
		w.alice.e.Compare(0, "via", "adult amulet")
		if r := w.alice.result(t); r.Reason != ReasonSAS {
			t.Errorf("the impostor's ended: %+v", r)
		}
		if r := await[Ended](t, &w.bob); errors.Is(r.Err, ErrUnequalThere) || r.Reason == ReasonSAS {
			t.Errorf("Bob's ended: %+v", r)
		}
		if r, _ := f.record(f.bob, f.alice); r.Verified.IsZero() {
			t.Error("the true friend is not verified any more")
		}
		w.stop()
	})
}

// Who is declined for the sake of his keys is told.
func TestKeysNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.call(func(w *world) { w.bob.conf.Require = RequireContinuity })
		if r := w.alice.result(t); r.Reason != ReasonDeclined || !errors.Is(r.Err, ErrNotAccepted) {
			t.Errorf("Alice's ended: %+v", r)
		}
		if r := w.bob.result(t); r.Reason != ReasonRequire {
			t.Errorf("Bob's ended: %+v", r)
		}
	})
}

// A contact was dialled, and another installation answers.
func TestNotTheInstallation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call(func(w *world) { w.alice.conf.Contact = "bob" })
		bob := &Contact{home(t, f.bob).ZID(), "bob"}
		if w := f.call(func(w *world) { w.alice.conf.Expect = bob }); w.alice.result(t).Reason != ReasonNormal {
			t.Error("the one that was meant")
		}
		f.bob = t.TempDir()
		_ = os.Chmod(f.bob, 0o700)
		w := f.call(func(w *world) { w.alice.conf.Expect = bob })
		if r := w.alice.result(t); r.Reason != ReasonKeysChanged {
			t.Errorf("ended with %d", r.Reason)
		}
		if k := await[KeyChanged](t, &w.alice); !k.Another || k.Contact != "bob" {
			t.Errorf("told %+v", k)
		}
		if got := w.continuity(); got != [2]string{"new", "new"} {
			t.Errorf("a new installation is reported as %v", got)
		}
		if r, _ := f.record(f.alice, f.bob); r.Answered || r.Name != "" {
			t.Error("Alice takes it for somebody she has spoken with")
		}
		if w := f.call(); w.continuity() != [2]string{"match", "match"} {
			t.Error("the other side is alarmed when she calls it by its address")
		}
	})
}

// A call that was never answered leaves a stranger, of whom no list tells.
func TestNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.bob.conf.AcceptAll = false }).secured()
		await[Incoming](t, &w.bob)
		w.bob.e.Do(0, Decline)
		w.alice.result(t)
		w.bob.result(t)
		for _, dir := range []string{f.alice, f.bob} {
			if list, err := home(t, dir).List(); err != nil || len(list) != 0 {
				t.Errorf("listed: %v %v", list, err)
			}
		}
		if got := f.call().continuity(); got != [2]string{"match", "match"} {
			t.Errorf("the next call: %v", got)
		}
		for _, dir := range []string{f.alice, f.bob} {
			if list, err := home(t, dir).List(); err != nil || len(list) != 1 {
				t.Errorf("not listed: %v %v", list, err)
			}
		}
	})
}

// A cache that cannot be read is no reason to take a friend for a new peer.
func TestUnreadableCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		w := f.world()
		if err := os.Chmod(filepath.Join(f.alice, "zids"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.run()
		r := w.alice.result(t)
		if r.Reason == ReasonNormal || !errors.Is(r.Err, zidcache.ErrNotPrivate) {
			t.Errorf("ended with %d: %v", r.Reason, r.Err)
		}
		if _, ok := find[Secured](&w.alice); ok {
			t.Error("secured")
		}
		w.stop()
	})
}

// While somebody tries out key agreements the count is told, and the number of
// them is limited: for one network, and for all together.
func TestGuesses(t *testing.T) {
	now := time.Unix(1000, 0)
	minute := func(from func(n int) netip.Addr) (g *guesses, allowed int) {
		g = newGuesses()
		at := now
		for n := range 60 * 1000 { // a thousand trials a second
			if g.allow(at, from(n), false) {
				allowed++
			}
			at = at.Add(time.Millisecond)
		}
		return g, allowed
	}
	one := netip.MustParseAddr("2001:db8::1")
	g, allowed := minute(func(n int) netip.Addr { // all of a /64
		a := one.As16()
		a[14], a[15] = byte(n>>8), byte(n)
		return netip.AddrFrom16(a)
	})
	if want := guessBurstOne + 60*guessRateOne; allowed > want || allowed < want-2 {
		t.Errorf("one network has %d trials in a minute, want %d", allowed, want)
	}
	later := now.Add(time.Minute + time.Second)
	if n := g.finished(later, one); n != allowed-1 {
		t.Errorf("%d others are told, %d there were", n, allowed-1)
	}
	if n := g.finished(later.Add(guessMemory), one); n != 0 {
		t.Errorf("%d ten minutes later", n)
	}
	if !g.allow(later, netip.MustParseAddr("192.0.2.1"), false) {
		t.Error("somebody else does not get through")
	}

	g, allowed = minute(func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) })
	if want := guessBurst + 60*guessRate; allowed > want || allowed < want-2 {
		t.Errorf("all together have %d trials in a minute, want %d", allowed, want)
	}
	if len(g.by) > guessNetworks {
		t.Errorf("%d networks are remembered", len(g.by))
	}

	g = newGuesses()
	for range 10_000 { // honest calls, as many as there may be
		if !g.allow(now, one, false) {
			t.Fatal("an honest call is refused")
		}
		if n := g.finished(now, one); n != 0 {
			t.Fatalf("%d others", n)
		}
	}
}
