package cli

import (
	"os"
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
	for _, r := range list {
		_, _ = importContact(c, r)
	}
	r, err := resolve(c, "010000000000000000000000")
	if r.ZID != friend {
		t.Errorf("the friend's ZID is %x (%v)", r.ZID, err)
	}
}
