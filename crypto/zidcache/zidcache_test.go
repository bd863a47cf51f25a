package zidcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fresh is a folder yet to be made: that of TempDir has rights for all.
func fresh(t testing.TB) string { return filepath.Join(t.TempDir(), "state") }

// reopen opens the state in dir, which must not be damaged.
func reopen(t testing.TB, dir string) *Cache {
	t.Helper()
	c, err := Open(dir, func(aside string, why error) { t.Errorf("set aside to %q: %v", aside, why) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func peer(n int) (zid ZID) {
	binary.BigEndian.PutUint64(zid[:], uint64(n))
	zid[11] = 0xfe
	return zid
}

func secret(n int) []byte { return bytes.Repeat([]byte{byte(n)}, secretSize) }

// full is a record in which nothing is missing.
func full(n int) Record {
	return Record{
		ZID: peer(n), RS1: secret(n), RS2: secret(n + 100), Meet1: secret(n + 200), Meet2: secret(n + 300),
		Expires: noon.AddDate(1, 0, 0), Verified: noon, How: "typed",
		Name: fmt.Sprintf("Zoë %d", n), Address: "[2001:db8::7]:5004",
		First: noon.Add(-time.Hour), Last: noon.Add(time.Duration(n) * time.Second), Answered: true,
	}
}

func put(t testing.TB, c *Cache, r Record) {
	t.Helper()
	if err := c.Update(r.ZID, func(old *Record) error { *old = r; return nil }); err != nil {
		t.Fatal(err)
	}
}

func lookup(t testing.TB, c *Cache, zid ZID) Record {
	t.Helper()
	r, known, err := c.Lookup(zid)
	if err != nil || !known {
		t.Fatalf("%x: known %t, %v", zid, known, err)
	}
	return r
}

// RFC 6189, Section 4.9: "Each instance of ZRTP has a unique 96-bit random
// ZRTP ID, or ZID, that is generated once at installation time."
func TestZIDIsGeneratedOnce(t *testing.T) {
	dir := t.TempDir()
	a := reopen(t, filepath.Join(dir, "new", "one"))
	b := reopen(t, filepath.Join(dir, "new", "one"))
	if a.ZID() != b.ZID() || a.ZID() == (ZID{}) {
		t.Errorf("%x, then %x", a.ZID(), b.ZID())
	}
	if c := reopen(t, filepath.Join(dir, "other")); c.ZID() == a.ZID() {
		t.Error("two installations have one ZID")
	}
}

// Section 4.9: "a new retained shared secret rs1 is generated and stored in the
// cache, indexed by the ZID of the other endpoint."
func TestUpdateAndLookup(t *testing.T) {
	dir := fresh(t)
	c := reopen(t, dir)
	if r, known, err := c.Lookup(peer(1)); known || err != nil || !reflect.DeepEqual(r, Record{}) {
		t.Fatalf("before anything was stored: %v, %t, %v", r, known, err)
	}
	for n := range 3 {
		if n == 0 {
			put(t, c, Record{ZID: peer(n)})
		} else {
			put(t, c, full(n))
		}
	}
	// Somebody else who opens the same folder, and the one who wrote.
	for _, c := range []*Cache{reopen(t, dir), c} {
		if r := lookup(t, c, peer(0)); !reflect.DeepEqual(r, Record{ZID: peer(0)}) {
			t.Errorf("the empty record: %#v", r)
		}
		for n := 1; n < 3; n++ {
			if r := lookup(t, c, peer(n)); !reflect.DeepEqual(r, full(n)) {
				t.Errorf("%x became %x", full(n).RS1, r.RS1)
			}
			if r, known, err := c.Named(full(n).Name); !known || err != nil || r.ZID != peer(n) {
				t.Errorf("%s: %v, %t, %v", full(n).Name, r, known, err)
			}
		}
	}
	for _, name := range []string{"", "Zoë", "Zoë 1 ", "oë 1", "typed"} {
		if r, known, err := c.Named(name); known || err != nil {
			t.Errorf("%q: %v, %v", name, r, err)
		}
	}
}

// Section 4.6.1: "each party first discards their old rs2 and copies their old
// rs1 to rs2", and rs1 becomes the new one.
func TestRotation(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	var seen, mine []byte
	err := c.Update(peer(1), func(r *Record) error {
		seen, mine = r.RS1, secret(9)
		r.RS2, r.RS1 = r.RS1, mine
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := lookup(t, c, peer(1)); !bytes.Equal(r.RS1, secret(9)) || !bytes.Equal(r.RS2, secret(1)) {
		t.Errorf("rs1 %x, rs2 %x", r.RS1, r.RS2)
	}
	if !bytes.Equal(seen, make([]byte, secretSize)) {
		t.Error("the old rs1 is still in memory")
	}
	if !bytes.Equal(mine, secret(9)) {
		t.Error("the caller's slice was wiped")
	}
}

func TestRefusedChangesWriteNothing(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	put(t, c, full(2))
	before, _ := os.ReadFile(c.path)
	mine := errors.New("mine")
	for why, change := range map[string]func(*Record) error{
		"an error":           func(r *Record) error { r.Name = "x"; return mine },
		"another ZID":        func(r *Record) error { r.ZID = peer(3); return nil },
		"a short secret":     func(r *Record) error { r.RS1 = r.RS1[:31]; return nil },
		"verified, not how":  func(r *Record) error { r.How = ""; return nil },
		"how, not verified":  func(r *Record) error { r.Verified = time.Time{}; return nil },
		"how in two words":   func(r *Record) error { r.How = "typed\tor"; return nil },
		"address with a tab": func(r *Record) error { r.Address = "a\tb:1"; return nil },
		"a long address":     func(r *Record) error { r.Address = strings.Repeat("a", maxAddress+1); return nil },
		"before 1970":        func(r *Record) error { r.First = time.Unix(-1, 0); return nil },
		"after 9999":         func(r *Record) error { r.Expires = time.Unix(1<<40, 0); return nil },
	} {
		err := c.Update(peer(1), change)
		if err == nil || why == "an error" && !errors.Is(err, mine) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if err := c.Update(c.ZID(), func(*Record) error { return nil }); err == nil {
		t.Error("a record about one's own ZID")
	}
	if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestNames(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	name := func(n int, name string) error {
		return c.Update(peer(n), func(r *Record) error { r.Name = name; return nil })
	}
	var taken *NameTakenError
	if err := name(2, full(1).Name); !errors.Is(err, ErrNameTaken) || !errors.As(err, &taken) || taken.ZID != peer(1) {
		t.Errorf("a name twice: %v", err)
	}
	for _, bad := range []string{
		"a\nb", "a\tb", "\x1b[31m", "a\u202eb", "a\u200bb", "a\u2028b", "\xff", " a", "a ", "a\u00a0b", strings.Repeat("ä", 65),
	} {
		if err := name(1, bad); !errors.Is(err, ErrInvalidName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := CheckName(""); !errors.Is(err, ErrInvalidName) {
		t.Errorf("no name: %v", err)
	}
	for _, good := range []string{strings.Repeat("ä", 64), "own", "sum", "李 小龙", "O'Neil, \"Bob\"", full(1).Name, ""} {
		if err := name(1, good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
		if r := lookup(t, c, peer(1)); r.Name != good {
			t.Errorf("%q became %q", good, r.Name)
		}
	}
	// The name is free again.
	if err := name(2, full(1).Name); err != nil {
		t.Error(err)
	}
}

func TestForget(t *testing.T) {
	c := reopen(t, fresh(t))
	for n := range 3 {
		put(t, c, full(n))
	}
	for range 2 {
		if err := c.Forget(peer(1)); err != nil {
			t.Fatal(err)
		}
		if _, known, err := c.Lookup(peer(1)); known || err != nil {
			t.Errorf("still known: %t, %v", known, err)
		}
	}
	lookup(t, c, peer(0))
	lookup(t, c, peer(2))
	b, err := os.ReadFile(c.path)
	if r := full(1); err != nil || bytes.Contains(b, []byte(r.Name)) || bytes.Contains(b, fmt.Appendf(nil, "%x", r.RS1)) {
		t.Errorf("left of it:\n%s", b)
	}
}

func TestList(t *testing.T) {
	c := reopen(t, fresh(t))
	for n, name := range []string{"carol", "", "alice", "", "bob"} {
		r := full(n)
		r.Name = name
		put(t, c, r)
	}
	put(t, c, Record{ZID: peer(7), Last: noon})
	put(t, c, Record{ZID: peer(8), Name: "dave"}) // who was given a name is no stranger
	list, err := c.List()
	var got []string
	for _, r := range list {
		got = append(got, fmt.Sprintf("%s%d", r.Name, r.ZID[7]))
		if r.RS1 != nil || r.RS2 != nil {
			t.Errorf("%v with its secrets", r)
		}
	}
	if want := "alice2 bob4 carol0 dave8 3 1"; strings.Join(got, " ") != want || err != nil {
		t.Errorf("got %s, want %s, %v", got, want, err)
	}
}

func TestStrangersMakeRoom(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(0))
	// So many strangers, written at once; each has called a second later.
	s := &state{own: c.ZID()}
	s.head = appendHead(nil, s.own)
	var lines []byte
	r := full(0)
	lines = r.append(lines)
	for n := 1; n <= MaxStrangers; n++ {
		r := Record{ZID: peer(n), Last: noon.Add(time.Duration(n) * time.Second)}
		lines = r.append(lines)
	}
	s.records = lines
	if err := c.write(fileWith(s, nil, nil, false)); err != nil {
		t.Fatal(err)
	}
	known := func(n int) bool {
		_, known, err := c.Lookup(peer(n))
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	// Known strangers, and people who were answered, push nobody out.
	put(t, c, Record{ZID: peer(1), Last: noon.Add(time.Hour)})
	put(t, c, full(5000))
	if !known(2) {
		t.Fatal("somebody was pushed out without need")
	}
	put(t, c, Record{ZID: peer(6000)}) // the newest, though it has no time
	if known(2) || !known(1) || !known(3) || !known(6000) {
		t.Error("not the oldest was pushed out")
	}
	put(t, c, Record{ZID: peer(6001), Last: noon.Add(time.Hour)})
	if known(6000) || !known(3) {
		t.Error("not the oldest was pushed out")
	}
	if !known(0) || !known(5000) {
		t.Error("an answered one was pushed out")
	}
}

func TestExpire(t *testing.T) {
	r := full(1)
	if r.Expire(r.Expires.Add(-time.Second)); r.RS1 == nil || r.RS2 == nil {
		t.Error("expired too early")
	}
	rs1 := r.RS1
	if r.Expire(r.Expires); r.RS1 != nil || r.RS2 != nil || !bytes.Equal(rs1, make([]byte, secretSize)) {
		t.Error("not expired, or not wiped")
	}
	r = full(1)
	r.Expires = time.Time{}
	if r.Expire(noon.AddDate(200, 0, 0)); r.RS1 == nil {
		t.Error("what never ends has ended")
	}
}

func TestRecordsPrintNoSecret(t *testing.T) {
	r := full(0x41)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{r, &r, []Record{r}} {
			if s := fmt.Sprintf(verb, v); !strings.Contains(s, "Zoë 65") || strings.Contains(s, "4141") || strings.Contains(s, "65, 65") || strings.Contains(s, "AA") {
				t.Errorf("%s: %s", verb, s)
			}
		}
	}
}

// Several goroutines, each with a Cache as another process would have one.
func TestUpdatesDoNotGetLost(t *testing.T) {
	dir := fresh(t)
	first := reopen(t, dir)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := reopen(t, dir)
			for range 5 {
				err := c.Update(peer(1), func(r *Record) error {
					r.Last = r.Last.Add(time.Second)
					if r.Last.Year() == 1 {
						r.Last = noon.Add(time.Second)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				if _, known, err := first.Lookup(peer(1)); !known || err != nil {
					t.Errorf("known %t, %v", known, err)
				}
			}
		})
	}
	wg.Wait()
	if r := lookup(t, first, peer(1)); !r.Last.Equal(noon.Add(20 * time.Second)) {
		t.Errorf("%v of 20 changes are there", r.Last.Sub(noon).Seconds())
	}
}

// Several updates are one write, and a refused one leaves the others.
func TestTogether(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	writes := 0
	c.step = func(step string) error {
		if step == "rename" {
			writes++
		}
		return nil
	}
	name := func(name string) func(r *Record) error {
		return func(r *Record) error { r.Name, r.Answered = name, true; return nil }
	}
	err := c.Together(func(update Updater) error {
		for n, want := range map[int]string{2: "two", 3: "three", 4: "four"} {
			if err := update(peer(n), name(want)); err != nil {
				t.Errorf("%s: %v", want, err)
			}
		}
		var taken *NameTakenError
		if err := update(peer(5), name("three")); !errors.As(err, &taken) || taken.ZID != peer(3) {
			t.Errorf("a name that one before has got: %v", err)
		}
		return update(peer(2), name("two, again"))
	})
	if err != nil || writes != 1 {
		t.Errorf("%d writes, %v", writes, err)
	}
	c = reopen(t, filepath.Dir(c.path))
	for n, want := range map[int]string{1: full(1).Name, 2: "two, again", 3: "three", 4: "four"} {
		if r := lookup(t, c, peer(n)); r.Name != want {
			t.Errorf("peer %d is %q, want %q", n, r.Name, want)
		}
	}
	if _, known, err := c.Lookup(peer(5)); known || err != nil {
		t.Errorf("who was refused is there: %v", err)
	}
}

// With an error nothing of it is written, and what changes nothing is not written either.
func TestTogetherIsWholeOrNothing(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	c.step = func(step string) error {
		t.Errorf("a write: %s", step)
		return nil
	}
	enough := errors.New("enough")
	for _, last := range []error{enough, nil} {
		err := c.Together(func(update Updater) error {
			if last != nil {
				if err := update(peer(2), func(r *Record) error { r.Name = "two"; return nil }); err != nil {
					t.Error(err)
				}
			}
			if err := update(peer(1), func(*Record) error { return nil }); err != nil {
				t.Error(err)
			}
			return last
		})
		if !errors.Is(err, last) {
			t.Errorf("%v, want %v", err, last)
		}
	}
}

// fileWith is the whole file of which with is all but the sum.
func fileWith(s *state, before, now []byte, stranger bool) []byte {
	data := s.with(before, now, stranger)
	return appendSum(data, data)
}
