package call

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

// Adversaries against whole calls: one who guesses, one who forges, one in the
// middle.

// seeded is a random source that is the same in every run. One goroutine may
// use it.
func seeded(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{n}) }

// hand is one side of an exchange that a test drives by hand.
type hand struct {
	*zrtp.Session
	net      *memnet.Network
	from, to netip.AddrPort // as what it speaks, and to whom
}

func newHand(t *testing.T, net *memnet.Network, from, to netip.AddrPort, c zrtp.Config) *hand {
	t.Helper()
	s, err := zrtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &hand{s, net, from, to}
}

// flush sends what the session wants to say.
func (h *hand) flush() {
	for {
		b, ok := h.NextPacket()
		if !ok {
			return
		}
		h.net.Inject(h.from, h.to, b)
	}
}

// inboxes keep what was sent to addresses that nobody has.
type inboxes struct {
	mu    sync.Mutex
	boxes map[netip.AddrPort][][]byte
}

func (i *inboxes) tap(_, to netip.AddrPort, b []byte) []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.boxes == nil {
		i.boxes = make(map[netip.AddrPort][][]byte)
	}
	i.boxes[to] = append(i.boxes[to], bytes.Clone(b))
	return b
}

func (i *inboxes) take(of netip.AddrPort) [][]byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.boxes[of]
	delete(i.boxes, of)
	return all
}

// typeOf is the type of the ZRTP message in a packet.
func typeOf(t *testing.T, b []byte) wire.Type {
	t.Helper()
	p, err := wire.ParsePacket(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		t.Fatal(err)
	}
	return m.Type()
}

// onlyEC25 is the fastest, with the race detector too.
var onlyEC25 = zrtp.Algorithms{KeyAgreements: []wire.Name{wire.EC25}}

// guess begins an exchange with the listener from an address of its own and
// breaks it off when DHPart1 has come: from then on the SAS can be computed.
func guess(t *testing.T, w *world, in *inboxes, n int) (answered bool) {
	t.Helper()
	h := newHand(t, w.net, address(n), w.bob.addr, zrtp.Config{
		Initiate: true, ZID: wire.ZID{1, byte(n), byte(n >> 8)}, SSRC: uint32(n) + 1, Algorithms: onlyEC25,
		Rand: rand.NewChaCha8([32]byte{1, byte(n), byte(n >> 8)}),
	})
	defer h.Close()
	h.Start(time.Now())
	for range 4 { // Hello; its Hello: Commit; DHPart1
		h.flush()
		time.Sleep(time.Millisecond)
		for _, b := range in.take(h.from) {
			if typeOf(t, b) == wire.TypeDHPart1 {
				return true
			}
			h.Receive(time.Now(), b)
		}
	}
	return false
}

// "The use of hash commitment in the DH exchange constrains the attacker to only
// one guess to generate the correct SAS in his attack, which means the SAS can be
// quite short." (RFC 6189, Section 7) One guess a call: so calls are what has to be
// limited, and counted.
func TestGuessingTheSAS(t *testing.T) {
	const trials = 600 // of 3 or 4 ms, each from an address of its own
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var in inboxes
		w.net.SetTap(in.tap)
		w.listen()
		await[Listening](t, &w.bob)
		begin, guesses := time.Now(), 0
		for n := range trials {
			if guess(t, w, &in, n) {
				guesses++
			}
		}
		most := guessBurst + int(guessRate*time.Since(begin).Seconds()) + 1
		if guesses > most || guesses < guessBurst || most > trials*4/5 {
			t.Errorf("%d guesses in %v, at most %d should be", guesses, time.Since(begin), most)
		}
		if len(w.bob.names()) != 1 {
			t.Errorf("guesses made news: %v", w.bob.names())
		}
		w.dial()
		if got := await[Secured](t, &w.bob).Attempts; got != guesses {
			t.Errorf("Bob is told of %d attempts, %d there were", got, guesses)
		}
		if got := await[Secured](t, &w.alice).Attempts; got != 0 {
			t.Errorf("Alice, whom nobody called, is told of %d", got)
		}
		await[Answered](t, &w.alice)
		w.stop()
	})
}

