package zrtp

import (
	"bytes"
	"crypto/ecdh"
	"slices"
	"testing"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// checkFailed fails the test unless end i found the code itself and the other
// end learns it from the Error, after its grace.
func (w *world) checkFailed(i int, code wire.ErrorCode) {
	w.t.Helper()
	us, them := w.ends[i], w.ends[1-i]
	if us.failure == nil || us.failure.Code != code || us.failure.Peer || us.failure.Err == nil {
		w.t.Fatalf("end %c: %+v, want our own code %#x\n%v", 'A'+rune(i), us.failure, code, w.trace)
	}
	if us.secured != 0 || them.secured != 0 {
		w.t.Fatal("secured all the same")
	}
	if us.Session.key != nil || us.Session.keys != nil || us.chain.h0 != [32]byte{} {
		w.t.Error("secrets are left after the failure")
	}
	w.run(ErrorGrace + time.Second)
	if them.failure == nil || them.failure.Code != code || !them.failure.Peer {
		w.t.Fatalf("end %c: %+v, want the peer's code %#x\n%v", 'B'-rune(i), them.failure, code, w.trace)
	}
}

// checkCompletes fails the test unless the exchange ends well after all.
func (w *world) checkCompletes() {
	w.t.Helper()
	if !w.runUntil(30*time.Second, w.bothSecure) {
		w.t.Fatalf("not secure\n%v", w.trace)
	}
	w.checkSecure()
}

// recommit makes a cheat of an initiator that has committed: its DHPart2 gets
// another pv, and if honestly, its Commit says so.
func recommit(s *Session, pv []byte, honestly bool) {
	part := &wire.DHPart{Part: 2, H1: s.chain.h1, PV: pv}
	s.dhPart2 = seal(part, s.chain.h0)
	if !honestly {
		return
	}
	s.hvi = s.suite.hvi(s.dhPart2, s.peer.raw)
	s.exchange.commit = seal(&wire.Commit{
		H2: s.chain.h2, ZID: s.config.ZID, Hash: s.suite.hash, Cipher: s.suite.cipher, Auth: s.suite.auth,
		KeyAgreement: s.suite.agreement, SAS: s.suite.sas, HVI: s.hvi, KEM: s.key.Committed(),
	}, s.chain.h1)
	s.t2.message = s.exchange.commit
}

// "the responder computes its own value for the hash commitment using the DH
// public value (pvi) received in the DHPart2 message and its own Hello message
// and compares the result with the hvi received in the Commit message. If they
// are different, a MiTM attack is taking place and the user is alerted and the
// protocol exchange terminated." (Section 4.4.1.2; CVE-2016-6271)
func TestWrongHVI(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	w.capture(dhPart1)
	agreement, _ := dh.Lookup(wire.X255)
	other, err := agreement.Initiate(random("other", 1))
	if err != nil {
		t.Fatal(err)
	}
	recommit(w.ends[0].Session, other.Public(), false)
	w.run(time.Second)
	w.checkFailed(1, wire.ErrorHVI)
	if w.ends[1].Proven() {
		t.Error("the peer counts as proven without its hvi")
	}
}

// badPublicValues are, for each key agreement, values that nobody honest
// sends.
func badPublicValues(ka wire.Name, part int) map[string][]byte {
	agreement, _ := dh.Lookup(ka)
	zero := make([]byte, agreement.PublicSize(part))
	one := bytes.Clone(zero)
	one[len(one)-1] = 1
	full := bytes.Repeat([]byte{0xff}, len(zero))
	switch ka {
	case wire.XM76: // any ciphertext decapsulates to something; X25519 is last
		return map[string][]byte{"0": zero}
	case wire.X255, wire.X448:
		little := bytes.Clone(zero)
		little[0] = 1
		return map[string][]byte{"0": zero, "1": little}
	case wire.EC25, wire.EC38, wire.EC52:
		offCurve := bytes.Clone(zero)
		key, _ := agreement.Initiate(random("off curve", 1))
		copy(offCurve, key.Public())
		offCurve[len(offCurve)-1] ^= 1
		return map[string][]byte{"0": zero, "beyond p": full, "off the curve": offCurve}
	}
	// The two primes of RFC 3526 end in 64 ones: p-1 ends in 63 and a 0. The
	// rest of p is what the group's generator cannot tell us; p-1 itself is in
	// the tests of package dh.
	return map[string][]byte{"0": zero, "1": one, "beyond p": full}
}

// "If pvi is 1 or p-1, the user SHOULD be alerted of the attack and the
// protocol exchange MUST be terminated." (Section 4.4.1.2, and the same for
// pvr in 4.4.1.3)
func TestBadPublicValue(t *testing.T) {
	for _, ka := range ranking {
		for what, pv := range badPublicValues(ka, 1) {
			t.Run(ka.String()+" "+what, func(t *testing.T) {
				a, b := dialAndListen(1)
				a.Algorithms.KeyAgreements = []wire.Name{ka}
				b.Algorithms.KeyAgreements = []wire.Name{ka}

				w := newWorld(t, a, b) // by the responder
				w.capture(dhPart1)
				r := w.ends[1].Session
				r.dhPart1 = seal(&wire.DHPart{Part: 1, H1: r.chain.h1, PV: pv}, r.chain.h0)
				w.run(time.Second)
				w.checkFailed(0, wire.ErrorPublicValue)

				w = newWorld(t, a, b) // by the initiator
				w.capture(commit)
				recommit(w.ends[0].Session, badPublicValues(ka, 2)[what], true)
				w.run(time.Second)
				w.checkFailed(1, wire.ErrorPublicValue)
			})
		}
	}
}

func TestPublicValueOfWrongSize(t *testing.T) {
	for _, size := range []int{4, 28, 36, 64} {
		a, b := dialAndListen(1)
		w := newWorld(t, a, b)
		w.capture(dhPart1)
		r := w.ends[1].Session
		r.dhPart1 = seal(&wire.DHPart{Part: 1, H1: r.chain.h1, PV: make([]byte, size)}, r.chain.h0)
		w.run(time.Second)
		w.checkFailed(0, wire.ErrorMalformed)
	}
}

// The all-zero shared secret comes of eight points more; the whole list is in
// the tests of package dh. Here: what crypto/ecdh refuses is refused.
func TestX25519LowOrder(t *testing.T) {
	key, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for what, pv := range badPublicValues(wire.X255, 1) {
		p, err := ecdh.X25519().NewPublicKey(pv)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.ECDH(p); err == nil {
			t.Errorf("%s is not of low order", what)
		}
	}
}

// "Packets that contain an incorrect hash preimage MUST NOT be used by the
// recipient ... As long as these bogus packets are not used, and correct
// packets are still being received, the protocol SHOULD be allowed to run to
// completion" (Section 9).
func TestForgedPacketsAreDropped(t *testing.T) {
	const firstImage = 12 // H3, H2, H1 stand first but in Hello
	for _, kind := range []wire.Type{commit, dhPart1, dhPart2} {
		a, b := dialAndListen(2)
		w := newWorld(t, a, b)
		packet := w.capture(kind)
		to := 1
		if kind == dhPart1 {
			to = 0
		}
		forged := change(t, packet, func(m []byte) []byte { m[firstImage+3] ^= 1; return m })
		if err := w.inject(to, forged); err != DropChain {
			t.Errorf("%v with another hash image: %v", kind, err)
		}
		w.checkCompletes()
	}
	for _, kind := range []wire.Type{confirm1, confirm2} {
		a, b := dialAndListen(2)
		w := newWorld(t, a, b)
		packet := w.capture(kind)
		to := 1
		if kind == confirm1 {
			to = 0
		}
		for _, at := range []int{12, 20, 36, 75} { // MAC, IV, both ends of the ciphertext
			forged := change(t, packet, func(m []byte) []byte { m[at] ^= 1; return m })
			want := DropMAC
			if at == 20 {
				want = DropChain // the IV is not under the MAC: the H0 inside tells
			}
			if err := w.inject(to, forged); err != want {
				t.Errorf("%v with byte %d changed: %v", kind, at, err)
			}
		}
		w.checkCompletes()
		w.run(10 * time.Second).checkSecure()
	}
}

// A bad Confirm that is followed by the good one does nothing; alone it ends
// the exchange with "Auth Error: Bad Confirm pkt MAC" (Section 5.9).
func TestWrongConfirmMAC(t *testing.T) {
	for _, kind := range []wire.Type{confirm1, confirm2} {
		to := 1
		if kind == confirm1 {
			to = 0
		}
		break1 := func(m []byte) []byte { m[40] ^= 1; return m }

		a, b := dialAndListen(4)
		w := newWorld(t, a, b)
		forged := change(t, w.capture(kind), break1)
		if err := w.inject(to, forged); err != DropMAC {
			t.Errorf("%v: %v", kind, err)
		}
		w.checkCompletes()
		w.run(10 * time.Second).checkSecure()

		w = newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			if p.kind == kind {
				p.packet = change(t, p.packet, break1)
			}
			return []time.Duration{0}
		}
		w.start().run(ErrorGrace + 400*time.Millisecond)
		us := w.ends[to]
		if us.failure == nil || us.failure.Code != wire.ErrorConfirmMAC || us.failure.Peer {
			t.Errorf("%v always wrong: %+v", kind, us.failure)
		}
		if us.secured != 0 || us.keys != nil {
			t.Errorf("%v always wrong, and keys", kind)
		}
	}
}

