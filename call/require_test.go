package call

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
)

func TestRequire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		require := func(r Requirement) func(*world) {
			return func(w *world) { w.alice.conf.Require = r }
		}
		expect := func(what string, r Requirement, reason Reason) {
			t.Helper()
			w := f.call(require(r))
			if got := w.alice.result(t).Reason; got != reason {
				t.Errorf("%s: ended with %d, not %d", what, got, reason)
			}
			if _, answered := find[Answered](&w.alice); answered != (reason == ReasonNormal) {
				t.Errorf("%s: answered %v", what, answered)
			}
		}
		expect("a new peer", RequireContinuity, ReasonRequire)
		f.call()
		expect("a known one", RequireContinuity, ReasonNormal)
		expect("not verified", RequireVerified, ReasonRequire)
		w := f.world().secured()
		w.alice.e.Compare(0, "typed", await[Secured](t, &w.alice).SAS)
		w.alice.result(t)
		w.bob.result(t)
		expect("verified", RequireVerified, ReasonNormal)
		older := copied(t, f.bob)
		f.call()
		f.call()
		older()
		expect("changed keys", RequireContinuity, ReasonKeysChanged)
	})
}

// One's own installation: the same ZID at both ends, which RFC 6189 forbids
// (error 0x90). The dialler goes on under another, and neither remembers.
func TestOwnInstallation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.bob = f.alice
		w := f.call()
		if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonNormal || b.Reason != ReasonNormal {
			t.Fatalf("ended with %d (%v) and %d", a.Reason, a.Err, b.Reason)
		}
		a, b := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
		if !a.Itself || b.Itself || a.ZID == b.ZID || a.SAS != b.SAS {
			t.Errorf("Alice: itself %v; ZIDs %s and %s", a.Itself, a.ZID, b.ZID)
		}
		if list, err := home(t, f.alice).List(); err != nil || len(list) != 0 {
			t.Errorf("remembered: %v, %v", list, err)
		}
		if b, _ := os.ReadFile(filepath.Join(f.alice, "zids")); bytes.Count(b, []byte("\n")) != 3 {
			t.Errorf("the file has more than its head and its sum:\n%s", b)
		}
	})
}

// Somebody says Hello with our own ZID before the real peer does: the call is
// with the peer, and its keys are the expected ones.
func TestImpostorOfOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		w := f.world(func(w *world) { w.alice.conf.Require = RequireContinuity })
		forged := (&wire.Hello{Version: [4]byte{'1', '.', '1', '0'}, H3: [32]byte{7}, ZID: home(t, f.alice).ZID()}).Append(nil)
		w.dial()
		w.net.Inject(w.bob.addr, w.alice.addr, wire.AppendPacket(nil, 7, 0x07070707, forged))
		time.Sleep(100 * time.Millisecond)
		w.listen()
		if a := w.alice.result(t); a.Reason != ReasonNormal {
			t.Errorf("ended with %d: %v", a.Reason, a.Err)
		}
		if s := await[Secured](t, &w.alice); s.Itself || s.Continuity != "match" {
			t.Errorf("itself %v, continuity %s", s.Itself, s.Continuity)
		}
		w.bob.result(t)
	})
}

// Strangers get no answer at all, and friends are answered.
func TestKnownOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		var seen watch
		known := func(w *world) {
			w.bob.conf.KnownOnly = true
			w.net.SetTap(seen.tap)
		}
		w := f.world(known)
		w.run()
		if r := w.alice.result(t); r.Reason != ReasonUnreachable {
			t.Errorf("a stranger: ended with %d", r.Reason)
		}
		w.stop()
		if n := len(seen.kinds[w.bob.addr]); n != 0 {
			t.Errorf("Bob sent %d packets to a stranger", n)
		}
		f.call()
		if r := f.call(known).alice.result(t); r.Reason != ReasonNormal {
			t.Errorf("a friend: ended with %d", r.Reason)
		}
		// Whoever has only overheard a friend's ZID has not his secret.
		_ = home(t, f.alice).Update(home(t, f.bob).ZID(), func(r *zidcache.Record) error {
			r.Wipe()
			return nil
		})
		w = f.call(known, func(w *world) { w.alice.conf.Attended, w.bob.conf.Attended = true, true })
		if _, ok := find[Incoming](&w.bob); ok || w.alice.result(t).Reason == ReasonNormal {
			t.Error("rings for a friend's ZID alone")
		}
	})
}

func TestAuxiliarySecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		for _, c := range []struct{ a, b, ofA, ofB string }{
			{"", "", "none", "none"},
			{"same", "same", "match", "match"},
			{"one", "other", "mismatch", "mismatch"},
			{"one", "", "mismatch", "none"},
		} {
			w := f.call(func(w *world) {
				if c.a != "" {
					w.alice.conf.Auxiliary = []byte(c.a)
				}
				if c.b != "" {
					w.bob.conf.Auxiliary = []byte(c.b)
				}
			})
			if a, b := await[Secured](t, &w.alice).Auxiliary, await[Secured](t, &w.bob).Auxiliary; a != c.ofA || b != c.ofB {
				t.Errorf("%q and %q: %s and %s", c.a, c.b, a, b)
			}
		}
	})
}

// With --split-sas only the other side's half is typed; the own one, which
// stands on the screen, verifies nothing.
func TestSplitSAS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) {
			w.alice.conf.SplitSAS, w.bob.conf.SplitSAS = true, true
			w.alice.conf.Duration = time.Minute
		}).secured()
		a, b := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
		if a.Own+" "+b.Own != a.SAS || a.SAS != b.SAS {
			t.Errorf("halves %q and %q of %q", a.Own, b.Own, a.SAS)
		}
		if w.alice.e.Compare(0, "typed", a.Own).Equal {
			t.Error("the half on her own screen verifies")
		}
		if !w.alice.e.Compare(0, "typed", b.Own).Equal || !w.bob.e.Compare(0, "typed", a.Own).Equal {
			t.Error("the other half does not verify")
		}
		w.alice.e.Do(0, Hangup)
		w.alice.result(t)
		w.bob.result(t)
	})
}
