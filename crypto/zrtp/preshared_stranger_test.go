package zrtp

import (
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// docs/notes/hybrid.md: "A listener never commits with the hybrid first to an
// unproven address", whatever a stranger says: his Preshared Commit, which
// otherwise brings out a DH Commit (Section 4.4.2.3), gets none of 1,316 bytes.
func TestPresharedBringsOutNoLargeCommit(t *testing.T) {
	s := mustNew(t, config("b", 1))
	now := time.Unix(1000, 0)
	s.Start(now)
	chain := newChain([32]byte{5})
	hello := seal(&wire.Hello{Version: version, H3: chain.h3, ZID: wire.ZID{1}, KeyAgreements: []wire.Name{wire.XM76}}, chain.h2)
	commit := seal(&wire.Commit{
		H2: chain.h2, ZID: wire.ZID{1},
		Hash: wire.S256, Cipher: wire.AES1, Auth: wire.HS32, KeyAgreement: wire.Prsh, SAS: wire.B32,
	}, chain.h1)
	for seq, m := range [][]byte{hello, commit} {
		if err := s.Receive(now, wire.AppendPacket(nil, uint16(1+seq), 7, m)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		for b, ok := s.NextPacket(); ok; b, ok = s.NextPacket() {
			if kindOf(t, b) == wire.TypeCommit {
				t.Fatalf("a Commit of %d bytes", len(b))
			}
		}
		now = now.Add(200 * time.Millisecond)
		s.Advance(now)
	}
}