// The honest call comes while he goes on, with as many trials as are answered
// and none to spare.
func TestCallWhileSomebodyGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		for _, d := range [][2]netip.AddrPort{{w.alice.addr, w.bob.addr}, {w.bob.addr, w.alice.addr}} {
			w.net.SetConditions(d[0], d[1], memnet.Conditions{Delay: 20 * time.Millisecond})
		}
		var in inboxes
		w.net.SetTap(in.tap)
		w.listen()
		await[Listening](t, &w.bob)
		guesses := 0
		for n := range 2 * guessBurst {
			if guess(t, w, &in, n) {
				guesses++
			}
		}
		if guesses == 2*guessBurst {
			t.Error("all that is allowed was never used up")
		}
		w.dial()
		for n := range 3 * guessRate { // for 3 s
			if guess(t, w, &in, 2*guessBurst+n) {
				guesses++
			}
			time.Sleep(time.Second/guessRate - 3*time.Millisecond)
		}
		if _, ok := find[Answered](&w.alice); !ok {
			t.Errorf("no call: %v", w.alice.names())
		}
		if s, ok := find[Secured](&w.bob); !ok || s.Attempts < guessBurst || s.Attempts > guesses {
			t.Errorf("Bob is told of %d attempts, %d there were", s.Attempts, guesses)
		}
		w.stop()
	})
}

// errorCodes are all that Section 5.9 lists.
var errorCodes = []wire.ErrorCode{
	0x10, 0x20, 0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
	0x61, 0x62, 0x63, 0x70, 0x80, 0x90, 0x91, 0xA0, 0xB0, 0x100,
}

// forgeries are what somebody can write who has seen the SSRC and nothing else
// can stop.
func forgeries(ssrc uint32, seq uint16) [][]byte {
	r := rand.NewChaCha8([32]byte{2, byte(seq), byte(seq >> 8)})
	var messages []wire.Message
	for _, code := range errorCodes {
		messages = append(messages, &wire.Error{Code: code})
	}
	for part := 1; part <= 2; part++ {
		for _, size := range []int{32, 64, 1120} {
			m := &wire.DHPart{Part: part, PV: make([]byte, size)}
			r.Read(m.H1[:])
			r.Read(m.PV)
			messages = append(messages, m)
		}
		m := &wire.Confirm{Part: part, Encrypted: make([]byte, 40)}
		r.Read(m.MAC[:])
		r.Read(m.Encrypted)
		messages = append(messages, m)
	}
	hello := &wire.Hello{Version: [4]byte{'1', '.', '1', '0'}}
	r.Read(hello.H3[:])
	commit := &wire.Commit{Hash: wire.S256, Cipher: wire.AES1, Auth: wire.HS32, KeyAgreement: wire.X255, SAS: wire.B32}
	r.Read(commit.H2[:])
	messages = append(messages, hello, commit, &wire.ErrorACK{})
	var packets [][]byte
	for i, m := range messages {
		packets = append(packets, wire.AppendPacket(nil, seq+uint16(i), ssrc, m.Append(nil)))
	}
	return packets
}

