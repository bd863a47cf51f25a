package call

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/device"
)

func TestHowCallsEnd(t *testing.T) {
	gone := func(w *world) { w.net.SetTap(func(_, _ netip.AddrPort, _ []byte) []byte { return nil }) }
	for name, c := range map[string]struct {
		prepare    func(w *world)
		then       func(t *testing.T, w *world)
		alice, bob Reason
	}{
		"declined": {
			func(w *world) { w.bob.conf.AcceptAll = false },
			func(t *testing.T, w *world) { await[Incoming](t, &w.bob); w.bob.e.Do(0, Decline) },
			ReasonDeclined, ReasonDeclined,
		},
		"told busy": {
			func(w *world) { w.bob.conf.AcceptAll = false },
			func(t *testing.T, w *world) { await[Ringing](t, &w.alice); w.bob.e.Do(0, Busy) },
			ReasonBusy, ReasonBusy,
		},
		"nobody answers": {
			func(w *world) { w.bob.conf.AcceptAll = false },
			nil,
			ReasonNoAnswer, ReasonNoAnswer,
		},
		"it rings out": {
			func(w *world) { w.bob.conf.AcceptAll, w.alice.conf.Timeout = false, 5*time.Minute },
			nil,
			ReasonNoAnswer, ReasonNoAnswer,
		},
		"the caller gives up": {
			func(w *world) { w.bob.conf.AcceptAll = false },
			func(t *testing.T, w *world) { await[Ringing](t, &w.alice); w.alice.cancel() },
			ReasonInterrupted, ReasonNoAnswer,
		},
		"the caller hangs up": {
			nil,
			func(t *testing.T, w *world) { await[Answered](t, &w.alice); time.Sleep(time.Second); w.alice.cancel() },
			ReasonNormal, ReasonNormal,
		},
		"the callee is stopped": {
			nil,
			func(t *testing.T, w *world) { await[Answered](t, &w.alice); time.Sleep(time.Second); w.bob.cancel() },
			ReasonNormal, ReasonNormal,
		},
		"a time was set": {
			func(w *world) { w.alice.conf.Duration = 90 * time.Second },
			nil,
			ReasonNormal, ReasonNormal,
		},
		"the network is gone": {
			nil,
			func(t *testing.T, w *world) { await[Answered](t, &w.alice); gone(w) },
			ReasonLost, ReasonLost,
		},
		"the caller's microphone is lost": {
			func(w *world) {
				w.alice.mic.frames, w.alice.mic.fail = 50, &device.Error{Spec: "default", Err: errors.New("unplugged")}
			},
			nil,
			ReasonDevice, ReasonNormal,
		},
		"the callee's speaker is lost": {
			func(w *world) { w.bob.ear.fail = &device.Error{Spec: "default", Err: errors.New("gone")} },
			nil,
			ReasonNormal, ReasonDevice,
		},
		"the callee has no microphone": {
			func(w *world) {
				w.bob.conf.Mic = func() (audio.Source, error) {
					return nil, &device.Error{Spec: "default", Err: errors.New("none")}
				}
			},
			nil,
			ReasonDeclined, ReasonDevice,
		},
		"different lists": {
			func(w *world) {
				w.alice.conf.Algorithms = onlyDH3k
				w.bob.conf.Algorithms = onlyX255
			},
			func(t *testing.T, w *world) { w.alice.result(t); w.bob.cancel() },
			ReasonKeys, ReasonInterrupted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				if c.prepare != nil {
					c.prepare(w)
				}
				w.run()
				if c.then != nil {
					c.then(t, w)
				}
				a := w.alice.result(t)
				if name == "nobody answers" && time.Since(w.alice.times[0]) > 31*time.Second {
					t.Errorf("gave up after %v", time.Since(w.alice.times[0]))
				}
				b := w.bob.result(t)
				if a.Reason != c.alice || b.Reason != c.bob {
					t.Errorf("ended with %d %q (%v) and %d %q (%v), want %d and %d",
						a.Reason, a.Reason, a.Err, b.Reason, b.Reason, b.Err, c.alice, c.bob)
				}
				if c.alice == ReasonNormal && a.Duration == 0 {
					t.Error("a call that took place has no duration")
				}
			})
		})
	}
}

func TestNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.Timeout = 7 * time.Second
		begin := time.Now()
		w.dial()
		if a := w.alice.result(t); a.Reason != ReasonUnreachable {
			t.Errorf("ended with %v", a)
		}
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

// The contract: "An ICMP refusal is shown at once, and dial keeps trying until
// --timeout."
func TestRefusedThenThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.net.SetRefuse(true)
		w.dial()
		await[Refused](t, &w.alice)
		time.Sleep(3 * time.Second)
		w.listen()
		await[Answered](t, &w.alice)
		w.stop()
	})
}

// Issue 2, part 5: "A peer that answers with anything but ZRTP: status 15".
func TestNotZRTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		other := w.net.Path(w.bob.addr)
		phone := make(chan struct{})
		go func() { // a phone with clear RTP
			defer close(phone)
			clearRTP := append([]byte{0x80, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4}, make([]byte, 160)...)
			for range 1000 {
				if other.WritePacket(clearRTP, w.alice.addr) != nil {
					return
				}
				time.Sleep(audio.FrameDuration)
			}
		}()
		w.dial()
		a := w.alice.result(t)
		other.Close()
		<-phone
		if a.Reason != ReasonNotZRTP {
			t.Errorf("ended with %v", a)
		}
		if len(w.alice.ear.heard) != 0 {
			t.Error("clear sound was played")
		}
		if a.Stats.Dropped["foreign"] < 100 {
			t.Errorf("dropped: %v", a.Stats.Dropped)
		}
	})
}

// An echo service sends our own Hello back.
func TestOnlyAnEchoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			w.net.Inject(to, from, bytes.Clone(b))
			return nil
		})
		w.dial()
		if a := w.alice.result(t); a.Reason != ReasonNotZRTP {
			t.Errorf("ended with %v", a)
		}
	})
}
