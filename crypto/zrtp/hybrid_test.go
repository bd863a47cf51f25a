package zrtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"golang.org/x/crypto/curve25519"

	"securecall/crypto/zrtp/wire"
)

// The post-quantum hybrid, docs/notes/hybrid.md.

// watched runs an exchange and keeps the first message of each kind.
func watched(t *testing.T, a, b Config) (*world, map[wire.Type][]byte) {
	t.Helper()
	w := newWorld(t, a, b)
	seen := map[wire.Type][]byte{}
	w.net = func(p *parcel) []time.Duration {
		kind := p.kind
		if kind == hello && p.from == 0 {
			return []time.Duration{0} // only the responder's goes into total_hash
		}
		if seen[kind] == nil {
			q, err := wire.ParsePacket(p.packet)
			if err != nil {
				t.Fatal(err)
			}
			seen[kind] = bytes.Clone(q.Message)
		}
		return []time.Duration{0}
	}
	w.start().run(time.Second)
	return w, seen
}

// A second computation from the messages and the initiator's random bytes:
// another ML-KEM, another X25519, and the formulas of RFC 6189 written anew.
func TestHybridSecondComputation(t *testing.T) {
	for seed := range uint64(5) {
		a, b := dialAndListen(seed)
		var drawn bytes.Buffer
		a.Rand = io.TeeReader(a.Rand, &drawn)
		w, seen := watched(t, a, b)
		w.checkSecure()
		if got := w.ends[0].keys.KeyAgreement; got != wire.XM76 {
			t.Fatalf("agreed by %v", got)
		}

		// H0, the sequence number, four IDs, and then the key.
		key := drawn.Bytes()[32+2+4*8:]
		encapsulation, private := mlkem768.NewKeyFromSeed(key[:64])
		c := parsedMessage(t, seen[commit]).(*wire.Commit)
		part1 := parsedMessage(t, seen[dhPart1]).(*wire.DHPart)
		part2 := parsedMessage(t, seen[dhPart2]).(*wire.DHPart)
		if len(seen[commit])+16 != 1316 || len(part1.PV) != 1120 || len(part2.PV) != 32 {
			t.Errorf("sizes: Commit %d, pv %d and %d", len(seen[commit])+16, len(part1.PV), len(part2.PV))
		}
		if packed, err := encapsulation.MarshalBinary(); err != nil || !bytes.Equal(packed, c.KEM) {
			t.Error("Commit holds another encapsulation key")
		}
		shared, err := mlkem768.Scheme().Decapsulate(private, part1.PV[:1088])
		if err != nil {
			t.Fatal(err)
		}
		x, err := curve25519.X25519(key[64:96], part1.PV[1088:])
		if err != nil {
			t.Fatal(err)
		}
		sum := func(parts ...[]byte) []byte {
			s := sha256.Sum256(bytes.Join(parts, nil))
			return s[:]
		}
		total := sum(seen[hello], seen[commit], seen[dhPart1], seen[dhPart2])
		context := bytes.Join([][]byte{a.ZID[:], b.ZID[:], total}, nil)
		s0 := sum([]byte{0, 0, 0, 1}, shared, x, []byte("ZRTP-HMAC-KDF"), context, make([]byte, 12))
		kdf := func(label string, bits int) []byte {
			h := hmac.New(sha256.New, s0)
			h.Write(bytes.Join([][]byte{{0, 0, 0, 1}, []byte(label), {0}, context, binary.BigEndian.AppendUint32(nil, uint32(bits))}, nil))
			return h.Sum(nil)[:bits/8]
		}
		k := w.ends[0].keys
		for what, pair := range map[string][2][]byte{
			"initiator's key":  {k.LocalKey, kdf("Initiator SRTP master key", 256)},
			"responder's salt": {k.RemoteSalt, kdf("Responder SRTP master salt", 112)},
			"sashash":          {k.SASHash[:], kdf("SAS", 256)},
		} {
			if !bytes.Equal(pair[0], pair[1]) {
				t.Errorf("%s: %x, computed here %x", what, pair[0], pair[1])
			}
		}
	}
}

