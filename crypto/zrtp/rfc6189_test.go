package zrtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"reflect"
	"slices"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// What RFC 6189 says of an endpoint and no other test of this package holds it
// to. docs/rfc6189.md lists every rule with the test that holds it.

// "All ZRTP endpoints MUST support a Hash Type of SHA-256. SHA-384 SHOULD be
// supported and MUST be supported if ECDH-384 is used." (Section 5.1.2) "All
// ZRTP endpoints MUST support AES-128 (AES1)" (5.1.3) "MUST support HMAC-SHA1
// authentication tags for SRTP, with both 32-bit and 80-bit length tags" (5.1.4)
// "MUST support DH3k" (5.1.5) "MUST support the base32 ... rendering" (5.1.6)
//
// "ECDH-521 SHOULD NOT be used" (5.1.5); DH2k is too weak to be offered unasked;
// Preshared and Multistream mode are never offered unasked either: a departure
// from "SHOULD support Preshared" (5.1.5).
//
// "If signatures are not supported, the (S) flag MUST be set to zero." "The next
// 8 bits are unused and SHOULD be set to zero when sent" (5.2) "an endpoint MUST
// send the highest supported version in initial Hello messages" (4.1.1)
func TestHelloByDefault(t *testing.T) {
	for _, initiate := range []bool{false, true} {
		c := config("a", 1)
		c.Initiate = initiate
		w := alone(t, c)
		p, err := wire.ParsePacket(w.flights[0].packet)
		if err != nil {
			t.Fatal(err)
		}
		h := parsed(t, w.flights[0].packet).(*wire.Hello)
		for _, l := range []struct {
			list  []wire.Name
			must  []string
			never []string
		}{
			{h.Hashes, []string{"S256", "S384"}, nil},
			{h.Ciphers, []string{"AES1"}, []string{"AES2", "2FS1", "2FS2", "2FS3"}},
			{h.Auths, []string{"HS32", "HS80"}, []string{"SK32", "SK64"}},
			{h.KeyAgreements, []string{"DH3k", "EC38"}, []string{"EC52", "DH2k", "Prsh", "Mult"}},
			{h.SASTypes, []string{"B32 "}, nil},
		} {
			for _, n := range l.must {
				if !contains(l.list, n) {
					t.Errorf("Hello does not list %s: %v", n, l.list)
				}
			}
			for _, n := range l.never {
				if contains(l.list, n) {
					t.Errorf("Hello lists %s: %v", n, l.list)
				}
			}
		}
		if flags := p.Message[76]; flags != 0 || p.Message[77]&0xf0 != 0 {
			t.Errorf("flags and unused bits: %x", p.Message[76:78])
		}
		if h.Version != [4]byte{'1', '.', '1', '0'} {
			t.Errorf("version %q", h.Version)
		}
	}
}

// "hash algorithms (0 to 7 values)", and the same of each list (Section 5.2).
func TestHelloListsSeven(t *testing.T) {
	c := config("a", 1)
	c.Algorithms.KeyAgreements = slices.Clone(ranking)
	if len(ranking) < 8 {
		t.Fatal("there are no eight key agreements")
	}
	if s, err := New(c); err == nil || s != nil {
		t.Errorf("%d key agreements are let pass", len(ranking))
	}
	c.Algorithms.KeyAgreements = ranking[:7]
	h := parsed(t, alone(t, c).flights[0].packet).(*wire.Hello)
	if !slices.Equal(h.KeyAgreements, ranking[:7]) {
		t.Errorf("seven of them: Hello lists %v", h.KeyAgreements)
	}
	// The modes that Hello lists among them count too.
	c.Preshared = true
	if s, err := New(c); err == nil || s != nil {
		t.Error("Preshared mode is let pass as the eighth")
	}
	c.Preshared, c.Call = false, new(Call)
	if s, err := New(c); err == nil || s != nil {
		t.Error("Multistream mode is let pass as the eighth")
	}
	c.Call = nil
	for what, list := range map[string]*[]wire.Name{
		"hashes": &c.Algorithms.Hashes, "ciphers": &c.Algorithms.Ciphers,
		"tags": &c.Algorithms.Auths, "SAS types": &c.Algorithms.SASTypes,
	} {
		*list = names("1111", "2222", "3333", "4444", "5555", "6666", "7777", "8888")
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("eight %s are let pass", what)
		}
		*list = nil
	}
}