// "Each message's MAC is checked when the MAC key is received in the next
// message. If a bad MAC is discovered, it MUST be treated as a security
// exception indicating a MiTM attack ... and MUST NOT be treated as a random
// error." (Section 8.1.1)
func TestMessageMACs(t *testing.T) {
	tamper := func(kind wire.Type, from int, edit func([]byte) []byte) *world {
		a, b := dialAndListen(5)
		w := newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			if p.kind == kind && p.from == from {
				p.packet = change(t, p.packet, edit)
			}
			return []time.Duration{0}
		}
		return w.start().run(time.Second)
	}
	bidDown := func(m []byte) []byte { // AES3 becomes AES1 in the list
		i := bytes.Index(m, wire.AES3[:])
		copy(m[i:], wire.AES1[:])
		return m
	}
	flipMAC := func(m []byte) []byte { m[len(m)-1] ^= 1; return m }

	t.Run("Hello of the initiator", func(t *testing.T) {
		tamper(hello, 0, bidDown).checkFailed(1, wire.ErrorComponents)
		tamper(hello, 0, flipMAC).checkFailed(1, wire.ErrorComponents)
	})
	t.Run("Hello of the responder", func(t *testing.T) {
		tamper(hello, 1, bidDown).checkFailed(0, wire.ErrorComponents)
		tamper(hello, 1, flipMAC).checkFailed(0, wire.ErrorComponents)
	})
	t.Run("Commit", func(t *testing.T) {
		tamper(commit, 0, bidDown).checkFailed(1, wire.ErrorHVI)
		tamper(commit, 0, flipMAC).checkFailed(1, wire.ErrorHVI)
	})
	t.Run("DHPart", func(t *testing.T) {
		// A changed DHPart changes total_hash, so that Confirm fails; that its
		// own MAC is looked at too shows only where the sender made it wrong.
		tamper(dhPart2, 0, flipMAC).checkFailed(1, wire.ErrorHVI)
		for _, part := range []wire.Type{dhPart1, dhPart2} {
			a, b := dialAndListen(5)
			w := newWorld(t, a, b)
			if part == dhPart1 {
				w.capture(dhPart1)
				r := w.ends[1].Session
				r.dhPart1[len(r.dhPart1)-1] ^= 1
				w.run(time.Second).checkFailed(0, wire.ErrorConfirmMAC)
				continue
			}
			w.capture(commit)
			i := w.ends[0].Session
			i.dhPart2[len(i.dhPart2)-1] ^= 1
			i.hvi = i.suite.hvi(i.dhPart2, i.peer.raw)
			m, err := wire.Parse(i.exchange.commit)
			if err != nil {
				t.Fatal(err)
			}
			m.(*wire.Commit).HVI = i.hvi
			copy(i.exchange.commit, seal(m, i.chain.h1))
			w.run(time.Second)
			if f := w.ends[1].failure; f == nil || f.Code != wire.ErrorConfirmMAC {
				t.Errorf("DHPart2 with a wrong MAC: %+v", f)
			}
		}
	})
	t.Run("H0", func(t *testing.T) {
		a, b := dialAndListen(5)
		w := newWorld(t, a, b)
		w.capture(dhPart2)
		w.ends[1].chain.h0[0] ^= 1
		w.run(3 * time.Second)
		if f := w.ends[0].failure; f == nil || f.Code != wire.ErrorConfirmMAC || f.Peer {
			t.Errorf("H0 of no chain: %+v", f)
		}
	})
	t.Run("ZID of Commit", func(t *testing.T) {
		// "the initiator's ZID ... MUST have the same value as was used in the
		// Hello message" (Section 5.4)
		tamper(commit, 0, func(m []byte) []byte { m[44] ^= 1; return m }).checkFailed(1, wire.ErrorComponents)
	})
}

