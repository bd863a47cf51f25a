package zrtp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Short names of the message types.
var (
	hello, helloACK, commit = wire.TypeHello, wire.TypeHelloACK, wire.TypeCommit
	dhPart1, dhPart2        = wire.TypeDHPart1, wire.TypeDHPart2
	confirm1, confirm2      = wire.TypeConfirm1, wire.TypeConfirm2
	conf2ACK                = wire.TypeConf2ACK
	errorMessage, errorACK  = wire.TypeError, wire.TypeErrorACK
)

// A world is two sessions, a network between them and a clock of its own.
type world struct {
	t       testing.TB
	now     time.Time
	delay   time.Duration
	ends    [2]*end
	flights []flight
	sent    int
	trace   []string
	// net decides what becomes of a packet; nil: it arrives once, after delay.
	// Each duration returned is one copy and how late it is.
	net func(p *parcel) []time.Duration
}

// parcel is a packet on its way.
type parcel struct {
	n      int // the how manieth of the world
	from   int
	kind   wire.Type
	packet []byte
}

type flight struct {
	at     time.Time
	to     int
	packet []byte
}

// end is a session with what it told.
type end struct {
	*Session
	hello   *PeerHello
	keys    *KeysReady
	secured int
	failure *Failed
}

// random is a stream of random bytes of its own for every name.
func random(name string, seed uint64) *rand.ChaCha8 {
	var s [32]byte
	copy(s[8:], name)
	s[0], s[1], s[2], s[3] = byte(seed), byte(seed>>8), byte(seed>>16), byte(seed>>24)
	return rand.NewChaCha8(s)
}

// config is a plain one for an end called name.
func config(name string, seed uint64) Config {
	r := random(name, seed)
	c := Config{SSRC: r2(r), Client: "securecall test", Rand: r}
	r.Read(c.ZID[:])
	return c
}

func r2(r *rand.ChaCha8) uint32 { return uint32(r.Uint64()) }

// dialAndListen is the common pair: the first end calls the second.
func dialAndListen(seed uint64) (a, b Config) {
	a, b = config("a", seed), config("b", seed)
	a.Initiate = true
	return a, b
}