// Whoever knows DHResult, because X25519 and ML-KEM are both broken, still
// gets another SAS if he changes the encapsulation key or the ciphertext:
// total_hash is over the whole messages.
func TestHybridTotalHash(t *testing.T) {
	a, b := dialAndListen(1)
	_, seen := watched(t, a, b)
	u := suiteOf(parsedMessage(t, seen[commit]).(*wire.Commit))
	sasOf := func(commit, dhPart1 []byte) [32]byte {
		context := u.context(a.ZID, b.ZID, seen[hello], commit, dhPart1, seen[dhPart2])
		return u.derive(u.s0(make([]byte, 64), context, nil, nil), context).sasHash
	}
	right := sasOf(seen[commit], seen[dhPart1])
	for _, at := range []int{12 + 32 + 12 + 20 + 32, len(seen[commit]) - 9} { // first and last byte of it
		changed := bytes.Clone(seen[commit])
		changed[at] ^= 1
		if sasOf(changed, seen[dhPart1]) == right {
			t.Errorf("byte %d of Commit is not in total_hash", at)
		}
	}
	for _, at := range []int{12 + 32 + 4*8, len(seen[dhPart1]) - 9 - 32} {
		changed := bytes.Clone(seen[dhPart1])
		changed[at] ^= 1
		if sasOf(seen[commit], changed) == right {
			t.Errorf("byte %d of DHPart1 is not in total_hash", at)
		}
	}
}

// On the way nothing of it can be changed: no end gets keys.
func TestHybridChangedOnTheWay(t *testing.T) {
	for what, c := range map[string]struct {
		kind wire.Type
		at   int
	}{
		"the encapsulation key":           {commit, 12 + 32 + 12 + 20 + 32 + 5},
		"the end of it":                   {commit, 1300 - 9},
		"the ciphertext":                  {dhPart1, 12 + 32 + 32 + 3},
		"the responder's X25519 value":    {dhPart1, 12 + 32 + 32 + 1088 + 3},
		"the initiator's X25519 value":    {dhPart2, 12 + 32 + 32 + 3},
		"the name of the key agreement":   {commit, 12 + 32 + 12 + 12},
		"the commitment":                  {commit, 12 + 32 + 12 + 20},
		"the MAC of the Commit":           {commit, 1300 - 1},
		"the list of the initiator":       {hello, 12 + 4 + 16 + 32 + 12 + 4 + 4*6 + 1},
		"the hash chain of the initiator": {commit, 12 + 3},
	} {
		a, b := dialAndListen(1)
		w := newWorld(t, a, b)
		w.net = func(p *parcel) []time.Duration {
			if p.kind == c.kind && (c.kind != hello || p.from == 0) {
				p.packet = change(t, p.packet, func(m []byte) []byte { m[c.at] ^= 1; return m })
			}
			return []time.Duration{0}
		}
		w.start().run(time.Minute)
		if w.ends[0].secured > 0 || w.ends[1].secured > 0 {
			t.Errorf("%s changed, and secure", what)
		}
	}
}

// An attacker who strips the hybrid from a Hello, on its way to either end,
// gets no call at all: the Hello's MAC is checked when its key comes, and the
// responder's Hello is in hvi besides (RFC 6189, Section 4.4.1.1: "to prevent a
// bid-down attack").
func TestHybridStrippedFromHello(t *testing.T) {
	for from := range 2 {
		for _, both := range []bool{false, true} {
			a, b := dialAndListen(1)
			w := newWorld(t, a, b)
			w.net = func(p *parcel) []time.Duration {
				if p.kind == hello && (both || p.from == from) {
					p.packet = change(t, p.packet, func(m []byte) []byte {
						i := bytes.Index(m, []byte("XM76"))
						copy(m[i:], "X255X255"[:4])
						return m
					})
				}
				return []time.Duration{0}
			}
			w.start().run(time.Minute)
			for i, e := range w.ends {
				if e.keys != nil && e.secured > 0 {
					t.Errorf("stripped from %d (both: %v): end %d is secure by %v", from, both, i, e.keys.KeyAgreement)
				}
			}
		}
	}
}