func TestGarbageDuringTheExchange(t *testing.T) {
	a, b := dialAndListen(6)
	clean := newWorld(t, a, b).start()
	if !clean.runUntil(time.Minute, clean.bothSecure) {
		t.Fatal("not secure")
	}
	for n := range clean.sent {
		w := newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			if p.n != n {
				return []time.Duration{0}
			}
			to := w.ends[1-p.from]
			crc := bytes.Clone(p.packet)
			crc[len(crc)-1] ^= 1
			foreign := bytes.Clone(p.packet)
			q, _ := wire.ParsePacket(p.packet)
			foreign = wire.AppendPacket(foreign[:0], q.Seq, q.SSRC+1, bytes.Clone(q.Message))
			for _, c := range []struct {
				what   string
				packet []byte
				want   Drop
			}{
				{"a wrong CRC", crc, DropPacket},
				{"its end missing", p.packet[:len(p.packet)-4], DropPacket},
				{"its half missing", p.packet[:len(p.packet)/2], DropPacket},
				{"something after it", append(bytes.Clone(p.packet), 0, 0, 0, 0), DropPacket},
				{"nothing in it", nil, DropPacket},
				{"another SSRC", foreign, DropForeign},
			} {
				if c.want == DropForeign && !to.peer.known {
					continue
				}
				before := to.state
				if err := to.Receive(w.now, c.packet); err != c.want {
					t.Errorf("%v with %s: %v", p.kind, c.what, err)
				}
				if to.state != before {
					t.Errorf("%v with %s changed the state", p.kind, c.what)
				}
			}
			return []time.Duration{0}
		}
		w.start()
		w.checkCompletes()
		if !slices.ContainsFunc(w.ends[:], func(e *end) bool { return e.Drops()[string(DropPacket)] == 5 }) {
			t.Errorf("packet %d: drops not counted: %v %v", n, w.ends[0].Drops(), w.ends[1].Drops())
		}
	}
}

