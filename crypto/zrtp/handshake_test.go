package zrtp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

func TestHandshake(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b).start().run(time.Second)
	w.checkSecure()
	if w.ends[0].keys.Role != Initiator {
		t.Error("the dialler is not the initiator")
	}
	if got := w.ends[0].keys.KeyAgreement; got != wire.XM76 {
		t.Errorf("key agreement %v by default", got)
	}
	for i, e := range w.ends {
		if !e.Proven() {
			t.Errorf("end %d: peer not proven", i)
		}
		if n := len(e.Drops()); n != 0 {
			t.Errorf("end %d dropped %v", i, e.Drops())
		}
		if d := e.Deadline(); !d.IsZero() {
			t.Errorf("end %d is secure and waits for %v", i, d)
		}
	}
}

// The dialler is secure four round trips after its first Hello.
func TestRoundTrips(t *testing.T) {
	a, b := dialAndListen(1)
	w := newWorld(t, a, b)
	w.delay = 50 * time.Millisecond
	w.start()
	begin := w.now
	if !w.runUntil(time.Minute, w.bothSecure) {
		t.Fatal("not secure")
	}
	if took := w.now.Sub(begin); took > 4*2*w.delay {
		t.Errorf("secure after %v at a round trip of %v\n%v", took, 2*w.delay, w.trace)
	}

	// The same where the listener makes its session when Hello comes.
	w = newWorld(t, a, b)
	w.delay = 50 * time.Millisecond
	begin = w.now
	w.ends[0].Start(w.now)
	w.drain(0)
	hello := w.flights[0]
	w.flights = nil
	w.now = hello.at
	w.ends[1].Start(w.now)
	w.inject(1, hello.packet)
	if !w.runUntil(time.Minute, w.bothSecure) {
		t.Fatal("not secure")
	}
	if w.sent != 9 { // Hello, HelloACK, Hello, Commit and so on (Section 3.1.1)
		t.Errorf("%d packets: %v", w.sent, w.trace)
	}
	if took := w.now.Sub(begin); took > 4*2*w.delay {
		t.Errorf("secure after %v at a round trip of %v\n%v", took, 2*w.delay, w.trace)
	}
}

func TestEveryCombination(t *testing.T) {
	seed := uint64(0)
	for _, hash := range defaultHashes {
		for _, ciph := range defaultCiphers {
			for _, auth := range defaultAuths {
				for _, sas := range defaultSASTypes {
					for _, ka := range ranking {
						if ka == wire.EC38 && hash != wire.S384 {
							continue
						}
						// Finite-field keys are slow: not with everything.
						finite := ka == wire.DH2k || ka == wire.DH3k
						if finite && (auth != wire.HS80 || sas != wire.B256) {
							continue
						}
						seed++
						a, b := dialAndListen(seed)
						a.Algorithms = Algorithms{
							Hashes: []wire.Name{hash}, Ciphers: []wire.Name{ciph}, Auths: []wire.Name{auth},
							KeyAgreements: []wire.Name{ka}, SASTypes: []wire.Name{sas},
						}
						b.Algorithms = a.Algorithms
						w := newWorld(t, a, b).start().run(time.Second)
						w.checkSecure()
						k := w.ends[0].keys
						if (suite{k.Hash, k.Cipher, k.Auth, k.KeyAgreement, k.SAS}) != (suite{hash, ciph, auth, ka, sas}) {
							t.Errorf("%v %v %v %v %v asked for, %v got", hash, ciph, auth, ka, sas, k)
						}
						if bits := (suite{cipher: ciph}).cipherBits(); len(k.LocalKey) != bits/8 || len(k.LocalSalt) != 14 {
							t.Errorf("%v: key of %d bytes, salt of %d", ciph, len(k.LocalKey), len(k.LocalSalt))
						}
					}
				}
			}
		}
	}
}

// pairs are who may meet: each initiates or not.
var pairs = []struct {
	name string
	a, b bool
}{
	{"dial and listen", true, false},
	{"listen and dial", false, true},
	{"both dial", true, true},
	{"both listen", false, false},
}

// pair is two ends that begin with the hybrid if they can: somebody must dial.
func pair(seed uint64, a, b bool) (Config, Config) {
	x, y := config("a", seed), config("b", seed)
	x.Initiate, y.Initiate = a, b
	if !a && !b {
		x.Algorithms.KeyAgreements = []wire.Name{wire.X255}
	}
	return x, y
}

func TestEverySingleLossDuplicateAndDelay(t *testing.T) {
	harms := []struct {
		name string
		late []time.Duration
	}{
		{"lost", nil},
		{"twice", []time.Duration{0, 0}},
		{"again later", []time.Duration{0, 90 * time.Millisecond}},
		{"again much later", []time.Duration{0, 3 * time.Second}},
		{"after the next", []time.Duration{time.Millisecond}},
		{"30 ms late", []time.Duration{30 * time.Millisecond}},
		{"a second late", []time.Duration{time.Second}},
	}
	for _, p := range pairs {
		for seed := range uint64(1) {
			a, b := pair(seed, p.a, p.b)
			clean := newWorld(t, a, b).start()
			if !clean.runUntil(time.Minute, clean.bothSecure) {
				t.Fatalf("%s: not secure without any harm", p.name)
			}
			for n := range clean.sent {
				for _, harm := range harms {
					a, b := pair(seed, p.a, p.b)
					w := newWorld(t, a, b)
					w.net = func(p *parcel) []time.Duration {
						if p.n == n {
							return harm.late
						}
						return []time.Duration{0}
					}
					w.start()
					if !w.runUntil(30*time.Second, w.bothSecure) {
						t.Fatalf("%s, packet %d %s: not secure\n%v", p.name, n, harm.name, w.trace)
					}
					w.run(5 * time.Second).checkSecure()
				}
			}
		}
	}
}

