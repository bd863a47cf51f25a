package zidcache

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// contents are the files of a folder by name.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = b
	}
	return all
}

func TestExamine(t *testing.T) {
	dir := fresh(t)
	if _, _, err := Examine(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Examine(dir); !errors.Is(err, fs.ErrNotExist) || len(contents(t, dir)) > 0 {
		t.Errorf("an empty folder: %v, and then it has %d files", err, len(contents(t, dir)))
	}
	c := reopen(t, dir)
	for i := range 3 {
		r := full(i)
		if i == 2 {
			r.Name, r.Answered = "", false // a stranger
		}
		put(t, c, r)
	}
	own, known, err := Examine(dir)
	if err != nil || own != c.ZID() || known != 2 {
		t.Errorf("%x, %d known, %v; want %x and 2", own, known, err, c.ZID())
	}

	path := filepath.Join(dir, "zids")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	if own, known, err := Examine(dir); !errors.Is(err, ErrDamaged) || known != 0 || own != (ZID{}) {
		t.Errorf("a damaged file: %x, %d known, %v", own, known, err)
	}
	after := contents(t, dir)
	if len(after) != len(before) || !bytes.Equal(after["zids"], b) {
		t.Errorf("a damaged file was changed, or set aside: %d files", len(after))
	}

	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Examine(dir); !errors.Is(err, ErrNotPrivate) {
		t.Errorf("a folder for all: %v", err)
	}
}

// Who is known can be read where nothing may be made or repaired.
func TestKnown(t *testing.T) {
	dir := fresh(t)
	if list, err := Known(dir); !errors.Is(err, fs.ErrNotExist) || len(list) > 0 {
		t.Errorf("no folder: %v, %v", list, err)
	}
	c := reopen(t, dir)
	put(t, c, full(0))
	list, err := Known(dir)
	if err != nil || len(list) != 1 || list[0].Name != full(0).Name || list[0].RS1 != nil {
		t.Errorf("%v, %v", list, err)
	}
	path := filepath.Join(dir, "zids")
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	if list, err := Known(dir); !errors.Is(err, ErrDamaged) || len(list) > 0 {
		t.Errorf("a damaged file: %v, %v", list, err)
	}
	if after := contents(t, dir); len(after) != len(before) || string(after["zids"]) != "nonsense" {
		t.Errorf("a damaged file was changed, or set aside: %d files", len(after))
	}
}