// "A denial of service is possible by injecting fake Error messages" (Section
// 4.7.1), and "As long as these bogus packets are not used, and correct packets
// are still being received, the protocol SHOULD be allowed to run to completion"
// (Section 9).
//
// With each packet of the handshake come all errors and forged messages in its
// sender's name, before and after it: the call takes place.
func TestForgeriesDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(3) {
			w := newWorld(t, seed)
			w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond, Loss: 0.05})
			w.alice.mic.frames = 100
			w.alice.conf.HangupAtEOF = true
			var mu sync.Mutex
			forged, firstOf := 0, map[netip.AddrPort]bool{}
			w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
				mu.Lock()
				defer mu.Unlock()
				p, err := wire.ParsePacket(b)
				if err != nil {
					return b // media
				}
				if !firstOf[from] { // the first Hello has to be the peer's
					firstOf[from] = true
					return b
				}
				for i, f := range forgeries(p.SSRC, uint16(forged)) {
					at := time.Duration(i%2) * time.Millisecond // some overtake it
					time.AfterFunc(at, func() { w.net.Inject(from, to, f) })
					forged++
				}
				return b
			})
			w.run()
			a, b := w.alice.result(t), w.bob.result(t)
			if a.Reason != ReasonNormal || b.Reason != ReasonNormal || a.Duration == 0 {
				t.Errorf("seed %d: ended with %d (%v) and %d (%v)", seed, a.Reason, a.Err, b.Reason, b.Err)
			}
			if sa, sb := await[Secured](t, &w.alice), await[Secured](t, &w.bob); sa.SAS != sb.SAS || sa.KeyAgreement != "XM76" {
				t.Errorf("seed %d: SAS %q and %q by %s", seed, sa.SAS, sb.SAS, sa.KeyAgreement)
			}
			if forged < 200 {
				t.Errorf("seed %d: only %d forgeries", seed, forged)
			}
			w.net.SetTap(nil)
			time.Sleep(time.Second)
		}
	})
}

// mallory is in the middle of the path: what one of the two sends never reaches
// the other, and he speaks to each in the other's name.
type mallory struct {
	toAlice, toBob *hand
	heard          chan heard
	over           chan struct{}
	sas            [2]uint32 // of his exchange with Alice, and with Bob
}

type heard struct {
	by *hand
	b  []byte
}

// newMallory sits between the two of w, who need not have begun. He has their
// ZIDs, and no secrets.
func newMallory(t *testing.T, w *world, ofAlice, ofBob wire.ZID, seed byte) *mallory {
	t.Helper()
	m := &mallory{heard: make(chan heard, 64), over: make(chan struct{})}
	m.toAlice = newHand(t, w.net, w.bob.addr, w.alice.addr, zrtp.Config{
		ZID: ofBob, SSRC: 0x0a0a0a0a, Client: clientPrefix, Rand: seeded(seed),
		Retained: func(wire.ZID) zrtp.Retained { return zrtp.Retained{} },
	})
	m.toBob = newHand(t, w.net, w.alice.addr, w.bob.addr, zrtp.Config{
		Initiate: true, ZID: ofAlice, SSRC: 0x0b0b0b0b, Client: clientPrefix, Rand: seeded(seed + 1),
		Retained: func(wire.ZID) zrtp.Retained { return zrtp.Retained{} },
	})
	w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
		by := m.toAlice
		if from == w.bob.addr {
			by = m.toBob
		}
		if classify(b) == kindZRTP {
			select {
			case m.heard <- heard{by, bytes.Clone(b)}:
			default:
			}
		}
		return nil
	})
	return m
}

// run drives his two exchanges until over is closed.
func (m *mallory) run() {
	for _, h := range []*hand{m.toAlice, m.toBob} {
		h.Start(time.Now())
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, h := range []*hand{m.toAlice, m.toBob} {
			if d := h.Deadline(); !d.IsZero() && !time.Now().Before(d) {
				h.Advance(time.Now())
			}
			h.flush()
			for ev, ok := h.NextEvent(); ok; ev, ok = h.NextEvent() {
				if k, ok := ev.(zrtp.KeysReady); ok {
					m.sas[i] = k.SASValue
				}
			}
		}
		select {
		case p := <-m.heard:
			p.by.Receive(time.Now(), p.b)
		case <-tick.C:
		case <-m.over:
			return
		}
	}
}

