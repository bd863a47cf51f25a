package zrtp

import (
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// A man in the middle runs an exchange with either side, in the name of the
// other. "If the SAS doesn't match, it indicates the presence of a MiTM
// attack" (Section 7): it never matches.
func TestManInTheMiddle(t *testing.T) {
	for seed := range uint64(100) {
		alice, bob := dialAndListen(seed)
		toAlice, toBob := config("mallory to alice", seed), config("mallory to bob", seed)
		toBob.Initiate = true
		toAlice.ZID, toAlice.SSRC = bob.ZID, bob.SSRC
		toBob.ZID, toBob.SSRC = alice.ZID, alice.SSRC
		left := newWorld(t, alice, toAlice).start().run(time.Second)
		right := newWorld(t, toBob, bob).start().run(time.Second)
		left.checkSecure()
		right.checkSecure()
		if a, b := left.ends[0].keys.SASValue, right.ends[1].keys.SASValue; a == b {
			t.Fatalf("seed %d: both read %08x", seed, a)
		}
	}
}

// One who hands on everything but his own public values does not get that far:
// the commitment, the MACs or the keys tell.
func TestManInTheMiddleOfPublicValues(t *testing.T) {
	for _, kind := range []wire.Type{dhPart1, dhPart2} {
		a, b := dialAndListen(1)
		w := newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			if p.kind == kind {
				p.packet = change(t, p.packet, func(m []byte) []byte {
					pv := m[12+32+4*8 : len(m)-8]
					copy(pv, []byte{9, 8, 7})
					return m
				})
			}
			return []time.Duration{0}
		}
		w.start().run(time.Minute)
		if w.ends[0].keys != nil || w.ends[1].keys != nil {
			t.Errorf("%v changed, and keys", kind)
		}
		if w.ends[0].failure == nil || w.ends[1].failure == nil {
			t.Errorf("%v changed: %+v, %+v", kind, w.ends[0].failure, w.ends[1].failure)
		}
	}
}
