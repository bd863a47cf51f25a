package call

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zidcache"
	"securecall/crypto/zrtp/wire"
)

// mallory is a folder with Bob's ZID, which anybody can overhear, and with
// rs1 about Alice (nil: nothing).
func (f *friends) mallory(rs1 []byte) string {
	dir := f.t.TempDir()
	_ = os.Chmod(dir, 0o700)
	b, err := os.ReadFile(filepath.Join(f.bob, "zids"))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zids"), b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	c := home(f.t, dir)
	alice := home(f.t, f.alice).ZID()
	if err := c.Forget(alice); err != nil {
		f.t.Fatal(err)
	}
	if rs1 != nil {
		if err := c.Update(alice, func(r *zidcache.Record) error { r.RS1 = rs1; return nil }); err != nil {
			f.t.Fatal(err)
		}
	}
	return dir
}

func attended(w *world) { w.alice.conf.Attended, w.bob.conf.Attended = true, true }

// A man in the middle of all calls so far is found out, because he misses
// one and the people compare. His secret becomes rs2, and verified.
func TestWhoWasFoundOutIsNotVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		a, b := home(t, f.alice), home(t, f.bob)
		x, y := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
		first := func(secret []byte) func(r *zidcache.Record) error {
			return func(r *zidcache.Record) error {
				r.RS1, r.Name, r.Answered = bytes.Clone(secret), "friend", true
				return nil
			}
		}
		if err := a.Update(b.ZID(), first(x)); err != nil {
			t.Fatal(err)
		}
		if err := b.Update(a.ZID(), first(y)); err != nil {
			t.Fatal(err)
		}
		// He is away: both are warned, and compare the words.
		w := f.world(attended).secured()
		if got := w.continuity(); got != [2]string{"mismatch", "mismatch"} {
			t.Fatal(got)
		}
		sas := await[Secured](t, &w.alice).SAS
		if !w.alice.e.Compare(0, "typed", sas).Equal || !w.bob.e.Compare(0, "typed", sas).Equal {
			t.Fatal("not verified")
		}
		w.alice.result(t)
		w.bob.result(t)
		// He is back, with nothing but the secret that he had.
		m := f.mallory(x)
		for n := range 4 {
			w = f.world(func(w *world) { w.bob.conf.Cache = home(t, m); w.alice.conf.Require = RequireVerified }).secured()
			s := await[Secured](t, &w.alice)
			w.alice.result(t)
			w.bob.result(t)
			if s.Verified {
				t.Errorf("call %d with the man in the middle: %q, verified", n, s.Continuity)
			}
		}
	})
}

// The secrets have expired, the verification has not: whoever says the ZID
// is "new" once, and verified in the next call.
func TestVerificationEndsWithItsSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		a, b := home(t, f.alice), home(t, f.bob)
		_ = a.Update(b.ZID(), func(r *zidcache.Record) error {
			r.Name, r.Verified, r.How, r.Expires = "bob", time.Now(), "typed", time.Now().Add(time.Hour)
			return nil
		})
		time.Sleep(2 * time.Hour)
		old, _ := f.record(f.alice, f.bob)
		m := f.mallory(nil)
		bad := func(w *world) { w.bob.conf.Cache = home(t, m) }
		f.call(bad)
		r, _ := f.record(f.alice, f.bob)
		if bytes.Equal(r.RS2, old.RS1) && r.Expires.IsZero() {
			t.Error("the expired secret is in use again as rs2")
		}
		w := f.call(bad)
		if s := await[Secured](t, &w.alice); s.Verified {
			t.Errorf("a stranger is %q at %s, verified", s.Contact, s.Continuity)
		}
	})
}

