package call

import (
	"context"
	"crypto/rand"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/nat"
	"securecall/nat/memnet"
)

// From the first packet to keys it takes four round trips and nothing else:
// Hello, Commit, DHPart2 and Confirm2, each with its answer.
func TestSetupTakesFourRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.conditions(memnet.Conditions{Delay: 50 * time.Millisecond})
		w.listen()
		await[Listening](t, &w.bob)
		begin := time.Now()
		w.dial()
		await[Secured](t, &w.alice)
		if took := time.Since(begin); took != 400*time.Millisecond {
			t.Errorf("took %v at a round trip of 100 ms", took)
		}
		w.stop()
	})
}

// sameSSRC is a random source whose first SSRC (the one read of four octets)
// is the same everywhere.
type sameSSRC struct{ drawn bool }

func (r *sameSSRC) Read(b []byte) (int, error) {
	if len(b) == 4 && !r.drawn {
		r.drawn = true
		return copy(b, []byte{1, 2, 3, 4}), nil
	}
	return rand.Read(b)
}

// RFC 6189, Section 4.1: a Hello with our own SSRC is answered with Error 0x91;
// the call then takes another SSRC and gets through.
func TestSSRCCollision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.conf.Rand, w.bob.conf.Rand = &sameSSRC{}, &sameSSRC{}
		w.run()
		await[Answered](t, &w.alice)
		await[Answered](t, &w.bob)
		w.stop()
	})
}

func TestTwoCallersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, other := newWorld(t, 1), newWorld(t, 2)
		w.conditions(memnet.Conditions{Delay: 30 * time.Millisecond})
		w.bob.conf.AcceptAll = false
		other.net, other.bob.addr = w.net, w.bob.addr
		other.alice.addr = netip.MustParseAddrPort("192.0.2.9:5004")
		w.run()
		other.dial()
		await[Incoming](t, &w.bob)
		time.Sleep(time.Second)
		w.bob.e.Do(0, Answer)
		time.Sleep(time.Second)
		answered, busy := 0, 0
		for _, s := range []*side{&w.alice, &other.alice} {
			if _, ok := find[Answered](s); ok {
				answered++
			}
			if ended, ok := find[Ended](s); ok && ended.Reason == ReasonBusy {
				busy++
			}
		}
		if answered != 1 || busy != 1 {
			t.Errorf("%d answered, %d busy", answered, busy)
		}
		w.stop()
		other.stop()
	})
}

// BenchmarkDialToSecured is a whole set-up over UDP on loopback, from the
// caller's first packet to its Secured; hanging up is not in ms/secured.
func BenchmarkDialToSecured(b *testing.B) {
	none := func() (audio.Source, error) { return device.OpenSource("none", device.Options{}) }
	deaf := func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) }
	var took time.Duration
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		path, err := nat.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			b.Fatal(err)
		}
		bob, err := NewListener(Config{Mic: none, Speaker: deaf, AcceptAll: true}, path, nil)
		if err != nil {
			b.Fatal(err)
		}
		callee := make(chan Ended, 1)
		go func() { callee <- bob.Run(ctx) }()

		out, peers, err := nat.Dial(ctx, netip.AddrPort{}, path.LocalAddr())
		if err != nil {
			b.Fatal(err)
		}
		secured := make(chan struct{}, 1)
		alice, err := NewDialer(Config{Mic: none, Speaker: deaf, OnEvent: func(_ int, e Event) {
			if _, ok := e.(Secured); ok {
				secured <- struct{}{}
			}
		}}, out, peers, "bob")
		if err != nil {
			b.Fatal(err)
		}
		caller := make(chan Ended, 1)
		begin := time.Now()
		go func() { caller <- alice.Run(ctx) }()
		<-secured
		took += time.Since(begin)
		cancel()
		<-caller
		<-callee
	}
	b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "ms/secured")
}
