package zidcache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// example is the file of docs/notes/zid-cache.md.
const example = "securecall zids 2\n" +
	"own 0f1e2d3c4b5a69788796a5b4\n" +
	"c0ffee00c0ffee00c0ffee00\tanswered\t2026-03-04T12:00:00Z\t2026-01-02T03:04:05Z\t192.0.2.7:5004\t2026-01-02T03:05:00Z\ttyped\t\t" +
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
	"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f\t\tbob\n"

func summed(content string) []byte { return appendSum([]byte(content), []byte(content)) }

// The format is a promise to later versions.
func TestFormat(t *testing.T) {
	data := summed(example)
	if want := "sum fc304294\n"; !strings.HasSuffix(string(data), want) {
		t.Errorf("%s", data[len(data)-sumSize:])
	}
	note, err := os.ReadFile(filepath.Join("..", "..", "docs", "notes", "zid-cache.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(note), "    "+strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", "\n    ")) {
		t.Error("docs/notes/zid-cache.md shows another file")
	}
	s, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	r, known, err := s.record(s.named("bob"))
	if !known || err != nil {
		t.Fatal(known, err)
	}
	if got := fmt.Sprintf("%x %x %x %x %x %x", s.own[:2], r.ZID[:2], r.RS1[:2], r.Meet1[:2], r.RS2, r.Meet2); got != "0f1e c0ff 0001 2021  " {
		t.Error(got)
	}
	if !bytes.Equal(fileWith(s, nil, nil, false), data) {
		t.Error("written again, it is another file")
	}
}

// A file of version 1 is read, and written as one of version 2.
func TestVersion1(t *testing.T) {
	old := "securecall zids 1\n" +
		"own 0f1e2d3c4b5a69788796a5b4\n" +
		"c0ffee00c0ffee00c0ffee00\tanswered\t2026-03-04T12:00:00Z\t2026-01-02T03:04:05Z\t192.0.2.7:5004\t2026-01-02T03:05:00Z\ttyped\t\t" +
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\t\tbob\n"
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zids"), summed(old), 0o600); err != nil {
		t.Fatal(err)
	}
	var d told
	c, err := Open(dir, d.damaged)
	if err != nil {
		t.Fatal(err)
	}
	zid := ZID{0xc0, 0xff, 0xee, 0, 0xc0, 0xff, 0xee, 0, 0xc0, 0xff, 0xee, 0}
	r, known, err := c.Lookup(zid)
	if !known || err != nil || r.Name != "bob" || r.RS1[1] != 1 || r.Meet1 != nil {
		t.Fatal(r, known, err)
	}
	if err := c.Update(zid, func(r *Record) error { r.Address = ""; return nil }); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(filepath.Join(dir, "zids"))
	if want := strings.Replace(strings.Replace(old, "zids 1", "zids 2", 1), "192.0.2.7:5004", "", 1); err != nil || string(now) != string(summed(want)) {
		t.Errorf("%s, %v", now, err)
	}
	if len(d) > 0 {
		t.Error(d)
	}
}