// Where both ends have the hybrid, a Commit for less is refused, whoever wrote
// it; where one has not, the classical key agreement is what there is.
func TestHybridBidDown(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	w.ends[0].offer.KeyAgreements = []wire.Name{wire.X255} // it says XM76 in its Hello
	w.start().run(time.Second)
	w.checkFailed(1, wire.ErrorKeyAgreement)

	for _, without := range []int{0, 1} {
		a, b := dialAndListen(1)
		[]*Config{&a, &b}[without].Algorithms.KeyAgreements = []wire.Name{wire.X255, wire.DH3k}
		w := newWorld(t, a, b).start().run(time.Second)
		w.checkSecure()
		if got := w.ends[0].keys.KeyAgreement; got != wire.X255 {
			t.Errorf("agreed by %v", got)
		}
	}
}

// A listener does not send 1,316 bytes to an address that has proved nothing.
func TestListenerNeverBeginsWithTheHybrid(t *testing.T) {
	a, b := config("a", 1), config("b", 1)
	w := newWorld(t, a, b).start().run(time.Minute)
	if w.count(commit) != 0 {
		t.Errorf("two listeners: %v", w.trace)
	}
	w.ends[0].config.Initiate = true // and one of them dials after all
	w.ends[0].commitNow(w.now)
	w.drain(0)
	w.run(time.Second).checkSecure()
}

// A path that loses what is larger than 1,280 bytes: the call ends with a
// reason that says so, after no fewer than three Commits, and there is no
// classical one.
func TestLargeCommitIsLost(t *testing.T) {
	for _, delay := range []time.Duration{time.Millisecond, 300 * time.Millisecond} {
		a, b := dialAndListen(1)
		w := newWorld(t, a, b)
		w.delay = delay
		lost := 0
		w.net = func(p *parcel) []time.Duration {
			if len(p.packet) > 1280 {
				lost++
				return nil
			}
			return []time.Duration{0}
		}
		begin := w.now
		w.start()
		if !w.runUntil(time.Minute, func() bool { return w.ends[0].failure != nil }) {
			t.Fatal("it waits for ever")
		}
		took := w.now.Sub(begin)
		f := w.ends[0].failure
		if !errors.Is(f.Err, ErrLargeCommit) || f.Code != wire.ErrorTimeout || f.Peer {
			t.Errorf("%+v", f)
		}
		if lost < largeCommits || took < largePatience || took > 6*time.Second {
			t.Errorf("given up after %d Commits and %v", lost, took)
		}
		if w.ends[1].keys != nil {
			t.Error("the listener has keys")
		}
	}
}

// A long way is no lossy one, and where the answer is lost the Commit is not
// to blame.
func TestLargeCommitOnALongWay(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	w.delay = 900 * time.Millisecond
	w.start().run(time.Minute).checkSecure()

	w = newWorld(t, a, b)
	begin := w.now
	w.net = func(p *parcel) []time.Duration {
		if p.kind == dhPart1 && w.now.Sub(begin) < 5*time.Second {
			return nil
		}
		return []time.Duration{0}
	}
	w.start().run(time.Minute).checkSecure()
}

// KEM of a wrong size, or that is no key, is refused before anything is done
// with it.
func TestBadEncapsulationKey(t *testing.T) {
	for what, c := range map[string]struct {
		edit func([]byte) []byte
		code wire.ErrorCode
	}{
		"too short":        {func(k []byte) []byte { return k[:1180] }, wire.ErrorPublicValue},
		"too long":         {func(k []byte) []byte { return append(k, 0, 0, 0, 0) }, wire.ErrorPublicValue},
		"not below 3329":   {func(k []byte) []byte { k[0], k[1] = 0xff, 0xff; return k }, wire.ErrorPublicValue},
		"all of it 0xffff": {func(k []byte) []byte { return bytes.Repeat([]byte{0xff}, len(k)) }, wire.ErrorPublicValue},
	} {
		a, b := dialAndListen(1)
		w := newWorld(t, a, b)
		packet := w.capture(commit)
		m := parsed(t, packet).(*wire.Commit)
		m.KEM = c.edit(bytes.Clone(m.KEM))
		w.inject(1, change(t, packet, func([]byte) []byte { return seal(m, w.ends[0].chain.h1) }))
		if f := w.ends[1].failure; f == nil || f.Code != c.code {
			t.Errorf("%s: %+v", what, f)
		}
	}
}