// AES-192, TwoFish and Skein tags, which an endpoint MAY support (Sections
// 5.1.3 and 5.1.4), are nothing that our SRTP can carry: offered first, or alone,
// they are never chosen; chosen by the peer, they are refused with the code of
// Section 5.9; asked for by the user, they are refused by New.
func TestNamesThatSRTPCannotCarry(t *testing.T) {
	ciphers, auths := names("AES2", "2FS1", "2FS2", "2FS3"), names("SK32", "SK64")
	for _, alone1 := range []bool{false, true} {
		_, theirs := peerHello(func(h *wire.Hello) {
			h.Ciphers, h.Auths = ciphers, auths
			if !alone1 {
				h.Ciphers = append(slices.Clone(h.Ciphers), wire.AES3)
				h.Auths = append(slices.Clone(h.Auths), wire.HS80)
			}
		})
		c := config("a", 1)
		c.Initiate = true
		w := alone(t, c)
		w.flights = nil
		w.inject(0, theirs)
		m, ok := parsed(t, w.flights[0].packet).(*wire.Commit)
		if !ok {
			t.Fatalf("no Commit: %v", w.trace)
		}
		want := wire.AES3
		if alone1 {
			want = wire.AES1 // which the peer has, listed or not
		}
		if m.Cipher != want || m.Auth != wire.HS80 {
			t.Errorf("%v and %v were chosen", m.Cipher, m.Auth)
		}
	}
	refused := func(n wire.Name, code wire.ErrorCode, edit func(*wire.Commit), own Algorithms) {
		_, theirs := peerHello(func(h *wire.Hello) { h.Ciphers, h.Auths = ciphers, auths })
		w := alone(t, config("a", 1))
		w.inject(0, theirs)
		w.inject(0, otherCommit(edit))
		if f := w.ends[0].failure; f == nil || f.Code != code || w.ends[0].key != nil {
			t.Errorf("a Commit with %v: %+v", n, f)
		}
		c := config("a", 1)
		c.Algorithms = own
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("New lets %v pass", n)
		}
	}
	for _, n := range ciphers {
		refused(n, wire.ErrorCipher, func(m *wire.Commit) { m.Cipher = n }, Algorithms{Ciphers: []wire.Name{n}})
	}
	for _, n := range auths {
		refused(n, wire.ErrorAuth, func(m *wire.Commit) { m.Auth = n }, Algorithms{Auths: []wire.Name{n}})
	}
}

// "Before the ZRTP key agreement can proceed, an endpoint MUST have sent and
// received Hellos with the same protocol version." (Section 4.1.1) A Commit
// before that is dropped, and makes no key.
func TestNoAgreementBeforeHello(t *testing.T) {
	_, newer := peerHello(func(h *wire.Hello) { copy(h.Version[:], "2.00") })
	_, same := peerHello(func(*wire.Hello) {})
	w := alone(t, config("a", 1))
	for _, before := range [][]byte{nil, newer} {
		if before != nil {
			w.inject(0, before)
		}
		if err := w.inject(0, otherCommit(func(*wire.Commit) {})); err != DropUnexpected || w.ends[0].key != nil {
			t.Errorf("a Commit before Hello 1.10: %v", err)
		}
	}
	w.inject(0, same)
	if err := w.inject(0, otherCommit(func(*wire.Commit) {})); err != nil || w.ends[0].state != sentDHPart1 {
		t.Errorf("and after it: %v", err)
	}
}

