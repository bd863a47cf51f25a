package call

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/nat/memnet"
)

// watch is a tap that counts what goes over the network, by kind.
type watch struct {
	mu    sync.Mutex
	kinds map[netip.AddrPort][]seen
}

type seen struct {
	kind kind
	size int
	at   time.Time
	b    []byte
}

func (w *watch) tap(from, _ netip.AddrPort, b []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kinds == nil {
		w.kinds = make(map[netip.AddrPort][]seen)
	}
	w.kinds[from] = append(w.kinds[from], seen{classify(b), len(b), time.Now(), bytes.Clone(b)})
	return b
}

func (w *watch) count(from netip.AddrPort, k kind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.kinds[from] {
		if s.kind == k {
			n++
		}
	}
	return n
}

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
		var seen watch
		w.net.SetTap(seen.tap)
		w.alice.mic.frames = 600
		w.alice.conf.HangupAtEOF = true
		w.run()
		a, b := w.alice.result(t), w.bob.result(t)
		if a.Reason != ReasonNormal || b.Reason != ReasonNormal {
			t.Errorf("ended: %v (%v), %v (%v)", a.Reason, a.Err, b.Reason, b.Err)
		}
		sa, sb := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
		if sa.SAS != sb.SAS || sa.SAS == "" {
			t.Errorf("SAS %q and %q", sa.SAS, sb.SAS)
		}
		if sa.Role != "initiator" || sb.Role != "responder" {
			t.Errorf("the dialler is the initiator: %s, %s", sa.Role, sb.Role)
		}
		if sa.Verified || sb.Verified {
			t.Error("verified without a verification")
		}
		w.bob.ear.understood(t, through(audio.PCMU, w.alice.mic.said))
		w.alice.ear.understood(t, through(audio.PCMU, w.bob.mic.said[:100*audio.FrameSamples]))
		if got, want := w.alice.names(), []string{"dialing", "path", "secured", "ringing", "answered", "stats", "ended"}; !slices.Equal(got, want) {
			t.Errorf("Alice was told %v", got)
		}
		if got, want := w.bob.names(), []string{"listening", "path", "secured", "incoming", "answered", "stats", "ended"}; !slices.Equal(got, want) {
			t.Errorf("Bob was told %v", got)
		}
		if w.alice.ear.closed != 1 || w.bob.ear.closed != 1 || !w.alice.mic.closed || !w.bob.mic.closed {
			t.Error("a device was left open, or closed twice")
		}
		if a.Stats.Loss != 0 || a.Stats.RTT < 39*time.Millisecond || a.Stats.RTT > 45*time.Millisecond {
			t.Errorf("Alice's figures: %+v", a.Stats)
		}
		for who, s := range map[string]*side{"Alice": &w.alice, "Bob": &w.bob} {
			checkMedia(t, who, seen.kinds[s.addr])
		}
	})
}

// Packets of 10 ms on request, half as long and twice as many; each side chooses
// for itself and understands the other.
func TestShortPackets(t *testing.T) {
	const short = audio.FrameDuration / 2
	for _, both := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
			var seen watch
			w.net.SetTap(seen.tap)
			w.alice.mic.frames = 600
			w.alice.conf.HangupAtEOF = true
			w.alice.conf.PacketTime = short
			of := map[*side]time.Duration{&w.alice: short, &w.bob: audio.FrameDuration}
			if both {
				w.bob.conf.PacketTime, of[&w.bob] = short, short
			}
			w.run()
			a := w.alice.result(t)
			w.bob.ear.understood(t, through(audio.PCMU, w.alice.mic.said))
			w.alice.ear.understood(t, through(audio.PCMU, w.bob.mic.said[:100*audio.FrameSamples]))
			for s, packetTime := range of {
				checkMedia(t, s.addr.String(), seen.kinds[s.addr], packetTime)
			}
			if a.Stats.PacketTime != of[&w.bob] || a.Stats.Concealed > 0 || a.Stats.Playout.Frame != short {
				t.Errorf("Alice's figures: %+v", a.Stats)
			}
			t.Logf("both: %v, Alice hears after %v", both, a.Stats.PlayoutDelay)
		})
	}
}

// No other length is sent.
func TestPacketTimeIsOneOfTwo(t *testing.T) {
	for d, good := range map[time.Duration]bool{
		0: true, 20 * time.Millisecond: true, 10 * time.Millisecond: true,
		5 * time.Millisecond: false, 30 * time.Millisecond: false, -10 * time.Millisecond: false,
	} {
		c, err := Config{Echo: true, PacketTime: d}.withDefaults()
		if (err == nil) != good {
			t.Errorf("%v: %v", d, err)
		}
		if n := c.frame(); good && n != 80 && n != 160 {
			t.Errorf("%v: %d samples", d, n)
		}
	}
}