// "The SAS is not treated as a secret value, but it must be compared to see if it
// matches at both ends of the communications channel." (Section 7) In the first call
// there is nothing else to know him by.
func TestManInTheMiddleOfTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range byte(20) {
			w := newWorld(t, uint64(seed))
			// X255, since crypto/mlkem takes no seed: the run is the same each time.
			w.alice.conf.Algorithms, w.bob.conf.Algorithms = onlyX255, onlyX255
			w.alice.conf.Rand, w.bob.conf.Rand = seeded(4*seed), seeded(4*seed+1)
			m := newMallory(t, w, wire.ZID{1}, wire.ZID{2}, 4*seed+2)
			var his sync.WaitGroup
			his.Go(m.run)
			w.run()
			a, b := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
			if a.SAS == b.SAS {
				t.Errorf("seed %d: both read %q", seed, a.SAS)
			}
			if a.Verified || b.Verified || a.Continuity != "new" || b.Continuity != "new" {
				t.Errorf("seed %d: %+v, %+v", seed, a, b)
			}
			// Whoever types what the other reads out ends the call.
			for range maxWrong {
				if c := w.alice.e.Compare(0, "typed", b.SAS); c.Equal {
					t.Errorf("seed %d: verified", seed)
				}
			}
			if r := w.alice.result(t); r.Reason != ReasonSAS {
				t.Errorf("seed %d: ended with %d", seed, r.Reason)
			}
			close(m.over)
			his.Wait()
			w.stop()
			if m.sas[0] == m.sas[1] || m.sas[0] == 0 {
				t.Errorf("seed %d: %08x and %08x", seed, m.sas[0], m.sas[1])
			}
		}
	})
}

// "If either party discovers a cache mismatch, the user agent who makes this
// discovery must treat this as a possible security event and MUST alert their own
// user that there is a heightened risk of a MiTM attack ... If a cache mismatch is
// detected and it is not possible to compare the SAS, either because ... one or
// both endpoints are unmanned devices ... the session MAY be terminated."
// (Section 4.3.2)
//
// Two who have spoken before, and he between them: both are told, and where nobody
// is there to decide both calls end before a word is said. Nothing that they
// remember is changed, and without him the next call is as ever.
func TestManInTheMiddleOfFriends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, attended := range []bool{false, true} {
			f := newFriends(t)
			f.call()
			before, _ := f.record(f.alice, f.bob)
			w := f.world(func(w *world) { w.alice.conf.Attended, w.bob.conf.Attended = attended, attended })
			m := newMallory(t, w, home(t, f.alice).ZID(), home(t, f.bob).ZID(), 7)
			var his sync.WaitGroup
			his.Go(m.run)
			w.run()
			if got := w.continuity(); got != [2]string{"mismatch", "mismatch"} {
				t.Errorf("told %v", got)
			}
			for _, s := range []*side{&w.alice, &w.bob} {
				if k := await[KeyChanged](t, s); k.Another || k.ZID == "" {
					t.Errorf("told %+v", k)
				}
			}
			if attended {
				for _, s := range []*side{&w.alice, &w.bob} {
					if !await[Guarded](t, s).On {
						t.Error("the microphone is open")
					}
				}
			} else {
				for _, s := range []*side{&w.alice, &w.bob} {
					if r := s.result(t); r.Reason != ReasonKeysChanged || r.Duration != 0 {
						t.Errorf("ended with %d after %v", r.Reason, r.Duration)
					}
				}
			}
			close(m.over)
			his.Wait()
			w.stop()
			if m.sas[0] == m.sas[1] || m.sas[0] == 0 || m.sas[1] == 0 {
				t.Errorf("SAS %08x and %08x", m.sas[0], m.sas[1])
			}
			after, _ := f.record(f.alice, f.bob)
			if !bytes.Equal(after.RS1, before.RS1) || !bytes.Equal(after.RS2, before.RS2) {
				t.Error("he has changed what Alice remembers")
			}
			if got := f.call().continuity(); got != [2]string{"match", "match"} {
				t.Errorf("without him: %v", got)
			}
		}
	})
}