// "If a ZRTP endpoint has evidence that the other party is a ZRTP endpoint ...
// it SHOULD extend its own Hello retry schedule to span at least 12 seconds of
// retries. If this extended Hello retry schedule is exhausted without receiving
// a HelloACK or Commit message, a late Commit message from the peer SHOULD still
// be accepted." "Slow or heavily loaded ZRTP endpoints ... SHOULD use a HelloACK
// message instead of a Commit message to reply to a Hello" (Section 6): whoever
// did not call does so, slow or not.
func TestLateCommit(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	w := alone(t, config("a", 1))
	w.inject(0, theirs)
	if w.count(helloACK) != 1 || w.count(commit) != 0 {
		t.Errorf("the answer to Hello: %v", w.trace)
	}
	w.run(12 * time.Second)
	w.flights = nil
	w.run(time.Second)
	if n := w.count(hello); n != 5 {
		t.Errorf("%d Hellos in the second after twelve", n)
	}
	w.run(time.Minute)
	if err := w.inject(0, otherCommit(func(*wire.Commit) {})); err != nil || w.ends[0].state != sentDHPart1 {
		t.Errorf("a Commit a minute later: %v", err)
	}
	w.flights = nil
	w.run(time.Second)
	if w.count(hello) != 0 { // "Retransmission of a Hello ends upon receipt of a HelloACK or Commit"
		t.Error("Hello after the Commit")
	}
}

// "ZRTP endpoints MUST NOT exceed the bandwidth of the resulting media session"
// (Section 6). That is G.711: 50 packets a second of 160 octets, and 22 of RTP
// header and tag. Held where it is most: everything is lost from some packet on,
// and repeated.
func TestBandwidth(t *testing.T) {
	const limit = 50 * (160 + 12 + 10)
	for _, ka := range []wire.Name{wire.XM76, wire.DH3k} {
		for after := range 9 {
			a, b := dialAndListen(1)
			a.Algorithms.KeyAgreements, b.Algorithms.KeyAgreements = []wire.Name{ka}, []wire.Name{ka}
			w := newWorld(t, a, b)
			var sent [2][]flight
			w.net = func(p *parcel) []time.Duration {
				sent[p.from] = append(sent[p.from], flight{at: w.now, packet: p.packet})
				if p.n >= after {
					return nil
				}
				return []time.Duration{0}
			}
			w.start().run(15 * time.Second)
			for i, list := range sent {
				for from, f := range list {
					sum := 0
					for _, g := range list[from:] {
						if g.at.Sub(f.at) < time.Second {
							sum += len(g.packet)
						}
					}
					if sum > limit {
						t.Errorf("%v, lost from packet %d: end %d sends %d octets in a second", ka, after, i, sum)
					}
				}
			}
		}
	}
}

// "the initiator ... MUST NOT send SRTP media before receiving either the
// Conf2ACK or the first SRTP media"; "The responder ... MUST NOT send SRTP media
// before receiving the Confirm2 message." (Section 4) "The responder MUST
// receive the initiator's Confirm2 message before updating the responder's
// cache." "The initiator MUST receive either the responder's Conf2ACK message or
// the responder's SRTP media ... before updating the initiator's cache." (Section
// 4.6.1) Both wait for Secured; the responder has not even the keys before.
func TestSecuredNoEarlier(t *testing.T) {
	for _, p := range pairs {
		a, b := pair(3, p.a, p.b)
		for _, lost := range []wire.Type{confirm2, conf2ACK} {
			w := newWorld(t, a, b)
			w.capture(lost)
			for i, e := range w.ends {
				switch {
				case e.role == Responder && lost == confirm2 && (e.keys != nil || e.secured != 0):
					t.Errorf("%s: end %d has keys, and no Confirm2", p.name, i)
				case e.role == Responder && lost == conf2ACK && e.secured != 1:
					t.Errorf("%s: end %d has Confirm2 and is not secure", p.name, i)
				case e.role == Initiator && (e.keys == nil || e.secured != 0):
					t.Errorf("%s: end %d is secure, and has no Conf2ACK", p.name, i)
				}
			}
			w.checkCompletes()
		}
	}
}