func mustNew(t testing.TB, c Config) *Session {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newWorld(t testing.TB, a, b Config) *world {
	w := &world{t: t, now: time.Unix(1_000_000, 0), delay: 25 * time.Millisecond}
	w.ends[0] = &end{Session: mustNew(t, a)}
	w.ends[1] = &end{Session: mustNew(t, b)}
	return w
}

// start starts both ends at once.
func (w *world) start() *world {
	for _, e := range w.ends {
		e.Start(w.now)
	}
	for i := range w.ends {
		w.drain(i)
	}
	return w
}

// drain takes what an end wants to send and tell.
func (w *world) drain(i int) {
	e := w.ends[i]
	for {
		packet, ok := e.NextPacket()
		if !ok {
			break
		}
		p := &parcel{n: w.sent, from: i, kind: kindOf(w.t, packet), packet: bytes.Clone(packet)}
		w.sent++
		w.trace = append(w.trace, fmt.Sprintf("%v %c %v", w.now.Sub(time.Unix(1_000_000, 0)), 'A'+rune(i), p.kind))
		late := []time.Duration{0}
		if w.net != nil {
			late = w.net(p)
		}
		for _, l := range late {
			w.flights = append(w.flights, flight{w.now.Add(w.delay + l), 1 - i, p.packet})
		}
	}
	for {
		ev, ok := e.NextEvent()
		if !ok {
			break
		}
		switch ev := ev.(type) {
		case PeerHello:
			if e.hello != nil {
				w.t.Fatal("PeerHello twice")
			}
			e.hello = &ev
		case KeysReady:
			if e.keys != nil {
				w.t.Fatal("KeysReady twice")
			}
			e.keys = &ev
		case Secured:
			if e.keys == nil {
				w.t.Fatal("Secured before KeysReady")
			}
			e.secured++
		case Failed:
			if e.failure != nil {
				w.t.Fatal("Failed twice")
			}
			e.failure = &ev
		}
	}
}

// kindOf is the type of the message in a packet.
func kindOf(t testing.TB, packet []byte) wire.Type {
	p, err := wire.ParsePacket(packet)
	if err != nil {
		t.Fatalf("a session sent a packet that does not parse: %v", err)
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		t.Fatalf("a session sent a message that does not parse: %v", err)
	}
	return m.Type()
}

// inject delivers a packet to an end at once and returns Receive's error.
func (w *world) inject(to int, packet []byte) error {
	err := w.ends[to].Receive(w.now, packet)
	w.drain(to)
	return err
}

// step does the next thing that is due, unless it is later than limit.
func (w *world) step(limit time.Time) bool {
	const none, flying = -1, 2
	what, at := none, limit
	for i, e := range w.ends {
		if d := e.Deadline(); !d.IsZero() && d.Before(at) {
			what, at = i, d
		}
	}
	next := 0
	for i, f := range w.flights {
		if f.at.Before(at) {
			what, at, next = flying, f.at, i
		}
	}
	if what == none {
		w.now = limit
		return false
	}
	w.now = at
	if what == flying {
		f := w.flights[next]
		w.flights = slices.Delete(w.flights, next, next+1)
		w.ends[f.to].Receive(w.now, f.packet)
		w.drain(f.to)
		return true
	}
	w.ends[what].Advance(w.now)
	w.drain(what)
	return true
}

// run lets d pass.
func (w *world) run(d time.Duration) *world {
	for limit := w.now.Add(d); w.step(limit); {
	}
	return w
}

// runUntil runs until done, for d at most.
func (w *world) runUntil(d time.Duration, done func() bool) bool {
	for limit := w.now.Add(d); !done(); {
		if !w.step(limit) {
			return false
		}
	}
	return true
}

func (w *world) bothSecure() bool { return w.ends[0].secured > 0 && w.ends[1].secured > 0 }

// checkSecure fails the test unless both ends are secure once, with the same
// keys and SAS, in different roles.
func (w *world) checkSecure() {
	w.t.Helper()
	a, b := w.ends[0], w.ends[1]
	for i, e := range w.ends {
		if e.failure != nil {
			w.t.Fatalf("end %c failed: %v\n%v", 'A'+rune(i), e.failure.Err, w.trace)
		}
		if e.secured != 1 {
			w.t.Fatalf("end %c: secured %d times\n%v", 'A'+rune(i), e.secured, w.trace)
		}
	}
	x, y := a.keys, b.keys
	if !bytes.Equal(x.LocalKey, y.RemoteKey) || !bytes.Equal(x.LocalSalt, y.RemoteSalt) ||
		!bytes.Equal(y.LocalKey, x.RemoteKey) || !bytes.Equal(y.LocalSalt, x.RemoteSalt) {
		w.t.Fatal("the two ends have different keys")
	}
	if bytes.Equal(x.LocalKey, x.RemoteKey) || bytes.Equal(x.LocalKey, make([]byte, len(x.LocalKey))) {
		w.t.Fatal("keys are not keys")
	}
	if x.SASHash != y.SASHash || x.SASValue != y.SASValue || x.SAS != y.SAS {
		w.t.Fatal("the two ends have different SAS")
	}
	if x.Role == y.Role || x.Role == Undecided || y.Role == Undecided {
		w.t.Fatalf("roles %v and %v", x.Role, y.Role)
	}
	if x.ZID != b.config.ZID || x.SSRC != b.config.SSRC || x.Client != "securecall test" {
		w.t.Fatalf("KeysReady names another peer: %v %x %q", x.ZID, x.SSRC, x.Client)
	}
	if x.Hash != y.Hash || x.Cipher != y.Cipher || x.Auth != y.Auth || x.KeyAgreement != y.KeyAgreement {
		w.t.Fatal("the two ends have different algorithms")
	}
}

// capture runs the world until an end sends a message of the type, takes it
// away from the network and returns its packet. net must not be set.
func (w *world) capture(kind wire.Type) []byte {
	w.t.Helper()
	var taken []byte
	w.net = func(p *parcel) []time.Duration {
		if p.kind == kind && taken == nil {
			taken = p.packet
			return nil
		}
		return []time.Duration{0}
	}
	defer func() { w.net = nil }()
	if len(w.trace) == 0 {
		w.start()
	}
	if !w.runUntil(30*time.Second, func() bool { return taken != nil }) {
		w.t.Fatalf("no %v was sent", kind)
	}
	return taken
}

// change edits a captured packet's message and wraps it up again.
func change(t testing.TB, packet []byte, edit func(message []byte) []byte) []byte {
	t.Helper()
	p, err := wire.ParsePacket(packet)
	if err != nil {
		t.Fatal(err)
	}
	return wire.AppendPacket(nil, p.Seq, p.SSRC, edit(bytes.Clone(p.Message)))
}

// parsed returns the message of a packet.
func parsed(t testing.TB, packet []byte) wire.Message {
	t.Helper()
	p, err := wire.ParsePacket(packet)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