// A count above 7 in Hello (Section 5.2).
func TestHelloWithTooManyAlgorithms(t *testing.T) {
	a, b := dialAndListen(6)
	w := newWorld(t, a, b)
	w.ends[1].Start(w.now)
	w.ends[0].Start(w.now)
	packet, _ := w.ends[0].NextPacket()
	for at := 77; at < 80; at++ { // hc, then cc and ac, then kc and sc
		forged := change(t, packet, func(m []byte) []byte { m[at] |= 0x88; return m })
		if err := w.inject(1, forged); err != DropMessage {
			t.Errorf("counts in byte %d: %v", at, err)
		}
	}
	if err := w.inject(1, packet); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Our own packets come back, as they do from a broken router: nothing happens.
func TestReflection(t *testing.T) {
	a, b := dialAndListen(8)
	w := newWorld(t, a, b)
	w.net = func(p *parcel) []time.Duration {
		if err := w.ends[p.from].Receive(w.now, p.packet); err != DropReflected && err != DropForeign {
			t.Errorf("our own %v: %v", p.kind, err)
		}
		other := change(t, p.packet, func(m []byte) []byte { return m })
		q, _ := wire.ParsePacket(other)
		if p.kind == hello { // even under another SSRC
			other = wire.AppendPacket(nil, q.Seq, q.SSRC+1, q.Message)
			if err := w.ends[p.from].Receive(w.now, other); err != DropReflected {
				t.Errorf("our own Hello under another SSRC: %v", err)
			}
		}
		return []time.Duration{0}
	}
	w.start()
	w.checkCompletes()
}

// "If a Hello message, or any other ZRTP message, indicates that there is a
// synchronization source (SSRC) collision, an Error message (Section 5.9) MUST
// be sent with the Error Code indicating SSRC collision, and the ZRTP
// negotiation MUST be terminated." (Section 4.1)
func TestSSRCCollision(t *testing.T) {
	a, b := dialAndListen(9)
	b.SSRC = a.SSRC
	w := newWorld(t, a, b).start().run(time.Second)
	for i, e := range w.ends {
		if e.failure == nil || e.failure.Code != wire.ErrorSSRCCollision || e.failure.Peer {
			t.Errorf("end %d: %+v", i, e.failure)
		}
	}
}

func TestEqualZIDs(t *testing.T) {
	a, b := dialAndListen(9)
	b.ZID = a.ZID
	w := newWorld(t, a, b).start().run(time.Second)
	if f := w.ends[0].failure; f == nil || f.Code != wire.ErrorEqualZIDs || f.Peer {
		t.Errorf("the dialler: %+v", f)
	}
	// The listener ends nothing: another may call it with this ZID, or say so.
	if e := w.ends[1]; e.failure != nil || e.Drops()[string(DropEqualZID)] == 0 {
		t.Errorf("the listener: %+v, %v", e.failure, e.Drops())
	}
	for i, e := range w.ends {
		if e.hello != nil {
			t.Errorf("end %d took the Hello", i)
		}
	}
}

// The first Hello counts: a second one under the same SSRC is dropped.
func TestAnotherHello(t *testing.T) {
	a, b := dialAndListen(10)
	stranger := config("stranger", 10)
	stranger.SSRC = a.SSRC
	x := mustNew(t, stranger)
	x.Start(time.Unix(0, 0))
	p, _ := x.NextPacket()
	other := bytes.Clone(p)
	w := newWorld(t, a, b)
	w.net = func(p *parcel) []time.Duration {
		if w.ends[1].peer.known {
			if err := w.inject(1, other); err != DropHello && w.ends[1].state != secure {
				t.Errorf("another Hello: %v", err)
			}
		}
		return []time.Duration{0}
	}
	w.start()
	w.checkCompletes()
}

func TestUnknownNamesAreNoError(t *testing.T) {
	a, b := dialAndListen(11)
	w := newWorld(t, a, b)
	odd := func(s string) wire.Name { return name(s) }
	for _, e := range w.ends { // names that no validation of ours would let pass
		e.offer.KeyAgreements = []wire.Name{odd("K768"), odd("Mult"), odd("\x00\xff\n "), wire.EC25, wire.X255}
		e.offer.Ciphers = append([]wire.Name{odd("2FS3")}, e.offer.Ciphers...)
		e.Session.hello = seal(e.helloMessage(), e.chain.h2)
		e.offer.KeyAgreements = []wire.Name{wire.EC25, wire.X255}
		e.offer.Ciphers = e.offer.Ciphers[1:]
	}
	w.start()
	w.checkCompletes()
	if got := w.ends[0].keys.KeyAgreement; got != wire.EC25 {
		t.Errorf("key agreement %v", got)
	}
}
