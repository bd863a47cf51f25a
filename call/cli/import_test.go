package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"securecall/crypto/zidcache"
)

// A file to import names an attacker's ZID by the ZID of a friend.
func TestImportedNameIsNoZID(t *testing.T) {
	dir := t.TempDir()
	_ = os.Chmod(dir, 0o700)
	c, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	friend := zidcache.ZID{1}
	_ = c.Update(friend, func(r *zidcache.Record) error { r.Answered, r.Verified, r.How = true, time.Now(), "typed"; return nil })
	list, err := readContacts(strings.NewReader("020000000000000000000000\t010000000000000000000000\t192.0.2.66\n"))
	if err != nil {
		return // refused: fine
	}
	_, _ = importAll(c, list)
	r, err := resolve(c, "010000000000000000000000")
	if r.ZID != friend {
		t.Errorf("the friend's ZID is %x (%v)", r.ZID, err)
	}
}

// Somebody with ten thousand contacts finds each of them.
func TestTenThousandContacts(t *testing.T) {
	t.Parallel()
	const many = 10_000
	dir := acquainted(t)
	var lines strings.Builder
	for n := range many {
		fmt.Fprintf(&lines, "%024x\tperson %05d\t192.0.2.7\n", n+1, n)
	}
	file := filepath.Join(t.TempDir(), "all")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, status := runContacts(dir, "import", file); status != 0 || !strings.Contains(stderr, "10000 imported, 0 skipped") {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if stdout, _, status := runContacts(dir, "list"); status != 0 || strings.Count(stdout, "\n") != many+2 { // bob and ruth too
		t.Errorf("status %d, %d lines", status, strings.Count(stdout, "\n"))
	}
	if stdout, _, status := runContacts(dir, "export"); status != 0 || !strings.Contains(stdout, lines.String()) {
		t.Errorf("status %d: not everybody is in the export", status)
	}
	for _, n := range []int{0, 5_000, many - 1} {
		stdout, _, status := runContacts(dir, "show", fmt.Sprintf("person %05d", n))
		if want := fmt.Sprintf("zid\t%024x\n", n+1); status != 0 || !strings.HasPrefix(stdout, want) {
			t.Errorf("status %d: %q, want %q", status, stdout, want)
		}
	}
	if _, stderr, status := runContacts(dir, "rename", "person 07777", "person 07778"); status != 2 {
		t.Errorf("a name that is taken: status %d: %s", status, stderr)
	}
}

// An import that cannot be written down whole changes nothing.
func TestImportIsWholeOrNothing(t *testing.T) {
	dir := acquainted(t)
	c, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "zids"))
	if err != nil {
		t.Fatal(err)
	}
	good := zidcache.Record{ZID: zidcache.ZID{7}, Name: "good"}
	if _, err := importAll(c, []zidcache.Record{good, {ZID: zidcache.ZID{8}, Name: "tab\tin it"}}); err == nil {
		t.Error("a name with a tab was written")
	}
	after, err := os.ReadFile(filepath.Join(dir, "zids"))
	if err != nil || string(after) != string(before) {
		t.Errorf("%v\n%s", err, after)
	}
}
