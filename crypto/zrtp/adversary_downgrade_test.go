package zrtp

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Somebody on the way who wants the two to agree on less than both can do.

// lists are those of a Hello, by name.
var lists = map[string]func(*wire.Hello) *[]wire.Name{
	"hashes":         func(h *wire.Hello) *[]wire.Name { return &h.Hashes },
	"ciphers":        func(h *wire.Hello) *[]wire.Name { return &h.Ciphers },
	"tags":           func(h *wire.Hello) *[]wire.Name { return &h.Auths },
	"key agreements": func(h *wire.Hello) *[]wire.Name { return &h.KeyAgreements },
	"SAS types":      func(h *wire.Hello) *[]wire.Name { return &h.SASTypes },
}

// wanting are lists whose first entries are better than what every endpoint
// must have, and those are what two ends with them agree on.
var wanting = Algorithms{
	Hashes:        []wire.Name{wire.S384, wire.S256},
	Ciphers:       []wire.Name{wire.AES3, wire.AES1},
	Auths:         []wire.Name{wire.HS80, wire.HS32},
	KeyAgreements: []wire.Name{wire.EC25, wire.DH3k},
	SASTypes:      []wire.Name{wire.B256, wire.B32},
}

func wantingHybrid() Algorithms {
	a := wanting
	a.KeyAgreements = []wire.Name{wire.XM76, wire.X255, wire.EC25}
	return a
}

// stripped is a Hello without the first entry of a list. Its MAC is right if h2
// is given, and what it was before if not.
func stripped(t *testing.T, message []byte, list func(*wire.Hello) *[]wire.Name, h2 *[32]byte) []byte {
	t.Helper()
	parsed, err := wire.Parse(bytes.Clone(message))
	if err != nil {
		t.Fatal(err)
	}
	h := parsed.(*wire.Hello)
	l := list(h)
	*l = (*l)[1:]
	if h2 != nil {
		return seal(h, *h2)
	}
	b := h.Append(nil)
	copy(b[len(b)-8:], message[len(message)-8:])
	return b
}

// checkNotLess fails the test if an end is secure with less than both wanted,
// or without the other.
func (w *world) checkNotLess(want suite) {
	w.t.Helper()
	for i, e := range w.ends {
		if e.secured == 0 {
			continue
		}
		k := e.keys
		if got := (suite{k.Hash, k.Cipher, k.Auth, k.KeyAgreement, k.SAS}); got != want {
			w.t.Fatalf("end %d is secure with %v instead of %v", i, got, want)
		}
		w.checkSecure()
	}
}

// "The information from the responder's Hello message is included in the hash
// calculation to prevent a bid-down attack by modification of the responder's
// Hello message." (Section 4.4.1.1) And each Hello has a MAC, whose key comes with
// the next message: "If a bad MAC is discovered, it MUST be treated as a security
// exception" (Section 8.1.1).
//
// Each list, on its way from either end or both, without its first entry.
func TestDowngrade(t *testing.T) {
	for what, list := range lists {
		for _, from := range []int{0, 1, 2} { // 2: both
			for _, p := range pairs[:3] { // somebody dials
				for _, algorithms := range []Algorithms{wanting, wantingHybrid()} {
					t.Run(fmt.Sprintf("%s from %d, %s, %v", what, from, p.name, algorithms.KeyAgreements[0]), func(t *testing.T) {
						a, b := pair(31, p.a, p.b)
						a.Algorithms, b.Algorithms = algorithms, algorithms
						clean := newWorld(t, a, b).start().run(time.Second)
						clean.checkSecure()
						k := clean.ends[0].keys
						want := suite{algorithms.Hashes[0], algorithms.Ciphers[0], algorithms.Auths[0], algorithms.KeyAgreements[0], algorithms.SASTypes[0]}
						if got := (suite{k.Hash, k.Cipher, k.Auth, k.KeyAgreement, k.SAS}); got != want {
							t.Fatalf("without anybody on the way: %v", got)
						}

						a, b = pair(31, p.a, p.b)
						a.Algorithms, b.Algorithms = algorithms, algorithms
						w := newWorld(t, a, b)
						w.net = func(p *parcel) []time.Duration {
							if p.kind == hello && (from == 2 || p.from == from) {
								p.packet = change(t, p.packet, func(m []byte) []byte { return stripped(t, m, list, nil) })
							}
							return []time.Duration{0}
						}
						w.start().run(time.Minute)
						w.checkNotLess(want)
						for i, e := range w.ends {
							if e.secured > 0 || e.failure == nil {
								t.Errorf("end %d: secured %d times, %+v", i, e.secured, e.failure)
							}
						}
					})
				}
			}
		}
	}
}

// One who holds a Hello back until the same end has sent its Commit has the
// MAC's key, H2, and can make it right. He gains nothing: an initiator has chosen
// by then, from the other's Hello, which hvi covers.
func TestDowngradeWithTheKeyOfTheMAC(t *testing.T) {
	secure, refused := 0, 0
	for what, list := range lists {
		for _, p := range pairs[:3] {
			for victim := range 2 { // whose Hello is changed
				for seed := range uint64(3) { // both ends win contention
					for _, algorithms := range []Algorithms{wanting, wantingHybrid()} {
						a, b := pair(seed, p.a, p.b)
						a.Algorithms, b.Algorithms = algorithms, algorithms
						w := newWorld(t, a, b)
						var kept *parcel
						var h2 *[32]byte
						w.net = func(p *parcel) []time.Duration {
							if p.from != victim {
								return []time.Duration{0}
							}
							if p.kind == commit && h2 == nil {
								m := parsed(t, p.packet).(*wire.Commit)
								h2 = &m.H2
								forged := change(t, kept.packet, func(m []byte) []byte { return stripped(t, m, list, h2) })
								w.flights = append(w.flights, flight{w.now.Add(w.delay - time.Microsecond), 1 - p.from, forged})
							}
							if p.kind == hello {
								if kept == nil {
									kept = p
								}
								if h2 == nil {
									return nil
								}
								p.packet = change(t, p.packet, func(m []byte) []byte { return stripped(t, m, list, h2) })
							}
							return []time.Duration{0}
						}
						w.start().run(time.Minute)
						if h2 == nil {
							continue // a listener, whose H2 comes with DHPart1
						}
						if got, all := len(*list(w.ends[1-victim].peer.hello)), len(*list(w.ends[victim].helloMessage())); got != all-1 {
							t.Fatalf("%s of end %d, %s: %d names of %d arrived", what, victim, p.name, got, all)
						}
						w.checkNotLess(suite{wire.S384, wire.AES3, wire.HS80, algorithms.KeyAgreements[0], wire.B256})
						switch {
						case w.bothSecure():
							secure++
						case w.ends[0].secured+w.ends[1].secured > 0:
							t.Errorf("%s of end %d, %s: one end is secure alone", what, victim, p.name)
						default:
							refused++
						}
					}
				}
			}
		}
	}
	if secure == 0 || refused == 0 {
		t.Errorf("%d exchanges completed as both wanted, %d were refused", secure, refused)
	}
}