// The longest record there can be fits.
func TestLongestLine(t *testing.T) {
	r := full(1)
	r.Answered = false
	r.How = strings.Repeat("w", maxHow)
	r.Name = strings.Repeat("𝛑", maxName)
	r.Address = strings.Repeat("a", maxAddress)
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	if line := r.append(nil); len(line) != maxLine {
		t.Errorf("%d bytes, and maxLine is %d", len(line), maxLine)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	data := summed(example)
	for i := range len(data) * 8 {
		data[i/8] ^= 1 << (i % 8)
		_, err := parse(data)
		var d *damage
		if !errors.As(err, &d) && !errors.Is(err, ErrNewer) {
			t.Errorf("bit %d: %v", i, err)
		}
		data[i/8] ^= 1 << (i % 8)
	}
	for i := range data {
		if _, err := parse(data[:i]); err == nil {
			t.Errorf("read with %d of %d bytes", i, len(data))
		}
	}
	if _, err := parse(append(data, '\n')); err == nil {
		t.Error("read with one byte too many")
	}
}

// told collects what damaged is called with.
type told []string

func (d *told) damaged(aside string, why error) {
	*d = append(*d, fmt.Sprintf("%s: %v", aside, why))
}

// A damaged file is told, kept as it is, and followed by a new installation.
func TestDamageIsSetAside(t *testing.T) {
	for name, broken := range map[string]string{
		"empty":          "",
		"another file":   "[core]\n\teditor = vi\n",
		"cut off":        example,
		"changed":        strings.Replace(string(summed(example)), "bob", "eve", 1),
		"version 0":      string(summed(strings.Replace(example, "zids 2", "zids 0", 1))),
		"version 02":     string(summed(strings.Replace(example, "zids 2", "zids 02", 1))),
		"no own ZID":     string(summed("securecall zids 1\n")),
		"own ZID short":  string(summed("securecall zids 1\nown 0f1e\n")),
		"half a line":    string(summed(example + "c0ffee00")),
		"header and sum": string(summed("securecall zids 1")),
	} {
		dir := fresh(t)
		path := filepath.Join(dir, "zids")
		before := reopen(t, dir).ZID()
		for range 2 { // the second time within a second, most often
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			var d told
			c, err := Open(dir, d.damaged)
			if err != nil || len(d) != 1 || !strings.HasPrefix(d[0], path+".damaged-2") {
				t.Fatalf("%s: %v, told %q", name, err, d)
			}
			if c.ZID() == before {
				t.Errorf("%s: the ZID of before without its secrets", name)
			}
			aside, _, _ := strings.Cut(d[0], ": ")
			if b, err := os.ReadFile(aside); err != nil || string(b) != broken {
				t.Errorf("%s: set aside: %q, %v", name, b, err)
			}
			put(t, c, full(1))
			reopen(t, dir)
		}
		if found, err := filepath.Glob(path + ".damaged-*"); len(found) != 2 || err != nil {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
}

// The same while the state is in use: by whoever reads next.
func TestDamageInUse(t *testing.T) {
	bad := summed(example + fmt.Sprintf("%x\tanswered\n", peer(1)))
	for name, use := range map[string]func(*Cache) error{
		"Lookup": func(c *Cache) error {
			_, known, err := c.Lookup(peer(1))
			if known {
				return errors.New("known")
			}
			return err
		},
		"Named":  func(c *Cache) error { _, _, err := c.Named("x"); return err },
		"List":   func(c *Cache) error { _, err := c.List(); return err },
		"Update": func(c *Cache) error { return c.Update(peer(1), func(*Record) error { return nil }) },
	} {
		dir := fresh(t)
		var d told
		c, err := Open(dir, d.damaged)
		if err != nil {
			t.Fatal(err)
		}
		before := c.ZID()
		content := bad // whose sum is right, and one line not
		if name == "Named" {
			content = bad[1:]
		}
		if err := os.WriteFile(c.path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := use(c); err != nil || len(d) != 1 || c.ZID() == before {
			t.Errorf("%s: %v, told %q", name, err, d)
		}
		if err := os.Remove(c.path); err != nil {
			t.Fatal(err)
		}
		before = c.ZID()
		if err := use(c); err != nil || len(d) != 2 || !strings.HasPrefix(d[1], ": ") || c.ZID() == before {
			t.Errorf("%s, file gone: %v, told %q", name, err, d)
		}
	}
}

func TestNewerVersionIsLeftAlone(t *testing.T) {
	for _, content := range []string{"securecall zids 3\n", "securecall zids 17\nanything", string(summed("securecall zids 18446744073709551615\n"))} {
		dir := fresh(t)
		c := reopen(t, dir)
		if err := os.WriteFile(c.path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var d told
		if _, err := Open(dir, d.damaged); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("Open: %v", err)
		}
		if _, _, err := c.Lookup(peer(1)); !errors.Is(err, ErrNewer) {
			t.Errorf("Lookup: %v", err)
		}
		if err := c.Update(peer(1), func(*Record) error { return nil }); !errors.Is(err, ErrNewer) {
			t.Errorf("Update: %v", err)
		}
		if err := c.Forget(peer(1)); !errors.Is(err, ErrNewer) {
			t.Errorf("Forget: %v", err)
		}
		b, err := os.ReadFile(c.path)
		entries, _ := os.ReadDir(dir)
		if string(b) != content || err != nil || len(d) > 0 || len(entries) != 2 {
			t.Errorf("%q, %v, told %q, %v", b, err, d, entries)
		}
	}
}

func TestHugeFileIsNotRead(t *testing.T) {
	c := reopen(t, fresh(t))
	if err := os.Truncate(c.path, maxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Lookup(peer(1)); err == nil || !strings.Contains(err.Error(), "67108865 bytes") {
		t.Error(err)
	}
}

// FuzzScan: to look for one line comes to the same as to read the whole file,
// however the file comes.
func FuzzScan(f *testing.F) {
	f.Add([]byte(example), true)
	f.Add([]byte(strings.Replace(example, "\tanswered", "\tunanswered", 1)), false)
	f.Add([]byte("securecall zids 1\nown 0f1e2d3c4b5a69788796a5b4\n"), true)
	f.Add([]byte("securecall zids 01\nown 0f1e2d3c4b5a69788796a5b4\n"), true)
	f.Add([]byte("securecall zids 3\n"), false)
	f.Add([]byte("securecall zids 2\nown 0f1e2d3c4b5a69788796a5b4\n"), true)
	f.Add([]byte("securecall zids 1\nown 0f1e2d3c4b5a69788796a5b4\nsum 00000000\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, sum bool) {
		if sum {
			data = summed(string(data))
		}
		whole, err := parse(data)
		for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data)), iotest.DataErrReader(bytes.NewReader(data))} {
			s := scanner{wanted: isOf(peer(1))}
			scanErr := s.run(r)
			if scanErr == nil && !s.ended {
				scanErr = errLine
			}
			switch {
			case err == nil && scanErr == nil:
				want, known, err := whole.record(whole.find(peer(1)))
				if err != nil {
					t.Fatalf("a line that scan takes: %v", err)
				}
				if s.own != whole.own || s.found != known || s.record.ZID != want.ZID || s.record.Name != want.Name || !bytes.Equal(s.record.RS1, want.RS1) {
					t.Errorf("%q: %v %v, whole %v %v", data, s.own, s.record, whole.own, want)
				}
			case err == nil:
				// A line that nobody wrote, which parse has no need to look at.
				if _, _, err := whole.record(whole.find(peer(1))); err == nil && !bytes.Contains(whole.records, []byte("sum ")) {
					t.Errorf("%q: %v, whole it is fine", data, scanErr)
				}
			case scanErr == nil:
				t.Errorf("%q: taken, whole it is %v", data, err)
			case errors.Is(err, ErrNewer) != errors.Is(scanErr, ErrNewer):
				t.Errorf("%q: %v, whole %v", data, scanErr, err)
			}
		}
	})
}

// FuzzFile: what parses is written again as it was, and everything that is
// done with a state works on any that parses.
func FuzzFile(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(strings.Replace(example, "\tanswered", "\tunanswered", 1)))
	f.Add([]byte("securecall zids 1\nown 0f1e2d3c4b5a69788796a5b4\n"))
	f.Add([]byte("securecall zids 2\nown 0f1e2d3c4b5a69788796a5b4\n"))
	f.Add([]byte("securecall zids 1\nown 0f1e2d3c4b5a69788796a5b4\n\n\tunanswered\t\n\t\n"))
	f.Add([]byte("securecall zids 3\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := parse(content); err == nil && !bytes.Equal(content, summed(string(content[:len(content)-sumSize]))) {
			t.Error("read without its sum")
		}
		data := summed(string(content))
		s, err := parse(data)
		if err != nil {
			return
		}
		again := fileWith(s, nil, nil, false)
		if old, ok := bytes.CutPrefix(content, []byte("securecall zids 1\n")); ok {
			data = summed("securecall zids 2\n" + string(old))
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%q became %q", data, again)
		}
		for line := range bytes.Lines(s.records) {
			r, err := parseRecord(line)
			if err != nil {
				continue
			}
			if again := r.append(nil); !bytes.Equal(again, line) {
				t.Errorf("%q became %q", line, again)
			}
			if found := s.find(r.ZID); found == nil {
				t.Errorf("%q is not found", line)
			}
			if r.Name != "" && s.named(r.Name) == nil {
				t.Errorf("%q is not found by name", line)
			}
		}
		_, _, _ = s.record(s.named("bob"))
		s.oldest(0, s.find(peer(1)))
		r := full(1)
		s, err = parse(fileWith(s, s.find(peer(1)), r.append(nil), true))
		if err != nil {
			t.Fatal(err)
		}
		if _, known, err := s.record(s.find(peer(1))); !known || err != nil {
			t.Errorf("known %t, %v", known, err)
		}
	})
}

// A cache of 10,000 peers.
func crowd(b *testing.B) *Cache {
	c := reopen(b, fresh(b))
	s := &state{own: c.ZID()}
	s.head = appendHead(nil, s.own)
	for n := range 10_000 {
		r := full(n)
		s.records = r.append(s.records)
	}
	if err := c.write(fileWith(s, nil, nil, false)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return c
}

func BenchmarkLookup(b *testing.B) {
	c := crowd(b)
	for b.Loop() {
		r, known, err := c.Lookup(peer(9_999))
		if !known || err != nil {
			b.Fatal(known, err)
		}
		r.Wipe()
	}
}

func BenchmarkLookupOfStranger(b *testing.B) {
	c := crowd(b)
	for b.Loop() {
		if _, known, err := c.Lookup(peer(10_000)); known || err != nil {
			b.Fatal(known, err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	c := crowd(b)
	n := 0
	for b.Loop() {
		n++
		err := c.Update(peer(5_000), func(r *Record) error {
			r.RS2, r.RS1 = r.RS1, secret(n)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