// "If a GoClear message is received with a bad MAC, ClearACK MUST NOT be sent and
// the GoClear MUST NOT be acted on" (Section 4.7.2). We take none, whatever its
// MAC, and whoever allows it: "If a received Confirm message has the (E) flag
// set, the (A) flag MUST be disregarded and treated as false." (Section 7.3.1)
func TestGoClearIsDropped(t *testing.T) {
	a, b := dialAndListen(5)
	w := newWorld(t, a, b)
	clear1 := func(from int) []byte {
		mac := make([]byte, 8)
		if k := w.ends[1-from].Session.keys; k != nil { // the right one, where there is one
			_, remote := k.sides(w.ends[1-from].role)
			h := hmac.New(sha256.New, remote.mac)
			h.Write([]byte("GoClear "))
			copy(mac, h.Sum(nil))
		}
		m := &wire.Other{Kind: wire.Type{'G', 'o', 'C', 'l', 'e', 'a', 'r', ' '}, Body: mac}
		return wire.AppendPacket(nil, 1, w.ends[from].config.SSRC, m.Append(nil))
	}
	tried := 0
	try := func(to int) {
		e := w.ends[to]
		before, waiting := e.state, len(e.queue)
		if err := e.Receive(w.now, clear1(1-to)); err != DropUnexpected {
			t.Errorf("GoClear in state %d: %v", before, err)
		}
		if e.state != before || len(e.queue) != waiting {
			t.Errorf("GoClear in state %d: now %d, and %d more to send", before, e.state, len(e.queue)-waiting)
			e.state, e.queue = before, e.queue[:waiting]
		}
		tried++
	}
	w.capture(confirm1)
	confirmed(t, w, &wire.ConfirmBody{H0: w.ends[1].chain.h0, E: true, A: true})
	w.net = func(*parcel) []time.Duration { try(0); try(1); return []time.Duration{0} }
	w.run(time.Second).checkSecure()
	try(0)
	try(1)
	if tried < 6 {
		t.Errorf("tried %d times", tried)
	}
	before := *w.ends[0].keys
	w.run(time.Second).checkSecure()
	if !bytes.Equal(before.LocalKey, w.ends[0].keys.LocalKey) {
		t.Error("the keys changed")
	}
}

// Confirm's flags as we send them: "the Disclosure flag D MUST be set" where keys
// are disclosed (Section 11), and ours are not; A says that GoClear is taken
// (4.7.2), E that we are a PBX (7.3.1), and neither is so. "The next 15 bits are
// not used and SHOULD be set to zero when sent" (5.7). "A value of 0xffffffff
// means the secret should be cached indefinitely and is the recommended value."
// (4.9)
func TestFlagsOfOurConfirms(t *testing.T) {
	for to, kind := range []wire.Type{confirm1, confirm2} {
		var ours, theirs cache
		ours.rs1, theirs.rs1 = []byte{1, 2, 3}, []byte{1, 2, 3}
		a, b := dialAndListen(6)
		a.Retained, b.Retained = ours.lookUp, theirs.lookUp
		w := newWorld(t, a, b)
		m := parsed(t, w.capture(kind)).(*wire.Confirm)
		s := w.ends[to].Session
		_, remote := s.keys.sides(s.role)
		plain := cfb(t, remote.zrtp, m.IV, m.Encrypted, true)
		if flags := plain[32:]; !bytes.Equal(flags, []byte{0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff}) {
			t.Errorf("%v: flags and interval %x, where only V should be set", kind, flags)
		}
	}
}