// Issue 2, part 8: PCMU and PCMA; each side sends its own and hears either.
func TestLaws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.Law, w.bob.conf.Law = audio.PCMA, audio.PCMU
		w.alice.mic.frames = 100
		w.alice.conf.HangupAtEOF = true
		w.run()
		w.alice.result(t)
		w.bob.result(t)
		w.bob.ear.understood(t, through(audio.PCMA, w.alice.mic.said))
		w.alice.ear.understood(t, through(audio.PCMU, w.bob.mic.said[:50*audio.FrameSamples]))
	})
}

// checkMedia: no RTP before Confirm2 has crossed, then one size and one period. From when
// the peer has said that it takes redundancy that is the size of its format, one octet more.
func checkMedia(t *testing.T, who string, packets []seen, packetTime ...time.Duration) {
	t.Helper()
	period := audio.FrameDuration
	if len(packetTime) > 0 {
		period = packetTime[0]
	}
	var last time.Time
	zrtp, media, redundant := 0, 0, false
	for _, p := range packets {
		switch p.kind {
		case kindZRTP:
			zrtp++
			if media > 0 {
				t.Errorf("%s sends ZRTP after media", who)
			}
		case kindRTP:
			if zrtp < 4 {
				t.Fatalf("%s sends RTP after only %d ZRTP packets", who, zrtp)
			}
			size := 12 + audio.Samples(period) + 10
			if redundant = redundant || p.b[1]&0x7f == redPayload; redundant {
				size++
			}
			if p.size != size {
				t.Errorf("%s sends %d octets of SRTP", who, p.size)
			}
			if gap := p.at.Sub(last); media > 0 && gap != period {
				t.Errorf("%s pauses for %v after packet %d", who, gap, media)
			}
			last = p.at
			media++
		case kindRTCP:
		default:
			t.Errorf("%s sends something else: % x", who, p.b[:4])
		}
	}
	if media < 100 {
		t.Errorf("%s sent %d media packets", who, media)
	}
}

// Issue 2, part 6: "until its answered arrives not one sample of the
// microphone is sent".
func TestNothingIsSaidWhileItRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll = false
		var seen watch
		w.net.SetTap(seen.tap)
		w.run()
		await[Incoming](t, &w.bob)
		await[Ringing](t, &w.alice)
		time.Sleep(5 * time.Second)
		if n := seen.count(w.alice.addr, kindRTP) + seen.count(w.bob.addr, kindRTP); n != 0 {
			t.Errorf("%d media packets while it rings", n)
		}
		if len(w.alice.mic.said) != 0 {
			t.Error("Alice's microphone is read while it rings")
		}
		w.bob.e.Do(0, Answer)
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		if seen.count(w.alice.addr, kindRTP) < 48 || seen.count(w.bob.addr, kindRTP) < 48 {
			t.Error("no sound after the answer")
		}
		w.bob.e.Do(0, Hangup)
		if a, b := w.alice.result(t), w.bob.result(t); a.Reason != ReasonNormal || b.Reason != ReasonNormal {
			t.Errorf("ended %v, %v", a, b)
		}
	})
}

func TestNoMicrophoneNoPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.Mic = func() (audio.Source, error) {
			return nil, &device.Error{Spec: "nosuch", Err: errors.New("no such device")}
		}
		var seen watch
		w.net.SetTap(seen.tap)
		w.dial()
		if a := w.alice.result(t); a.Reason != ReasonDevice {
			t.Errorf("ended with %v", a)
		}
		if len(seen.kinds) != 0 {
			t.Error("a packet left")
		}
	})
}

// Issue 2, part 7: "A second caller hears busy through a full handshake."
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.run()
		await[Answered](t, &w.alice)
		eve := newWorld(t, 2)
		eve.net, eve.bob.addr = w.net, w.bob.addr
		eve.alice.addr = netip.MustParseAddrPort("192.0.2.9:5004")
		eve.dial()
		if got := eve.alice.result(t); got.Reason != ReasonBusy {
			t.Errorf("the second caller ended with %v", got)
		}
		if _, ok := find[Ended](&w.alice); ok {
			t.Error("the running call ended")
		}
		await[Stats](t, &w.alice)
		w.stop()
	})
}

// RFC 6189, Section 4.6: valid SRTP from the responder stands for Conf2ACK;
// here no Conf2ACK ever arrives.
func TestConf2ACKLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.net.SetTap(func(_, _ netip.AddrPort, b []byte) []byte {
			if bytes.Contains(b, []byte("Conf2ACK")) {
				return nil
			}
			return b
		})
		w.run()
		await[Answered](t, &w.alice)
		w.stop()
	})
}

