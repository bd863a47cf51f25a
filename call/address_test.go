package call

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"securecall/crypto/zidcache"
)

// Who calls does so from any free port, where nobody listens: what is kept of
// its address is the host, the newest, and never in place of one that was dialled.
func TestAddressOfACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFriends(t)
		address := func(want string) {
			t.Helper()
			if r, _ := f.record(f.bob, f.alice); r.Address != want {
				t.Errorf("Alice is kept at %q, want %q", r.Address, want)
			}
		}
		f.call()
		address("192.0.2.1")
		f.call(func(w *world) { w.alice.addr = netip.MustParseAddrPort("[2001:db8::1]:40000") })
		address("2001:db8::1")

		if err := home(t, f.bob).Update(home(t, f.alice).ZID(), func(r *zidcache.Record) error {
			r.Address = "alice.example:5004"
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		f.call()
		address("alice.example:5004")
	})
}