// "These are the hashes and MACs that MUST use the Implicit hash and MAC
// algorithm: The hash chain H0-H3 ... The MACs that are keyed by this hash chain
// ... The Hello Hash" (Section 5.1.2.2), which are SHA-256 and HMAC-SHA-256 "with
// the MAC truncated to 64 bits" (8.1.1), whatever is negotiated. "This one-way
// hash chain MUST use the hash algorithm defined in Section 5.1.2.2" (9)
func TestImplicitHash(t *testing.T) {
	a, b := dialAndListen(7)
	a.Algorithms.Hashes, b.Algorithms.Hashes = []wire.Name{wire.S384}, []wire.Name{wire.S384}
	w := newWorld(t, a, b)
	var h [2][4][32]byte
	for i, e := range w.ends {
		h[i][0] = e.chain.h0
		for n := 1; n < 4; n++ {
			h[i][n] = sha256.Sum256(h[i][n-1][:])
		}
	}
	checked := map[wire.Type]bool{}
	w.net = func(p *parcel) []time.Duration {
		q, err := wire.ParsePacket(p.packet)
		if err != nil {
			t.Fatal(err)
		}
		var image [32]byte
		var n int // which one
		switch m := parsed(t, p.packet).(type) {
		case *wire.Hello:
			image, n = m.H3, 3
			if got := w.ends[p.from].HelloHash(); got != sha256.Sum256(q.Message) {
				t.Error("HelloHash is not the SHA-256 of Hello")
			}
		case *wire.Commit:
			image, n = m.H2, 2
		case *wire.DHPart:
			image, n = m.H1, 1
		default:
			return []time.Duration{0}
		}
		mac := hmac.New(sha256.New, h[p.from][n-1][:])
		mac.Write(q.Message[:len(q.Message)-8])
		if image != h[p.from][n] || !bytes.Equal(mac.Sum(nil)[:8], q.Message[len(q.Message)-8:]) {
			t.Errorf("%v: another H%d or MAC", p.kind, n)
		}
		checked[p.kind] = true
		return []time.Duration{0}
	}
	w.start().run(time.Second).checkSecure()
	if len(checked) != 4 || w.ends[0].keys.Hash != wire.S384 {
		t.Errorf("looked at %v, with %v", checked, w.ends[0].keys.Hash)
	}
}

// "Random numbers MUST be freshly generated, meaning that they must not have been
// used in a previous calculation." (Section 4.8) "The initial random H0 nonces
// that each party generates MUST be unpredictable to an attacker and unique
// within a ZRTP session" (Section 9)
func TestRandomNumbersAreFresh(t *testing.T) {
	seen := map[string]string{}
	fresh := func(what string, b []byte) {
		t.Helper()
		if earlier, ok := seen[string(b)]; ok || zero(b) {
			t.Errorf("%s is %x, as was %s", what, b, earlier)
		}
		seen[string(b)] = what
	}
	a, b := dialAndListen(8) // the two random streams go on from call to call
	for range 3 {
		w := newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			switch m := parsed(t, p.packet).(type) {
			case *wire.Hello:
				fresh("H3", m.H3[:])
			case *wire.Commit:
				fresh("hvi", m.HVI[:])
				fresh("the encapsulation key", m.KEM)
			case *wire.DHPart:
				fresh("pv", m.PV)
				for _, id := range []wire.ID{m.RS1ID, m.RS2ID, m.AuxID, m.PBXID} {
					fresh("an ID of no secret", id[:])
				}
			case *wire.Confirm:
				fresh("the IV", m.IV[:])
			}
			return []time.Duration{0}
		}
		w.start().run(time.Second).checkSecure()
	}
	a, b, calls := firstStream(t, 9)
	for n := range uint32(3) {
		w := further(t, a, b, calls, n+1, nil)
		m := parsed(t, w.capture(commit)).(*wire.Commit)
		fresh("a nonce", m.Nonce[:]) // "MUST be unique for all nonce values" (Section 4.4.3.1)
	}
}