// The peer's first SRTP may be the answer to our Conf2ACK: the reader knows
// whose it is before Conf2ACK is sent.
func TestReaderIsReadyForTheFirstSRTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var sent, ready atomic.Int64
		w.net.SetTap(func(_, _ netip.AddrPort, b []byte) []byte {
			if bytes.Contains(b, []byte("Conf2ACK")) {
				sent.Add(1)
				ready.Add(int64(len(w.bob.e.routes.Load().at)))
			}
			return b
		})
		w.run()
		await[Answered](t, &w.alice)
		w.stop()
		if sent.Load() != 1 || ready.Load() != 1 {
			t.Errorf("%d Conf2ACK, %d routes by then", sent.Load(), ready.Load())
		}
	})
}

func TestEveryCallSecuresAtHeavyLoss(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, seed)
			w.conditions(memnet.Conditions{Loss: 0.15, Delay: 30 * time.Millisecond, Jitter: 20 * time.Millisecond, Duplicate: 0.05})
			w.run()
			a, b := await[Secured](t, &w.alice), await[Secured](t, &w.bob)
			await[Answered](t, &w.alice)
			if a.SAS != b.SAS {
				t.Errorf("seed %d: SAS %q and %q", seed, a.SAS, b.SAS)
			}
			w.stop()
		})
	}
}

// Everything that is sent also comes back to its sender, and every datagram
// comes twice.
func TestReflectedAndDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.mic.frames = 100
		w.alice.conf.HangupAtEOF = true
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			w.net.Inject(to, from, bytes.Clone(b))
			w.net.Inject(from, to, bytes.Clone(b))
			return b
		})
		w.run()
		if a := w.alice.result(t); a.Reason != ReasonNormal {
			t.Errorf("ended with %v", a)
		}
		w.bob.result(t)
		w.bob.ear.understood(t, through(audio.PCMU, w.alice.mic.said))
	})
}

// A bad packet never ends a call: noise in the peer's name, of every kind.
func TestNoiseInMidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.mic.frames = 200
		w.alice.conf.HangupAtEOF = true
		var count atomic.Int64
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			if classify(b) == kindRTP {
				n := int(count.Add(1))
				bad := bytes.Clone(b)
				bad[len(bad)-1-n%len(bad)] ^= byte(1 + n%255)
				zrtp := append([]byte{0x10, 0, 0, byte(n), 'Z', 'R', 'T', 'P'}, b[8:]...)
				rtcp := bytes.Clone(b)
				rtcp[1] = 203
				copy(rtcp[4:8], b[8:12])
				for _, noise := range [][]byte{bad, b[:n%len(b)], append(bytes.Clone(b), 0), zrtp, rtcp, make([]byte, 2000)} {
					w.net.Inject(from, to, noise)
				}
			}
			return b
		})
		w.run()
		a, b := w.alice.result(t), w.bob.result(t)
		if a.Reason != ReasonNormal || b.Reason != ReasonNormal {
			t.Errorf("ended with %v, %v", a, b)
		}
		w.bob.ear.understood(t, through(audio.PCMU, w.alice.mic.said))
		if b.Stats.Dropped["auth"] < 100 {
			t.Errorf("dropped: %v", b.Stats.Dropped)
		}
	})
}

func TestMuteSendsSilenceOfTheSameSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var seen watch
		w.net.SetTap(seen.tap)
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(time.Second)
		w.alice.e.Do(0, Mute)
		await[Muted](t, &w.alice)
		time.Sleep(500 * time.Millisecond)
		w.bob.ear.mu.Lock()
		w.bob.ear.heard = nil
		w.bob.ear.mu.Unlock()
		time.Sleep(time.Second)
		w.bob.ear.mu.Lock()
		quiet := through(audio.PCMU, make([]int16, 1))[0]
		for _, s := range w.bob.ear.heard {
			if s != quiet {
				t.Errorf("Bob hears %d of a muted microphone", s)
				break
			}
		}
		w.bob.ear.mu.Unlock()
		w.stop()
		checkMedia(t, "Alice", seen.kinds[w.alice.addr])
	})
}

// A plain ZRTP endpoint has no call control: it has answered once secure.
func TestPlainPeer(t *testing.T) {
	for name, plain := range map[string]func(w *world) *side{
		"calls":     func(w *world) *side { return &w.alice },
		"is called": func(w *world) *side { return &w.bob },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				p := plain(w)
				p.conf.Client = "another phone"
				p.conf.AcceptAll = false
				w.run()
				other := &w.alice
				if p == other {
					other = &w.bob
				}
				await[Answered](t, other)
				w.stop()
			})
		})
	}
}
