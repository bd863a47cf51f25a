package zrtp

import (
	"strings"
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// strangerError is an Error that anybody could have sent under the peer's
// SSRC.
func strangerError(w *world, from int, code wire.ErrorCode) []byte {
	return wire.AppendPacket(nil, 1, w.ends[from].config.SSRC, (&wire.Error{Code: code}).Append(nil))
}

// An Error injected at any moment of an exchange that goes on changes nothing.
// "A denial of service is possible by injecting fake Error messages." (Section
// 4.7.1) Not here.
func TestInjectedErrors(t *testing.T) {
	// At the longer delay each step takes nearly as long as the grace.
	for _, delay := range []time.Duration{25 * time.Millisecond, 900 * time.Millisecond} {
		for _, p := range pairs {
			a, b := pair(21, p.a, p.b)
			clean := newWorld(t, a, b)
			clean.delay = delay
			clean.start()
			if !clean.runUntil(time.Minute, clean.bothSecure) {
				t.Fatalf("%s: not secure", p.name)
			}
			for n := range clean.sent {
				a, b := pair(21, p.a, p.b)
				w := newWorld(t, a, b)
				w.delay = delay
				w.net = func(p *parcel) []time.Duration {
					if p.n == n {
						for i, e := range w.ends {
							e.Receive(w.now, strangerError(w, 1-i, 0xB0))
						}
					}
					return []time.Duration{0}
				}
				w.start()
				if !w.runUntil(time.Minute, w.bothSecure) {
					t.Fatalf("%s, Error at packet %d: %v", p.name, n, w.trace)
				}
				w.run(time.Minute).checkSecure()
			}
		}
	}
}

// An Error that no valid message follows ends the exchange, two seconds later.
func TestErrorWithoutSequel(t *testing.T) {
	for _, at := range []wire.Type{commit, dhPart1, dhPart2, confirm1} {
		a, b := dialAndListen(22)
		w := newWorld(t, a, b)
		w.capture(at)
		to := 1
		if at == dhPart1 || at == confirm1 {
			to = 0
		}
		w.net = func(*parcel) []time.Duration { return nil } // the peer is gone
		w.flights = nil
		if err := w.inject(to, strangerError(w, 1-to, 0x53)); err != nil {
			t.Errorf("%v: %v", at, err)
		}
		if last := w.trace[len(w.trace)-1]; last[len(last)-8:] != "ErrorACK" {
			t.Errorf("%v: no ErrorACK", at)
		}
		w.run(ErrorGrace)
		if w.ends[to].failure != nil {
			t.Errorf("%v: gave up at once", at)
		}
		w.inject(to, strangerError(w, 1-to, 0x53)) // a repeat does not prolong it
		w.run(time.Millisecond)
		f := w.ends[to].failure
		if f == nil || f.Code != 0x53 || !f.Peer || f.Err == nil {
			t.Errorf("%v: %+v", at, f)
		}
	}
}

// Before the peer's Hello there is no peer: an Error means nothing, whoever
// says it.
func TestErrorBeforeAnyHello(t *testing.T) {
	w := alone(t, config("a", 1))
	for range 3 {
		if err := w.inject(0, say(&wire.Error{Code: wire.ErrorCipher})); err != DropUnexpected {
			t.Error(err)
		}
	}
	w.run(time.Minute)
	if e := w.ends[0]; e.failure != nil || w.count(errorACK) != 0 {
		t.Errorf("%+v, %v", e.failure, w.trace)
	}
}

// Once the keys are checked an Error is acknowledged and counted, no more. The
// acknowledgements are bounded.
func TestErrorAfterTheKeys(t *testing.T) {
	a, b := dialAndListen(23)
	w := newWorld(t, a, b).start().run(time.Second)
	w.checkSecure()
	for i, e := range w.ends {
		w.trace = nil
		for range 1000 {
			if err := w.inject(i, strangerError(w, 1-i, 0x70)); err != DropLateError {
				t.Fatal(err)
			}
			w.now = w.now.Add(time.Millisecond)
		}
		if n := len(w.trace); n < 5 || n > 11 {
			t.Errorf("%d ErrorACKs in a second", n)
		}
		if e.Drops()[string(DropLateError)] != 1000 {
			t.Errorf("counted %v", e.Drops())
		}
	}
	w.run(time.Minute).checkSecure()
}

// Our own Error is repeated by T2 until ErrorACK (Section 6, Table 9).
func TestOwnErrorIsRepeated(t *testing.T) {
	conf := config("a", 1)
	conf.Initiate = true
	_, twin := peerHello(func(h *wire.Hello) { h.ZID = conf.ZID })
	w := alone(t, conf)
	w.inject(0, twin)
	w.run(time.Hour)
	if n := w.count(errorMessage); n != 1+t2Repeats {
		t.Errorf("Error was sent %d times", n)
	}
	if w.ends[0].failure == nil {
		t.Error("Failed is not told")
	}

	conf.Rand = random("once more", 1)
	w = alone(t, conf)
	w.inject(0, twin)
	w.run(500 * time.Millisecond)
	w.flights = nil
	w.inject(0, say(&wire.ErrorACK{}))
	w.run(time.Hour)
	if n := w.count(errorMessage); n != 0 {
		t.Errorf("Error was sent %d times after ErrorACK", n)
	}
	if !w.ends[0].Deadline().IsZero() {
		t.Error("a failed session waits for something")
	}
	w.inject(0, say(&wire.Error{Code: 0xB0})) // both failed
	if w.count(errorACK) != 1 {
		t.Error("a failed session does not acknowledge the peer's Error")
	}
}

// An owner that closes the session as soon as it has failed does not keep the
// Error from the peer.
func TestErrorOutlivesClose(t *testing.T) {
	conf := config("a", 1)
	conf.Initiate = true
	_, twin := peerHello(func(h *wire.Hello) { h.ZID = conf.ZID })
	s := mustNew(t, conf)
	s.Start(time.Unix(0, 0))
	s.Receive(time.Unix(0, 0), twin)
	s.Close()
	var last wire.Type
	for p, ok := s.NextPacket(); ok; p, ok = s.NextPacket() {
		last = kindOf(t, p)
	}
	if last != errorMessage {
		t.Errorf("the last packet is %q", last)
	}
}

// "Non-Hello (and non-Ping) ZRTP messages are retransmitted at an interval
// that starts at T2 seconds and doubles after every retransmission, capping at
// 1200 ms. T2 has a recommended initial value of 150 ms. Each non-Hello message
// is retransmitted 10 times before giving up" (Section 6)
func TestT2(t *testing.T) {
	for _, kind := range []wire.Type{commit, dhPart2, confirm2} {
		a, b := dialAndListen(24)
		w := newWorld(t, a, b)
		var times []time.Duration
		var first time.Time
		w.net = func(p *parcel) []time.Duration {
			if p.kind == kind {
				if first.IsZero() {
					first = w.now
				}
				times = append(times, w.now.Sub(first))
				return nil
			}
			if !first.IsZero() && p.from == 1 {
				return nil
			}
			return []time.Duration{0}
		}
		w.start().run(30 * time.Second)
		want := []time.Duration{0, 150, 450, 1050, 2250, 3450, 4650, 5850, 7050, 8250, 9450}
		if len(times) != len(want) {
			t.Fatalf("%v was sent at %v", kind, times)
		}
		for i := range want {
			if times[i] != want[i]*time.Millisecond {
				t.Errorf("%v was sent at %v", kind, times)
				break
			}
		}
		f := w.ends[0].failure
		if f == nil || f.Code != wire.ErrorTimeout || f.Peer {
			t.Errorf("%v: %+v", kind, f)
		}
	}
}

// "After receiving a Commit message, but before receiving a Confirm2 message,
// if a ZRTP responder receives no ZRTP messages for more than 10 seconds, the
// responder MAY send a protocol timeout Error message and terminate the ZRTP
// protocol." (Section 6) Only the initiator retransmits.
func TestSilence(t *testing.T) {
	for _, last := range []wire.Type{dhPart1, confirm1} {
		a, b := dialAndListen(25)
		w := newWorld(t, a, b)
		w.capture(last)
		w.net = func(*parcel) []time.Duration { return nil }
		w.flights = nil
		w.trace = nil
		begin := w.now
		e := w.ends[1]
		if !w.runUntil(time.Minute, func() bool { return e.failure != nil }) {
			t.Fatalf("after %v the responder waits for ever", last)
		}
		if e.failure.Code != wire.ErrorTimeout || w.now.Sub(begin) < SilenceLimit {
			t.Errorf("after %v: %+v after %v", last, e.failure, w.now.Sub(begin))
		}
		for _, line := range w.trace {
			if line[len(line)-8:] == last.String() {
				t.Errorf("the responder repeats by itself: %s", line)
			}
		}
	}
}

// A responder answers a repeated Confirm2 as long as it lives, and only that.
func TestLateConfirm2(t *testing.T) {
	a, b := dialAndListen(26)
	w := newWorld(t, a, b)
	packet := w.capture(confirm2)
	w.checkCompletes()
	for range 3 {
		w.run(time.Hour)
		w.trace = nil
		if err := w.inject(1, packet); err != nil || len(w.trace) != 1 {
			t.Errorf("Confirm2 again: %v, %v", err, w.trace)
		}
	}
	changed := change(t, packet, func(m []byte) []byte { m[50] ^= 1; return m })
	if err := w.inject(1, changed); err != DropChanged {
		t.Errorf("Confirm2 changed: %v", err)
	}
	// An initiator does not answer its own one, whoever signs it.
	p, _ := wire.ParsePacket(packet)
	if err := w.inject(0, wire.AppendPacket(nil, 1, b.SSRC, p.Message)); err != DropUnexpected {
		t.Errorf("Confirm2 to the initiator: %v", err)
	}
	w.checkSecure()
}

// "The initiator MUST treat the first valid SRTP media from the responder as
// equivalent to receiving a Conf2ACK." (Section 4.6) And before that it "MUST
// NOT send SRTP media" (Section 4): Secured comes no earlier.
func TestConfirmedByMedia(t *testing.T) {
	a, b := dialAndListen(27)
	w := newWorld(t, a, b)
	w.net = func(p *parcel) []time.Duration {
		if p.kind == conf2ACK {
			return nil
		}
		return []time.Duration{0}
	}
	w.start().run(time.Second)
	e := w.ends[0]
	if e.keys == nil || e.secured != 0 {
		t.Fatalf("keys %v, secured %d", e.keys != nil, e.secured)
	}
	e.Confirmed(w.now)
	w.drain(0)
	w.checkSecure()
	e.Confirmed(w.now) // media goes on
	w.drain(0)
	w.checkSecure()
	if !e.Deadline().IsZero() {
		t.Error("Confirm2 is still repeated")
	}
}

// Before the keys valid SRTP cannot be: Confirmed does nothing then.
func TestConfirmedTooEarly(t *testing.T) {
	a, b := dialAndListen(28)
	w := newWorld(t, a, b)
	w.net = func(*parcel) []time.Duration {
		for i, e := range w.ends {
			if i == 1 || e.state != sentConfirm2 {
				before := e.state
				e.Confirmed(w.now)
				if e.state != before {
					t.Errorf("state %d became %d", before, e.state)
				}
			}
		}
		return []time.Duration{0}
	}
	w.start()
	w.checkCompletes()
}

func TestErrorCodesHaveWords(t *testing.T) {
	for _, code := range []wire.ErrorCode{
		0x10, 0x20, 0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
		0x61, 0x62, 0x63, 0x70, 0x80, 0x90, 0x91, 0xA0, 0xB0, 0x100,
	} {
		if strings.HasPrefix(code.String(), "unknown") {
			t.Errorf("%#x has no words", code)
		}
	}
	if got := codeError(0x1234).Error(); got != "zrtp: unknown error 0x1234" {
		t.Error(got)
	}
}