// "The preshared_key MUST be erased as soon as it has been used to calculate s0."
// (Section 4.4.2.4) "All SRTP session key material MUST be erased by both parties
// at the end of the call." (Section 4.7.3) "ZRTPSess MUST be destroyed no later
// than the end of the call signaling session." (Section 4.5.2) "the corresponding
// s0 MUST be erased" (Section 4.6.1; see TestNoSecretsAreLeft).
func TestKeysAreErased(t *testing.T) {
	u := suite{hash: wire.S256, cipher: wire.AES3}
	preshared := u.presharedKey([]byte{1, 2, 3}, nil)
	k := u.presharedKeys(preshared, []byte("context"))
	if !zero(preshared) {
		t.Error("preshared_key is left")
	}
	k.wipe()
	for _, b := range [][]byte{k.session, k.exported, k.rs1, k.initiator.srtpKey, k.responder.srtpSalt, k.sasHash[:]} {
		if !zero(b) {
			t.Errorf("left: %x", b)
		}
	}

	a, b := dialAndListen(10)
	w := newWorld(t, a, b).start().run(time.Second)
	w.checkSecure()
	ready := *w.ends[0].keys
	call, err := NewCall(ready)
	if err != nil {
		t.Fatal(err)
	}
	ready.Wipe()
	// Whatever octets a KeysReady comes to hold, Wipe clears them.
	secrets := [][]byte{ready.Retain.RS1}
	for _, f := range reflect.ValueOf(ready).Fields() {
		if f.Kind() == reflect.Slice {
			secrets = append(secrets, f.Bytes())
		}
	}
	for _, s := range secrets {
		if len(s) == 0 || !zero(s) {
			t.Errorf("Wipe leaves %x", s)
		}
	}
	if len(secrets) < 7 || zero(call.key) {
		t.Errorf("%d secrets; the Call's own copy: %x", len(secrets), call.key)
	}
	session := call.key
	call.Close()
	if !zero(session) {
		t.Error("ZRTPSess is left")
	}
}

// "In a Multistream session, a ZRTP endpoint MUST use the same ZID for all media
// streams, matching the ZID used in the first media stream." (Section 4.4.3)
func TestFurtherStreamOfAnotherZID(t *testing.T) {
	for who := range 2 {
		a, b, calls := firstStream(t, 11)
		w := further(t, a, b, calls, 1, func(a, b *Config) {
			if who == 0 {
				a.ZID[0] ^= 1
			} else {
				b.ZID[0] ^= 1
			}
		}).start().run(time.Second)
		w.checkFailed(1-who, wire.ErrorNoSecret)
	}
}

// "If that version number is supported, a PingACK with a format that matches that
// version MUST be sent. Otherwise ... a PingACK SHOULD be sent in the format of the
// highest supported version". "It is REQUIRED that it be highly improbable for two
// participants in a call to have the same EndpointHash and that an EndpointHash
// maintains a persistent value between calls." (Section 5.16)
func TestPingACKVersionAndEndpointHash(t *testing.T) {
	hash := func(c Config, asked string) [8]byte {
		w := alone(t, c)
		w.flights = nil
		w.inject(0, say(&wire.Ping{Version: [4]byte([]byte(asked))}))
		m, ok := parsed(t, w.flights[0].packet).(*wire.PingACK)
		if !ok || m.Version != version {
			t.Fatalf("asked for %s: %+v", asked, m)
		}
		return m.SenderEndpointHash
	}
	a, b := config("a", 1), config("b", 1)
	again := a
	again.SSRC, again.Rand = a.SSRC+1, random("another call", 1)
	if hash(a, "1.10") != hash(again, "2.00") {
		t.Error("another EndpointHash in another call")
	}
	if hash(a, "1.10") == hash(b, "1.10") {
		t.Error("two endpoints with one EndpointHash")
	}
}
