package zrtp

import (
	"bytes"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// alone starts one session whose peer is the test.
func alone(t testing.TB, c Config) *world {
	w := &world{t: t, now: time.Unix(1_000_000, 0), delay: 1000 * time.Hour} // nothing arrives
	w.ends[0] = &end{Session: mustNew(t, c)}
	w.ends[1] = &end{Session: mustNew(t, config("nobody", 1))} // never started
	w.ends[0].Start(w.now)
	w.drain(0)
	return w
}

// peerHello is a Hello of a peer that the test plays, and its packet.
func peerHello(edit func(*wire.Hello)) (message, packet []byte) {
	c := newChain([32]byte{1, 2, 3})
	h := &wire.Hello{Version: version, H3: c.h3, ZID: wire.ZID{9}}
	edit(h)
	message = seal(h, c.h2)
	return message, wire.AppendPacket(nil, 7, 0x01020304, message)
}

func say(m wire.Message) []byte { return wire.AppendPacket(nil, 8, 0x01020304, m.Append(nil)) }

func (w *world) count(kind wire.Type) (n int) {
	for _, f := range w.flights {
		if kindOf(w.t, f.packet) == kind {
			n++
		}
	}
	return n
}

// Hello has no count, unlike in Section 6: docs/notes/hello-repeats.md.
func TestHelloRepeatsForEver(t *testing.T) {
	w := alone(t, config("a", 1))
	start := w.now
	for n := 1; n <= 3000; n++ {
		want := start.Add(time.Duration(n) * HelloInterval)
		if got := w.ends[0].Deadline(); !got.Equal(want) {
			t.Fatalf("Hello %d is due after %v", n, got.Sub(start))
		}
		w.now = want
		w.flights = nil
		w.ends[0].Advance(w.now)
		w.drain(0)
		if w.count(hello) != 1 || len(w.flights) != 1 {
			t.Fatalf("Hello %d: %d packets", n, len(w.flights))
		}
	}
}

// "The receipt of a HelloACK stops retransmission of the Hello message."
// (Section 5.3) The peer's, that is: before its Hello anybody may have sent it.
func TestHelloACK(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	ack := say(&wire.HelloACK{})
	stranger := wire.AppendPacket(nil, 1, 0x99999999, (&wire.HelloACK{}).Append(nil))

	w := alone(t, config("a", 1))
	w.inject(0, ack)
	w.run(time.Minute)
	if n := w.count(hello); n < 290 {
		t.Errorf("a HelloACK before any Hello left %d repeats", n)
	}
	w.inject(0, theirs)
	w.flights = nil
	w.run(CommitAfter / 2)
	if n := w.count(hello); n != 0 {
		t.Errorf("Hello was repeated %d times after HelloACK and Hello", n)
	}

	w = alone(t, config("a", 1))
	w.inject(0, stranger)
	w.inject(0, theirs)
	w.flights = nil
	w.run(time.Second + time.Millisecond)
	if n := w.count(hello); n != 5 {
		t.Errorf("after a stranger's HelloACK %d Hellos", n)
	}
	if err := w.inject(0, stranger); err != DropForeign {
		t.Errorf("a stranger's HelloACK: %v", err)
	}
	w.inject(0, ack)
	w.flights = nil
	w.run(CommitAfter / 2)
	if n := w.count(hello); n != 0 {
		t.Errorf("Hello was repeated %d times after Hello and HelloACK", n)
	}
}

// One who sees the peer's SSRC forges its HelloACK, and our Hello was lost: the
// peer, which repeats its own, gets it nevertheless.
func TestForgedHelloACK(t *testing.T) {
	a, b := dialAndListen(14)
	w := newWorld(t, a, b)
	w.capture(helloACK) // B has A's Hello
	w.flights = nil     // and A has nothing
	forged := wire.AppendPacket(nil, 1, a.SSRC, (&wire.HelloACK{}).Append(nil))
	if err := w.inject(1, forged); err != nil {
		t.Fatal(err)
	}
	if !w.runUntil(CommitAfter, w.bothSecure) {
		t.Fatalf("not secure: %v", w.trace)
	}
	w.checkSecure()
}

// A listener that has waited answers the first Hello with HelloACK and its own
// Hello at once, the repeats with HelloACK.
func TestListenerAnswersHello(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	w := alone(t, config("a", 1))
	w.run(150 * time.Millisecond)
	w.flights = nil
	w.inject(0, theirs)
	if w.count(helloACK) != 1 || w.count(hello) != 1 || len(w.flights) != 2 {
		t.Errorf("answers to the first Hello: %v", w.trace)
	}
	w.flights = nil
	w.inject(0, theirs)
	if w.count(helloACK) != 1 || len(w.flights) != 1 {
		t.Errorf("answers to its repeat: %v", w.trace)
	}
	if w.ends[0].key != nil {
		t.Error("a key before Commit")
	}
}

// "A Commit message may be sent in place of a HelloACK by an Initiator, if a
// Commit message is ready to be sent promptly." (Section 5.3)
func TestDiallerCommitsAtOnce(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	c := config("a", 1)
	c.Initiate = true
	w := alone(t, c)
	for range 3 {
		w.flights = nil
		w.inject(0, theirs)
		if w.count(commit) != 1 || len(w.flights) != 1 {
			t.Errorf("answer to Hello: %v", w.trace)
		}
	}
	// A peer that has only just begun to listen gets our Hello before it.
	w.run(120 * time.Millisecond)
	w.flights = nil
	w.inject(0, theirs)
	if len(w.flights) != 2 || kindOf(t, w.flights[0].packet) != hello || w.count(commit) != 1 {
		t.Errorf("answer to a later Hello: %v", w.trace)
	}
	// Its own Hello is not acknowledged: that goes on.
	w.flights = nil
	w.run(HelloInterval + time.Millisecond)
	if w.count(hello) != 1 {
		t.Errorf("no Hello while nobody has acknowledged it: %v", w.trace)
	}
}

// "If an endpoint receives a Hello message with an unsupported version number
// that is higher than the endpoint's current Hello message version, the
// received Hello message MUST be ignored." "If an endpoint receives a Hello
// message with an unsupported version number that is lower than the
// endpoint's current Hello message, the endpoint MUST send an Error message".
// "When comparing protocol versions, a ZRTP endpoint MUST include only the
// first three octets" (Section 4.1.1). "A HelloACK is sent regardless if the
// version number in the Hello is supported" (Section 5.3).
func TestVersions(t *testing.T) {
	for _, dials := range []bool{false, true} {
		for _, c := range []struct {
			version string
			drop    error
			code    wire.ErrorCode
		}{
			{"1.10", nil, 0},
			{"1.1 ", nil, 0},
			{"1.1a", nil, 0},
			{"1.20", DropVersion, 0},
			{"2.00", DropVersion, 0},
			{"1.00", DropVersion, wire.ErrorVersion},
			{"0.95", DropVersion, wire.ErrorVersion},
		} {
			conf := config("a", 1)
			conf.Initiate = dials
			w := alone(t, conf)
			_, theirs := peerHello(func(h *wire.Hello) { copy(h.Version[:], c.version) })
			if err := w.inject(0, theirs); err != c.drop {
				t.Errorf("version %q: %v", c.version, err)
			}
			e := w.ends[0]
			if e.failure != nil {
				t.Errorf("version %q: %+v", c.version, e.failure)
			}
			ok := c.code == 0 && c.drop == nil
			if ok != (e.hello != nil) {
				t.Errorf("version %q: taken: %v", c.version, !ok)
			}
			if w.count(helloACK)+w.count(commit) != 1 {
				t.Errorf("version %q: not acknowledged: %v", c.version, w.trace)
			}
			if c.code != 0 { // and nobody of our version follows
				w.run(ErrorGrace + time.Millisecond)
				if f := e.failure; f == nil || f.Code != c.code || f.Peer {
					t.Errorf("version %q: %+v", c.version, f)
				}
				w = alone(t, withRand(conf))
				e = w.ends[0]
				w.inject(0, theirs)
			}
			if c.drop != nil {
				// It comes down, and all is well.
				_, theirs := peerHello(func(*wire.Hello) {})
				if err := w.inject(0, theirs); err != nil || e.hello == nil {
					t.Errorf("after %q, 1.10: %v", c.version, err)
				}
			}
		}
	}
}

func TestPeerHello(t *testing.T) {
	_, theirs := peerHello(func(h *wire.Hello) { copy(h.Client[:], "some phone \x00\x00") })
	w := alone(t, config("a", 1))
	w.inject(0, theirs)
	want := PeerHello{ZID: wire.ZID{9}, Client: "some phone", SSRC: 0x01020304}
	if got := w.ends[0].hello; got == nil || *got != want {
		t.Errorf("%+v", got)
	}
	if m := parsed(t, w.flights[0].packet).(*wire.Hello); string(m.Client[:]) != "securecall test " || m.P || m.M || m.S {
		t.Errorf("our own Hello: %+v", m)
	}
}

// Every endpoint "MUST respond to a Ping message with a PingACK message"
// (Section 5.15), whoever asks and in whatever state.
func TestPing(t *testing.T) {
	a, b := dialAndListen(12)
	w := newWorld(t, a, b)
	ping := wire.AppendPacket(nil, 3, 0x77777777,
		(&wire.Ping{Version: [4]byte{'1', '.', '2', '0'}, EndpointHash: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}).Append(nil))
	answered := 0
	ask := func(i int) {
		e := w.ends[i]
		for len(e.queue) > 0 { // what is on its way is not ours to take
			return
		}
		if err := e.Receive(w.now, ping); err != nil {
			t.Errorf("Ping: %v", err)
		}
		packet, ok := e.NextPacket()
		if !ok {
			t.Fatal("no PingACK")
		}
		ack, ok := parsed(t, packet).(*wire.PingACK)
		if !ok {
			t.Fatalf("not a PingACK: %v", kindOf(t, packet))
		}
		want := wire.PingACK{Version: version, ReceivedEndpointHash: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, SSRC: 0x77777777}
		copy(want.SenderEndpointHash[:], e.config.ZID[:])
		if *ack != want {
			t.Errorf("PingACK %+v", ack)
		}
		answered++
	}
	w.start()
	for limit := w.now.Add(time.Minute); !w.bothSecure() && w.step(limit); {
		ask(0)
		ask(1)
	}
	w.checkSecure()
	ask(0)
	ask(1)
	if answered < 10 {
		t.Errorf("%d answers", answered)
	}
}

// A flood makes no queue: what the owner does not fetch is bounded.
func TestQueueIsBounded(t *testing.T) {
	w := alone(t, config("a", 1))
	ping := say(&wire.Ping{Version: version})
	for range 1000 {
		w.ends[0].Receive(w.now, ping)
	}
	if n := len(w.ends[0].queue); n > maxQueue {
		t.Errorf("%d packets wait", n)
	}
}

func TestNotRunning(t *testing.T) {
	_, theirs := peerHello(func(*wire.Hello) {})
	s := mustNew(t, config("a", 1))
	if err := s.Receive(time.Time{}, theirs); err != DropClosed {
		t.Errorf("before Start: %v", err)
	}
	s.Start(time.Time{})
	s.NextPacket()
	s.Close()
	if err := s.Receive(time.Time{}, theirs); err != DropClosed {
		t.Errorf("after Close: %v", err)
	}
	if _, ok := s.NextPacket(); ok || !s.Deadline().IsZero() {
		t.Error("a closed session is not silent")
	}
}

func TestNoSecretsAreLeft(t *testing.T) {
	a, b := dialAndListen(13)
	w := newWorld(t, a, b).start()
	w.checkCompletes()
	for _, e := range w.ends {
		if e.Session.keys != nil || e.key != nil || e.chain.h0 != [32]byte{} {
			t.Error("a secure session keeps secrets")
		}
	}

	// Closed while nobody has fetched the keys yet, and just before they are
	// told.
	w = newWorld(t, a, b)
	packet := w.capture(confirm2)
	e := w.ends[1]
	derived := e.Session.keys
	if err := e.Receive(w.now, packet); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*direction{&derived.initiator, &derived.responder} {
		if !zero(d.mac) || !zero(d.zrtp) || zero(d.srtpKey) {
			t.Error("the Confirm's keys are left, or the SRTP keys are not")
		}
	}
	e.Close()
	w = newWorld(t, a, b)
	w.capture(confirm2)
	before := w.ends[1].Session.keys
	w.ends[1].Close()
	for _, k := range []*keys{derived, before} {
		for _, d := range []*direction{&k.initiator, &k.responder} {
			if !zero(d.srtpKey) || !zero(d.srtpSalt) || !zero(d.mac) || !zero(d.zrtp) {
				t.Error("Close leaves keys")
			}
		}
	}

	result := []byte{1, 2, 3}
	s0 := suite{}.s0(result, nil, nil, nil)
	suite{}.derive(s0, nil)
	if !zero(result) || !zero(s0) {
		t.Error("DHResult or s0 is left")
	}
}

func zero(b []byte) bool { return bytes.Equal(b, make([]byte, len(b))) }

func TestNewRefuses(t *testing.T) {
	for what, edit := range map[string]func(*Config){
		"a long client":        func(c *Config) { c.Client = "seventeen letters" },
		"an unknown hash":      func(c *Config) { c.Algorithms.Hashes = []wire.Name{name("N256")} },
		"an unknown cipher":    func(c *Config) { c.Algorithms.Ciphers = []wire.Name{name("AES2")} },
		"an unknown auth":      func(c *Config) { c.Algorithms.Auths = []wire.Name{name("SK32")} },
		"an unknown agreement": func(c *Config) { c.Algorithms.KeyAgreements = []wire.Name{wire.Mult} },
		"an unknown SAS":       func(c *Config) { c.Algorithms.SASTypes = []wire.Name{name("B999")} },
		"a name twice":         func(c *Config) { c.Algorithms.Ciphers = []wire.Name{wire.AES1, wire.AES1} },
		"EC38 without S384": func(c *Config) {
			c.Algorithms.Hashes = []wire.Name{wire.S256}
			c.Algorithms.KeyAgreements = []wire.Name{wire.EC38}
		},
		"no random source": func(c *Config) { c.Rand = nil },
		"no random bytes":  func(c *Config) { c.Rand = bytes.NewReader(make([]byte, 33)) },
	} {
		c := config("a", 1)
		edit(&c)
		if s, err := New(c); err == nil || s != nil {
			t.Errorf("%s is let pass", what)
		}
	}
}
