package zrtp

import (
	"bytes"
	"testing"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// "the Commit message with the lowest hvi ... MUST be discarded and the other
// side is the initiator" (Section 4.2)
func TestContention(t *testing.T) {
	initiators := map[bool]int{}
	for seed := range uint64(20) {
		a, b := pair(seed, true, true)
		w := newWorld(t, a, b)
		hvi := map[int][]byte{}
		w.net = func(p *parcel) []time.Duration {
			if e := w.ends[p.from]; p.kind == commit && e.role == Responder {
				t.Errorf("seed %d: a discarded Commit is repeated", seed)
			}
			if p.kind == dhPart1 && w.now.Sub(time.Unix(1_000_000, 0)) < time.Second {
				return nil // long enough for a repeat
			}
			if c, ok := parsed(t, p.packet).(*wire.Commit); ok {
				hvi[p.from] = bytes.Clone(c.HVI[:])
			}
			return []time.Duration{0}
		}
		w.start()
		w.checkCompletes()
		if len(hvi) != 2 {
			t.Fatal("no contention")
		}
		higher := bytes.Compare(hvi[0], hvi[1]) > 0
		if got := w.ends[0].keys.Role == Initiator; got != higher {
			t.Errorf("seed %d: A is the initiator: %v", seed, got)
		}
		initiators[higher]++
	}
	if len(initiators) != 2 {
		t.Error("the same end won every time")
	}
}

// "the responder's DH public value should only be discarded if it does not
// match the initiator's DH key size" (Section 4.2)
func TestContentionKeepsTheKey(t *testing.T) {
	kept, other := 0, 0
	for seed := range uint64(20) {
		a, b := pair(seed, true, true)
		a.Algorithms.KeyAgreements = []wire.Name{wire.X255, wire.EC25}
		b.Algorithms.KeyAgreements = a.Algorithms.KeyAgreements
		w := newWorld(t, a, b)
		if seed%2 == 1 { // B does not follow Section 4.1.2 and commits to EC25
			w.ends[1].offer.KeyAgreements = []wire.Name{wire.EC25}
		}
		var committedTo [2][]byte
		var pvr []byte
		var responder int
		w.net = func(p *parcel) []time.Duration {
			if p.kind == commit {
				committedTo[p.from] = bytes.Clone(parsedMessage(t, w.ends[p.from].dhPart2).(*wire.DHPart).PV)
				w.ends[p.from].offer.KeyAgreements = []wire.Name{wire.X255, wire.EC25}
			}
			if p.kind == dhPart1 {
				pvr, responder = bytes.Clone(parsed(t, p.packet).(*wire.DHPart).PV), p.from
			}
			return []time.Duration{0}
		}
		w.start()
		w.checkCompletes()
		mine, theirs := committedTo[responder], committedTo[1-responder]
		switch {
		case mine == nil || theirs == nil:
			t.Fatal("no contention")
		case len(mine) == len(theirs):
			kept++
			if !bytes.Equal(mine, pvr) {
				t.Errorf("seed %d: the key was thrown away", seed)
			}
		default:
			other++
			if len(pvr) != len(theirs) {
				t.Errorf("seed %d: pvr of %d bytes, pvi of %d", seed, len(pvr), len(theirs))
			}
		}
	}
	if kept == 0 || other == 0 {
		t.Errorf("%d with the same key agreement, %d with two", kept, other)
	}
}

func TestContentionWithLosses(t *testing.T) {
	kinds := []wire.Type{hello, helloACK, commit, dhPart1, dhPart2, confirm1, confirm2, conf2ACK}
	for seed := range uint64(2) {
		for from := range 2 {
			for _, kind := range kinds {
				for _, lost := range []int{1, 3} {
					a, b := pair(seed, true, true)
					w := newWorld(t, a, b)
					n := 0
					w.net = func(p *parcel) []time.Duration {
						if p.from == from && p.kind == kind {
							if n++; n <= lost {
								return nil
							}
						}
						return []time.Duration{0}
					}
					w.start()
					if !w.runUntil(30*time.Second, w.bothSecure) {
						t.Fatalf("%d of %v from %d lost: not secure\n%v", lost, kind, from, w.trace)
					}
					w.checkSecure()
				}
			}
		}
	}
}

// otherCommit is a Commit of the peer that peerHello plays.
func otherCommit(edit func(*wire.Commit)) []byte {
	c := newChain([32]byte{1, 2, 3})
	m := &wire.Commit{
		H2: c.h2, ZID: wire.ZID{9}, Hash: wire.S256, Cipher: wire.AES3, Auth: wire.HS80,
		KeyAgreement: wire.X255, SAS: wire.B32, HVI: [32]byte{0x80},
	}
	edit(m)
	return wire.AppendPacket(nil, 9, 0x01020304, seal(m, c.h1))
}

// Section 4.2: "If one Commit is for a DH mode while the other is for Preshared
// mode, then the Preshared Commit MUST be discarded and the DH Commit
// proceeds." "If one Commit is for Multistream mode while the other is for
// non-Multistream ... a software error has occurred and the ZRTP negotiation
// should be terminated."
// Section 4.4.2.3: a responder without the secret "SHOULD respond with its own
// DH Commit message". Section 4.4.3.1: "If a Commit is received selecting
// Multistream mode, but the responder does not have a ZRTP Session Key
// available, the exchange MUST be terminated."
func TestOtherModes(t *testing.T) {
	mode := func(n wire.Name) []byte { return otherCommit(func(m *wire.Commit) { m.KeyAgreement = n }) }
	_, theirs := peerHello(func(*wire.Hello) {})
	for _, c := range []struct {
		what  string
		dials bool
		mode  wire.Name
		drop  error
		code  wire.ErrorCode
		state state
	}{
		{"Preshared to a listener", false, wire.Prsh, nil, 0, committed},
		{"Preshared against a Commit", true, wire.Prsh, DropContention, 0, committed},
		{"Multistream to a listener", false, wire.Mult, nil, wire.ErrorNoSecret, failed},
		{"Multistream against a Commit", true, wire.Mult, nil, wire.ErrorSoftware, failed},
	} {
		conf := config("a", 1)
		conf.Initiate = c.dials
		w := alone(t, conf)
		w.inject(0, theirs)
		if err := w.inject(0, mode(c.mode)); err != c.drop {
			t.Errorf("%s: %v", c.what, err)
		}
		e := w.ends[0]
		if e.state != c.state || (e.failure != nil) != (c.code != 0) || c.code != 0 && e.failure.Code != c.code {
			t.Errorf("%s: state %d, %+v", c.what, e.state, e.failure)
		}
	}
}

// Our own hvi, handed back by somebody who has seen it: nobody is initiator.
func TestEqualHVI(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	c := config("a", 1)
	c.Initiate = true
	w := alone(t, c)
	w.inject(0, theirs)
	w.inject(0, otherCommit(func(m *wire.Commit) { m.HVI = w.ends[0].hvi }))
	if f := w.ends[0].failure; f == nil || f.Code != wire.ErrorNonceReuse {
		t.Errorf("%+v", f)
	}
}

// A listener commits itself only towards a passive peer, or when no Commit
// came for a second after the Hellos.
func TestListenerCommits(t *testing.T) {
	_, passive := peerHello(func(h *wire.Hello) { h.P = true })
	_, active := peerHello(func(*wire.Hello) {})

	w := alone(t, config("a", 1))
	w.inject(0, passive)
	if w.count(commit) != 1 || w.count(helloACK) != 0 {
		t.Errorf("towards a passive peer: %v", w.trace)
	}

	w = alone(t, config("a", 1))
	w.inject(0, active)
	w.run(10 * time.Second)
	if w.count(commit) != 0 {
		t.Error("a Commit before the peer has our Hello")
	}
	w.inject(0, say(&wire.HelloACK{}))
	w.run(CommitAfter)
	if w.count(commit) != 0 {
		t.Error("a Commit too early")
	}
	w.run(time.Millisecond)
	if w.count(commit) != 1 {
		t.Errorf("no Commit after a second: %v", w.trace)
	}
}

// A whole exchange with a peer that never commits, which no session of ours is.
func TestPassivePeer(t *testing.T) {
	for _, dials := range []bool{false, true} {
		a, b := pair(3, dials, false)
		w := newWorld(t, a, b)
		h := w.ends[1].helloMessage()
		h.P = true
		w.ends[1].Session.hello = seal(h, w.ends[1].chain.h2)
		begin := w.now
		w.start()
		w.checkCompletes()
		if took := w.now.Sub(begin); took > 500*time.Millisecond {
			t.Errorf("secure after %v", took)
		}
		if w.ends[0].keys.Role != Initiator {
			t.Error("the passive peer is the initiator")
		}
	}
}

// Commits outside our offer get the code of what is wrong (Section 5.9), also
// where it is something that every endpoint must have but an exact list leaves
// out (docs/notes/exact-lists.md).
func TestCommitOutsideTheOffer(t *testing.T) {
	exact := Algorithms{
		Hashes: []wire.Name{wire.S384}, Ciphers: []wire.Name{wire.AES3}, Auths: []wire.Name{wire.HS80},
		KeyAgreements: []wire.Name{wire.X255}, SASTypes: []wire.Name{wire.B256},
	}
	good := func(m *wire.Commit) { m.Hash, m.SAS = wire.S384, wire.B256 }
	_, theirs := peerHello(func(*wire.Hello) {})
	for _, c := range []struct {
		what  string
		lists Algorithms
		edit  func(*wire.Commit)
		code  wire.ErrorCode
	}{
		{"as listed", exact, good, 0},
		{"mandatory hash", exact, func(m *wire.Commit) { good(m); m.Hash = wire.S256 }, wire.ErrorHash},
		{"mandatory cipher", exact, func(m *wire.Commit) { good(m); m.Cipher = wire.AES1 }, wire.ErrorCipher},
		{"mandatory auth", exact, func(m *wire.Commit) { good(m); m.Auth = wire.HS32 }, wire.ErrorAuth},
		{"mandatory agreement", exact, func(m *wire.Commit) { good(m); m.KeyAgreement = wire.DH3k }, wire.ErrorKeyAgreement},
		{"mandatory SAS", exact, func(m *wire.Commit) { good(m); m.SAS = wire.B32 }, wire.ErrorSAS},

		{"all mandatory, by default", Algorithms{}, func(m *wire.Commit) {
			m.Hash, m.Cipher, m.Auth, m.KeyAgreement, m.SAS = wire.S256, wire.AES1, wire.HS32, wire.DH3k, wire.B32
		}, 0},
		{"unknown hash", Algorithms{}, func(m *wire.Commit) { m.Hash = name("N256") }, wire.ErrorHash},
		{"a cipher that SRTP cannot carry", Algorithms{}, func(m *wire.Commit) { m.Cipher = name("2FS3") }, wire.ErrorCipher},
		{"a tag that SRTP cannot carry", Algorithms{}, func(m *wire.Commit) { m.Auth = name("SK64") }, wire.ErrorAuth},
		{"DH2k by default", Algorithms{}, func(m *wire.Commit) { m.KeyAgreement = wire.DH2k }, wire.ErrorKeyAgreement},
		{"unknown SAS", Algorithms{}, func(m *wire.Commit) { m.SAS = name("B999") }, wire.ErrorSAS},
		// "If ECDH-384 (EC38) is chosen as the key agreement, the negotiated
		// hash algorithm MUST be either SHA-384 or the corresponding SHA-3
		// successor." (Section 5.1.5)
		{"EC38 with S256", Algorithms{}, func(m *wire.Commit) { m.KeyAgreement = wire.EC38 }, wire.ErrorHash},
		{"EC38 with S384", Algorithms{}, func(m *wire.Commit) { m.KeyAgreement, m.Hash = wire.EC38, wire.S384 }, 0},
	} {
		conf := config("a", 1)
		conf.Algorithms = c.lists
		w := alone(t, conf)
		w.inject(0, theirs)
		if err := w.inject(0, otherCommit(c.edit)); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		e := w.ends[0]
		if c.code == 0 {
			if e.state != sentDHPart1 {
				t.Errorf("%s: state %d, %+v", c.what, e.state, e.failure)
			}
			continue
		}
		if e.failure == nil || e.failure.Code != c.code || w.count(errorMessage) != 1 {
			t.Errorf("%s: %+v", c.what, e.failure)
		}
		if e.key != nil {
			t.Errorf("%s: a key was made", c.what)
		}
	}
}

// Nothing in common: the initiator says so itself.
func TestNothingInCommon(t *testing.T) {
	for code, lists := range map[wire.ErrorCode]Algorithms{
		wire.ErrorHash:         {Hashes: []wire.Name{wire.S384}},
		wire.ErrorCipher:       {Ciphers: []wire.Name{wire.AES3}},
		wire.ErrorKeyAgreement: {KeyAgreements: []wire.Name{wire.X255}},
		wire.ErrorSAS:          {SASTypes: []wire.Name{wire.B256}},
	} {
		conf := config("a", 1)
		conf.Algorithms, conf.Initiate = lists, true
		w := alone(t, conf)
		_, theirs := peerHello(func(*wire.Hello) {}) // no lists: only what all must have
		w.inject(0, theirs)
		if f := w.ends[0].failure; f == nil || f.Code != code {
			t.Errorf("%#x: %+v", code, f)
		}
	}
}

func TestAllowKey(t *testing.T) {
	for _, ka := range []wire.Name{wire.DH3k, wire.DH2k, wire.EC25} {
		asked, allow := 0, false
		conf := config("a", 1)
		conf.Algorithms.KeyAgreements = []wire.Name{ka}
		conf.AllowKey = func(_ time.Time, slow bool) bool { asked++; return allow || !slow }
		w := alone(t, conf)
		_, theirs := peerHello(func(*wire.Hello) {})
		w.inject(0, theirs)
		c := otherCommit(func(m *wire.Commit) { m.KeyAgreement = ka })
		if a, _ := dh.Lookup(ka); !a.FiniteField() {
			if err := w.inject(0, c); err != nil || asked != 1 {
				t.Errorf("%v: %v, asked %d times", ka, err, asked)
			}
			continue
		}
		for range 3 {
			if err := w.inject(0, c); err != DropBusy || w.ends[0].key != nil || w.ends[0].state != discovery {
				t.Errorf("%v not allowed: %v", ka, err)
			}
		}
		allow = true
		if err := w.inject(0, c); err != nil || w.ends[0].state != sentDHPart1 {
			t.Errorf("%v allowed: %v", ka, err)
		}
		w.inject(0, c) // a repeat: the key is there
		if asked != 4 {
			t.Errorf("%v: asked %d times", ka, asked)
		}
	}
}

// The same before a Commit of our own to somebody whom we did not call.
func TestAllowKeyForOurCommit(t *testing.T) {
	for _, dials := range []bool{false, true} {
		asked, allow := 0, false
		conf := config("a", 1)
		conf.Initiate = dials
		conf.AllowKey = func(_ time.Time, slow bool) bool { asked++; return allow || !slow }
		w := alone(t, conf)
		_, passive := peerHello(func(h *wire.Hello) { h.P = true }) // and has DH3k only
		w.inject(0, passive)
		if dials {
			if w.count(commit) != 1 || asked != 0 {
				t.Errorf("a dialler asks %d times", asked)
			}
			continue
		}
		w.run(3*CommitAfter + time.Millisecond)
		if w.count(commit) != 0 || w.ends[0].key != nil || asked != 4 {
			t.Errorf("asked %d times; %v", asked, w.trace)
		}
		allow = true
		w.run(CommitAfter)
		if w.count(commit) == 0 {
			t.Errorf("allowed, and no Commit: %v", w.trace)
		}
	}
}