// Forgotten during the call, then verified in it: a verification without
// secrets, for whoever comes first.
func TestForgottenAndVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.alice.conf.Duration = 5 * time.Second }).secured()
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		if err := home(t, f.alice).Forget(home(t, f.bob).ZID()); err != nil {
			t.Fatal(err)
		}
		w.alice.e.Compare(0, "typed", await[Secured](t, &w.alice).SAS)
		w.alice.result(t)
		w.bob.result(t)
		m := f.mallory(nil)
		bad := func(w *world) { w.bob.conf.Cache = home(t, m) }
		f.call(bad)
		w = f.call(bad)
		if s := await[Secured](t, &w.alice); s.Verified {
			t.Errorf("a stranger is %s, verified", s.Continuity)
		}
	})
}

// How many SAS a man in the middle sees in one call that is dialled.
func TestDiallerShowsFewSAS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world()
		seen := map[string]bool{}
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			p, err := wire.ParsePacket(b)
			if err != nil {
				return b
			}
			m, err := wire.Parse(bytes.Clone(p.Message))
			if err != nil {
				return b
			}
			switch {
			case from == w.alice.addr && m.Type() == wire.TypeDHPart2:
				if k := string(p.Message); !seen[k] {
					seen[k] = true // from here on its sender's SAS is known
					w.net.Inject(w.bob.addr, w.alice.addr, hello(t, uint32(1000+len(seen))))
				}
			case from == w.bob.addr && m.Type() == wire.TypeConfirm1:
				return nil // not the SAS that he needs
			}
			return b
		})
		w.run()
		w.alice.result(t)
		// One session, and as many more as maxShown.
		if len(seen) > 1+maxShown {
			t.Errorf("%d different SAS in one call", len(seen))
		}
		w.stop()
	})
}

// A dialler's call is ended by Hellos that anybody can write.
func TestDiallerOutlivesItsOwnZID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world()
		zid := home(t, f.alice).ZID()
		w.dial()
		for n := range uint32(30) {
			m := &wire.Hello{Version: [4]byte{'1', '.', '1', '0'}, H3: [32]byte{7, byte(n)}, ZID: zid}
			if n%2 == 1 {
				m.ZID[0] ^= 1
			}
			w.net.Inject(w.bob.addr, w.alice.addr, wire.AppendPacket(nil, 7, 0x07070700+n, m.Append(nil)))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		w.listen()
		r := w.alice.result(t)
		if r.Reason != ReasonNormal {
			t.Errorf("ended with %d: %v; %v", r.Reason, r.Err, w.alice.names())
		}
		w.stop()
	})
}

// The words differ in the first call to "bob": whoever that was keeps the name.
func TestNameOfTheImpostor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.alice.conf.Contact = "bob"; w.alice.conf.Duration = time.Minute }).secured()
		w.alice.e.Compare(0, "via", "adult amulet")
		if r := w.alice.result(t); r.Reason != ReasonSAS {
			t.Fatal(r.Reason)
		}
		w.bob.result(t)
		if r, known, _ := home(t, f.alice).Named("bob"); known {
			t.Errorf("the one in between still is %q (answered %v)", r.Name, r.Answered)
		}
	})
}

// Forgotten, and still answered by a listener that runs.
func TestForgottenGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		w := f.world(func(w *world) { w.bob.conf.KnownOnly, w.bob.conf.Once = true, false })
		w.listen()
		z := home(t, f.alice).ZID()
		now := time.Now()
		_ = w.bob.e.knows(now, z) // as a Hello of hers would have it
		_ = home(t, f.bob).Forget(z)
		time.Sleep(time.Hour)
		if w.bob.e.knows(time.Now(), z) {
			t.Error("an hour after she was forgotten her ZID still gets an answer")
		}
		w.stop()
	})
}

// What was looked up for a session that was begun anew stays in memory.
func TestLookedUpIsWiped(t *testing.T) {
	f := newFriends(t)
	a, b := home(t, f.alice), home(t, f.bob)
	_ = a.Update(b.ZID(), func(r *zidcache.Record) error { r.RS1 = bytes.Repeat([]byte{9}, 32); return nil })
	c := &core{conf: &Config{Cache: a}}
	c.retained(b.ZID())
	first := c.trust.before.RS1
	c.retained(wire.ZID{4})
	c.trust.forget()
	if first[0] == 9 {
		t.Error("rs1 is still in memory after the end of the call")
	}
}