func TestEveryTwoLosses(t *testing.T) {
	for _, p := range pairs {
		a, b := pair(7, p.a, p.b)
		clean := newWorld(t, a, b).start()
		clean.runUntil(time.Minute, clean.bothSecure)
		for n := range clean.sent + 2 {
			for m := range n {
				a, b := pair(7, p.a, p.b)
				w := newWorld(t, a, b)
				w.net = func(p *parcel) []time.Duration {
					if p.n == n || p.n == m {
						return nil
					}
					return []time.Duration{0}
				}
				w.start()
				if !w.runUntil(30*time.Second, w.bothSecure) {
					t.Fatalf("%s, packets %d and %d lost: not secure\n%v", p.name, m, n, w.trace)
				}
				w.checkSecure()
			}
		}
	}
}

func TestHeavyLoss(t *testing.T) {
	for seed := range uint64(80) {
		p := pairs[seed%uint64(len(pairs))]
		a, b := pair(seed, p.a, p.b)
		w := newWorld(t, a, b)
		r := rand.New(random("net", seed))
		w.net = func(*parcel) []time.Duration {
			var late []time.Duration
			if r.Float64() >= 0.25 {
				late = append(late, time.Duration(r.IntN(300))*time.Millisecond)
			}
			if r.Float64() < 0.1 {
				late = append(late, time.Duration(r.IntN(2000))*time.Millisecond)
			}
			return late
		}
		w.start()
		if !w.runUntil(2*time.Minute, w.bothSecure) {
			t.Fatalf("seed %d: not secure\n%v", seed, w.trace)
		}
		w.checkSecure()
	}
}

// "All message retransmissions MUST be identical to the initial message
// including nonces, public values, etc" (Section 6); the packet around it has
// a sequence number that "is incremented for each ZRTP packet sent" (Section
// 5) and begins where a wrap is far away.
func TestRepeatsAreIdentical(t *testing.T) {
	for _, lost := range []wire.Type{hello, commit, dhPart1, dhPart2, confirm1, confirm2, conf2ACK} {
		a, b := dialAndListen(3)
		w := newWorld(t, a, b)
		first := map[string][]byte{}
		repeats := 0
		var seq [2]uint16
		w.net = func(p *parcel) []time.Duration {
			pkt, err := wire.ParsePacket(p.packet)
			if err != nil {
				t.Fatal(err)
			}
			if last := seq[p.from]; last == 0 {
				if pkt.Seq < 1 || pkt.Seq > 32000 {
					t.Errorf("first sequence number %d", pkt.Seq)
				}
			} else if pkt.Seq != last+1 {
				t.Errorf("sequence number %d after %d", pkt.Seq, last)
			}
			seq[p.from] = pkt.Seq
			key := fmt.Sprint(p.from, p.kind)
			if old, ok := first[key]; !ok {
				first[key] = pkt.Message
			} else if string(old) != string(pkt.Message) {
				t.Errorf("%v was changed when it was repeated", p.kind)
			}
			if p.kind == lost {
				if repeats++; repeats < 6 {
					return nil
				}
			}
			return []time.Duration{0}
		}
		w.start()
		if !w.runUntil(time.Minute, w.bothSecure) {
			t.Fatalf("%v lost: not secure\n%v", lost, w.trace)
		}
		w.checkSecure()
		if repeats < 6 {
			t.Errorf("%v was sent %d times only", lost, repeats)
		}
	}
}

// DHPart1 shows that the peer has our Hello, whatever became of HelloACK.
func TestHelloEndsWithDHPart1(t *testing.T) {
	a, b := dialAndListen(4)
	w := newWorld(t, a, b)
	w.net = func(p *parcel) []time.Duration {
		if p.kind == hello && w.ends[p.from].state > committed {
			t.Errorf("%c still repeats Hello", 'A'+rune(p.from))
		}
		if p.kind == helloACK || p.kind == dhPart2 && w.now.Sub(time.Unix(1_000_000, 0)) < time.Second {
			return nil
		}
		return []time.Duration{0}
	}
	w.start()
	if !w.runUntil(time.Minute, w.bothSecure) {
		t.Fatal("not secure")
	}
	w.checkSecure()
}

// spy counts how often a key is wiped.
type spy struct {
	dh.Key
	wiped *int
}

func (s spy) Wipe() { *s.wiped++ }

// A private key lives until its result is there, or until the end.
func TestKeysAreWiped(t *testing.T) {
	for _, how := range []string{"used", "failed", "closed"} {
		a, b := dialAndListen(5)
		w := newWorld(t, a, b)
		w.capture(dhPart1)
		var wiped [2]int
		for i, e := range w.ends {
			e.key = spy{e.key, &wiped[i]}
		}
		switch how {
		case "used":
			w.checkCompletes()
		case "failed":
			for _, e := range w.ends {
				e.fail(w.now, wire.ErrorTimeout)
			}
		case "closed":
			for _, e := range w.ends {
				e.Close()
			}
		}
		if wiped != [2]int{1, 1} {
			t.Errorf("%s: wiped %v times", how, wiped)
		}
	}
}
