package zrtp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// "If the receiver of the SASrelay message did not previously receive a Hello
// message with the MiTM (M) flag set, the Relayed SAS SHOULD NOT be rendered. A
// RelayACK is still sent, but no Error message is sent." (Section 5.13) "The
// receiver absolutely MUST NOT render the relayed SAS if it does not come from a
// specially trusted ZRTP endpoint." (Section 7.3) We trust none.
func TestSASrelay(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	relay := func() []byte {
		m := (&wire.SASrelay{Encrypted: make([]byte, 40)}).Append(nil)
		return wire.AppendPacket(nil, 9, a.SSRC, m)
	}
	w.capture(dhPart2)
	if err := w.inject(1, relay()); err != DropUnexpected {
		t.Errorf("in the middle of the exchange: %v", err)
	}
	w.run(time.Second).checkSecure()
	before := *w.ends[1].keys
	for range 5 {
		if err := w.inject(1, relay()); err != DropRelay {
			t.Errorf("%v", err)
		}
	}
	if n := w.count(wire.TypeRelayACK); n != 1 {
		t.Errorf("%d RelayACKs to five of them at once", n)
	}
	if w.count(errorMessage) != 0 || w.ends[1].secured != 1 || w.ends[1].keys.SASHash != before.SASHash {
		t.Error("it changed something")
	}
}

// PBX enrolment: the E flag asks the user to trust a PBX for good (Section
// 7.3.1). It is not acted on, and we never set it, nor A.
func TestFlagsThatAreNeverSet(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	w.capture(confirm1)
	body := &wire.ConfirmBody{H0: w.ends[1].chain.h0, E: true, A: true, D: true}
	confirmed(t, w, body)
	w.run(time.Second).checkSecure()
	if k := w.ends[0].keys; !k.PeerD {
		t.Error("D is not told")
	}
}

// confirmed makes the responder say another Confirm1.
func confirmed(t *testing.T, w *world, body *wire.ConfirmBody) {
	t.Helper()
	r := w.ends[1].Session
	m, err := r.sealConfirm(1, body)
	if err != nil {
		t.Fatal(err)
	}
	r.confirm1 = m
}

// "The resulting hash image is made available without truncation to the
// signaling layer ... The recipient ... can then use this hash image to detect
// and reject false Hello messages" (Section 8.1)
func TestHelloHash(t *testing.T) {
	a, b := dialAndListen(1)
	announced := mustNew(t, withRand(b)).HelloHash()
	a.PeerHelloHash = &announced
	w := newWorld(t, a, withRand(b))
	if got := w.ends[1].HelloHash(); got != announced || got != sha256.Sum256(w.ends[1].Session.hello) {
		t.Fatalf("%x and %x", got, announced)
	}
	if text := fmt.Sprintf("1.10 %s", hex.EncodeToString(announced[:])); len(text) != 5+64 {
		t.Error(text)
	}
	_, false1 := peerHello(func(*wire.Hello) {})
	w.ends[0].Start(w.now)
	if err := w.inject(0, false1); err != DropHelloHash || w.ends[0].hello != nil {
		t.Errorf("a false Hello: %v", err)
	}
	w.start().run(time.Second).checkSecure()
}

// withRand gives a config its random stream from the beginning.
func withRand(c Config) Config {
	c.Rand = random("again", 1)
	return c
}