// Two datagrams of somebody who sees nothing of ours end a dialler that
// waits; with --cipher AES3, say, one is enough.
func TestDiallerOutlivesTwoDatagrams(t *testing.T) {
	h0 := [32]byte{1, 2, 3}
	h1 := sha256.Sum256(h0[:])
	h2 := sha256.Sum256(h1[:])
	h3 := sha256.Sum256(h2[:])
	seal := func(m wire.Message, key [32]byte) []byte {
		raw := m.Append(nil)
		mac := wire.ComputeMAC(key[:], raw)
		copy(raw[len(raw)-8:], mac[:])
		return raw
	}
	for _, one := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFriends(t)
				w := f.world()
				if one {
					w.alice.conf.Algorithms.Ciphers = []wire.Name{wire.AES3}
				}
				w.dial()
				time.Sleep(time.Second)
				hello := &wire.Hello{Version: [4]byte{'1', '.', '1', '0'}, H3: h3, ZID: wire.ZID{1}}
				w.net.Inject(w.bob.addr, w.alice.addr, wire.AppendPacket(nil, 1, 7, seal(hello, h2)))
				if !one {
					time.Sleep(10 * time.Millisecond)
					part := &wire.DHPart{Part: 1, H1: h1, PV: make([]byte, 384)}
					w.net.Inject(w.bob.addr, w.alice.addr, wire.AppendPacket(nil, 2, 7, seal(part, h0)))
				}
				time.Sleep(time.Second)
				w.listen()
				if r := w.alice.result(t); r.Reason != ReasonNormal {
					t.Errorf("ended with %d: %v; %v", r.Reason, r.Err, w.alice.names())
				}
				w.stop()
			})
		})
	}
}

// SECURITY.md: "if you think that a copy was taken, contacts verify
// --remove and compare again". Done, and the thief is verified in the next call.
func TestComparedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		f.call()
		stolen, _ := f.record(f.alice, f.bob)
		_ = home(t, f.alice).Update(home(t, f.bob).ZID(), func(r *zidcache.Record) error {
			r.Verified, r.How = time.Time{}, "" // verify --remove
			return nil
		})
		w := f.world().secured()
		if !w.alice.e.Compare(0, "typed", await[Secured](t, &w.alice).SAS).Equal {
			t.Fatal("not verified")
		}
		w.alice.result(t)
		w.bob.result(t)
		m := f.mallory(bytes.Clone(stolen.RS1))
		w = f.call(func(w *world) { w.bob.conf.Cache = home(t, m); w.alice.conf.Attended = true })
		if s := await[Secured](t, &w.alice); s.Verified {
			t.Errorf("the thief: %s, verified", s.Continuity)
		}
	})
}

// What a shell prints before the command is taken for another SAS.
func TestViaBanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world().secured()
		w.alice.e.Compare(0, "typed", await[Secured](t, &w.alice).SAS)
		w.alice.result(t)
		w.bob.result(t)
		w = f.world(func(w *world) { w.alice.conf.Duration = time.Minute }).secured()
		w.alice.e.Compare(0, "via", "Last login: Mon Nov 23 from 192.0.2.9")
		time.Sleep(time.Second)
		if e, ok := find[Ended](&w.alice); ok {
			r, _ := f.record(f.alice, f.bob)
			t.Errorf("ended with %d, verified %v", e.Reason, !r.Verified.IsZero())
		}
		w.stop()
	})
}

// Forgotten while it rings, and remembered again by the answer.
func TestForgottenStaysForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		w := f.world(func(w *world) { w.bob.conf.AcceptAll = false }).secured()
		await[Incoming](t, &w.bob)
		time.Sleep(time.Second)
		_ = home(t, f.bob).Forget(home(t, f.alice).ZID())
		w.bob.e.Do(0, Answer)
		w.alice.result(t)
		w.bob.result(t)
		if r, known := f.record(f.bob, f.alice); known {
			t.Errorf("known again: answered %v, %d bytes of rs1", r.Answered, len(r.RS1))
		}
	})
}
