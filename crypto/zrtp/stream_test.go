package zrtp

import (
	"bytes"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Multistream mode (RFC 6189, Section 4.4.3).

// firstStream is a call's first exchange, with what it leaves for others.
func firstStream(t *testing.T, seed uint64) (a, b Config, calls [2]*Call) {
	t.Helper()
	a, b = dialAndListen(seed)
	w := newWorld(t, a, b).start().run(time.Second)
	w.checkSecure()
	for i, e := range w.ends {
		c, err := NewCall(*e.keys)
		if err != nil {
			t.Fatal(err)
		}
		calls[i] = c
	}
	return a, b, calls
}

// further is one more stream of that call.
func further(t *testing.T, a, b Config, calls [2]*Call, n uint32, edit func(a, b *Config)) *world {
	t.Helper()
	a.SSRC, b.SSRC = a.SSRC+n, b.SSRC+n
	a.Call, b.Call = calls[0], calls[1]
	forbidden := func(wire.ZID) Retained { t.Error("a further stream asks the cache"); return Retained{} }
	a.Retained, b.Retained = forbidden, forbidden
	if edit != nil {
		edit(&a, &b)
	}
	return newWorld(t, a, b)
}

// "In this mode, the retained shared secret cache is not used or updated."
// "The SAS Type is ignored as there is no SAS authentication in this mode."
// "The Cipher Type, Auth Tag Length, and Hash in Multistream mode SHOULD be set
// by the initiator to the same as the values as in the initial DH Mode Commit."
func TestFurtherStreams(t *testing.T) {
	a, b, calls := firstStream(t, 1)
	used := map[string]bool{}
	for n := range uint32(3) {
		w := further(t, a, b, calls, n+1, func(a, b *Config) {
			a.Initiate, b.Initiate = n != 1, n == 1 // whoever asks
		}).start().run(time.Second)
		w.checkSecure()
		if w.count(dhPart1)+w.count(dhPart2) != 0 {
			t.Errorf("DHPart in Multistream mode: %v", w.trace)
		}
		k := w.ends[0].keys
		if k.KeyAgreement != wire.Mult || k.Retain.RS1 != nil || k.SessionKey != nil || k.ExportedKey != nil || k.SASHash != [32]byte{} {
			t.Errorf("%v, %d bytes retained", k.KeyAgreement, len(k.Retain.RS1))
		}
		for _, key := range [][]byte{k.LocalKey, k.RemoteKey} {
			if used[string(key)] {
				t.Error("two streams with one key")
			}
			used[string(key)] = true
		}
	}
}

// A second computation: s0 = KDF(ZRTPSess, "ZRTP MSK", KDF_Context, ...), with
// total_hash = hash(Hello of responder || Commit) (Section 4.4.3.2), and what is
// sent in Confirm (Section 4.9: the interval is 0xffffffff).
func TestFurtherStreamSecondComputation(t *testing.T) {
	a, b, calls := firstStream(t, 2)
	session := bytes.Clone(calls[0].key)
	w := further(t, a, b, calls, 1, nil)
	var helloR, theirCommit []byte
	w.net = func(p *parcel) []time.Duration {
		q, _ := wire.ParsePacket(p.packet)
		switch {
		case p.kind == hello && p.from == 1:
			helloR = bytes.Clone(q.Message)
		case p.kind == commit:
			theirCommit = bytes.Clone(q.Message)
		}
		return []time.Duration{0}
	}
	w.start().run(time.Second).checkSecure()
	i := &initiator{newHash: calls[0].suite.newHash, s0: session}
	i.context = bytes.Join([][]byte{a.ZID[:], b.ZID[:], i.sum(helloR, theirCommit)}, nil)
	i.s0 = i.kdf("ZRTP MSK", 256)
	if want := i.kdf("Initiator SRTP master key", 256); !bytes.Equal(w.ends[0].keys.LocalKey, want) {
		t.Errorf("key %x, computed here %x", w.ends[0].keys.LocalKey, want)
	}
}

func TestFurtherStreamWithLosses(t *testing.T) {
	for _, p := range pairs {
		a, b, calls := firstStream(t, 3)
		roles := func(x, y *Config) { x.Initiate, y.Initiate = p.a, p.b }
		clean := further(t, a, b, calls, 1, roles).start()
		if !clean.runUntil(time.Minute, clean.bothSecure) {
			t.Fatalf("%s: not secure", p.name)
		}
		for n := range clean.sent + 1 {
			for m := range n + 1 {
				a, b, calls := firstStream(t, 3)
				w := further(t, a, b, calls, 1, roles)
				w.net = func(p *parcel) []time.Duration {
					switch p.n {
					case n:
						return nil
					case m:
						return []time.Duration{0, 70 * time.Millisecond}
					}
					return []time.Duration{0}
				}
				w.start()
				if !w.runUntil(30*time.Second, w.bothSecure) {
					t.Fatalf("%s, packet %d lost, %d twice: not secure\n%v", p.name, n, m, w.trace)
				}
				w.run(3 * time.Second).checkSecure()
			}
		}
	}
}

func TestFurtherStreamRefused(t *testing.T) {
	// "If a Commit is received selecting Multistream mode, but the responder
	// does not have a ZRTP Session Key available, the exchange MUST be
	// terminated."
	a, b, calls := firstStream(t, 4)
	w := further(t, a, b, calls, 1, nil)
	packet := w.capture(commit)
	calls[1].Close()
	w.inject(1, packet)
	w.checkFailed(1, wire.ErrorNoSecret)
	if !zero(calls[1].key) {
		t.Error("Close leaves ZRTPSess")
	}

	// "If a Commit is received with a reused nonce value, the ZRTP exchange MUST
	// be immediately terminated."
	a, b, calls = firstStream(t, 5)
	w = further(t, a, b, calls, 1, nil)
	packet = w.capture(commit)
	calls[1].use(parsed(t, packet).(*wire.Commit).Nonce)
	w.inject(1, packet)
	w.checkFailed(1, wire.ErrorNonceReuse)

	// The key is another call's.
	a, b, calls = firstStream(t, 6)
	_, _, others := firstStream(t, 7)
	w = further(t, a, b, [2]*Call{calls[0], others[1]}, 1, nil).start().run(time.Minute)
	if w.ends[0].keys != nil || w.ends[1].keys != nil || w.ends[1].failure == nil {
		t.Errorf("another call's key: %+v", w.ends[1].failure)
	}

	// "If one Commit is for Multistream mode while the other is for non-
	// Multistream (DH or Preshared) mode, a software error has occurred"
	// (Section 4.2)
	a, b, calls = firstStream(t, 8)
	w = further(t, a, b, calls, 1, func(a, b *Config) { b.Initiate, b.Call = true, nil })
	w.ends[1].config.Retained = nil
	h := w.ends[1].helloMessage()
	h.KeyAgreements = append(h.KeyAgreements, wire.Mult)
	w.ends[1].Session.hello = seal(h, w.ends[1].chain.h2)
	w.start().run(time.Second)
	if f := w.ends[0].failure; f == nil || f.Code != wire.ErrorSoftware {
		t.Errorf("Multistream against DH: %+v", f)
	}

	if _, err := NewCall(KeysReady{}); err == nil {
		t.Error("a Call of keys that have no ZRTP Session key")
	}
}

// "When adding additional media streams to an existing call, Multistream mode
// MUST be used" (Section 4.4.3), and "Preshared mode MUST NOT be used for adding
// additional media streams" (Section 4.4.2): who begins one otherwise is refused.
func TestFurtherStreamOnlyByMultistream(t *testing.T) {
	for _, preshared := range []bool{false, true} {
		a, b, calls := firstStream(t, 9)
		w := further(t, a, b, calls, 1, func(a, _ *Config) {
			a.Call, a.Preshared = nil, preshared
			a.Retained = func(wire.ZID) Retained {
				return Retained{RS1: bytes.Repeat([]byte{1}, 32), Verified: true}
			}
		})
		if preshared {
			h := w.ends[1].helloMessage()
			h.KeyAgreements = append(h.KeyAgreements, wire.Prsh)
			w.ends[1].Session.hello = seal(h, w.ends[1].chain.h2)
		}
		w.start().run(time.Second)
		if got := w.ends[0].Session.suite.agreement == wire.Prsh; got != preshared {
			t.Fatalf("begun by %v", w.ends[0].Session.suite.agreement)
		}
		w.checkFailed(1, wire.ErrorSoftware)
	}
}

// dial and listen never offer it: a Mult Commit finds no session key.
func TestMultistreamIsNotOffered(t *testing.T) {
	s := mustNew(t, config("a", 1))
	for _, n := range s.helloMessage().KeyAgreements {
		if n == wire.Mult || n == wire.Prsh {
			t.Errorf("Hello lists %v", n)
		}
	}
	w := alone(t, config("a", 1))
	_, theirs := peerHello(func(h *wire.Hello) { h.KeyAgreements = []wire.Name{wire.Mult} })
	w.inject(0, theirs)
	w.inject(0, otherCommit(func(m *wire.Commit) { m.KeyAgreement = wire.Mult }))
	if f := w.ends[0].failure; f == nil || f.Code != wire.ErrorNoSecret {
		t.Errorf("%+v", f)
	}
}
