package call

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

// Settings that are read again are those of the calls to come; the one that there is keeps
// its own.
func TestConfigureIsForTheCallsToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.MaxCalls = false, 1
		w.listen()
		first := anotherCaller(w, 1)
		await[Answered](t, first)

		c, other := w.bob.conf, &ear{}
		c.MaxCalls, c.Duration, c.Echo, c.PacketTime = 2, time.Second, true, 10*time.Millisecond
		c.Mic = func() (audio.Source, error) { return &scriptMic{}, nil }
		c.Speaker = func() (audio.Sink, error) { return other, nil }
		c.OnEvent = func(int, Event) { t.Error("events are told to somebody else") }
		if err := w.bob.e.Configure(c); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until they are taken
		second := anotherCaller(w, 2)
		await[Answered](t, second)
		ended := second.result(t)
		if ended.Reason != ReasonNormal || ended.Duration > 1500*time.Millisecond {
			t.Errorf("the second call had another length: %+v", ended)
		}
		if got := ended.Stats.PacketTime; got != 20*time.Millisecond {
			t.Errorf("the second call has packets of %v", got)
		}
		time.Sleep(3 * time.Second)
		if _, over := find[Ended](first); over {
			t.Error("the call that there was has ended")
		}
		first.cancel()
		first.result(t)
		w.stop()
		if loud(other.heard) == 0 || len(other.heard) > 2*audio.SampleRate {
			t.Errorf("the second call was heard for %d samples in its own speaker", len(other.heard))
		}
		if len(w.bob.ear.heard) < 4*audio.SampleRate {
			t.Errorf("the call that there was was heard for %d samples in its own", len(w.bob.ear.heard))
		}
	})
}

// What cannot be changed is not, and what is then changed holds.
func TestConfigureAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.listen()
		c := w.bob.conf
		c.Once = false
		if err := w.bob.e.Configure(c); err != nil {
			t.Error(err)
		}
		w.dial()
		await[Answered](t, &w.alice)
		w.alice.cancel()
		w.bob.result(t) // after the first call, as before
		w.stop()
		if err := w.bob.e.Configure(c); err != nil { // nobody listens any more
			t.Error(err)
		}
	})
}

// Whoever is in a call learns once that somebody else has called.
func TestMeanwhileIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once = false
		w.listen()
		first := anotherCaller(w, 1)
		await[Answered](t, first)
		for n := range 2 {
			if got := anotherCaller(w, 2+n).result(t); got.Reason != ReasonBusy {
				t.Errorf("the caller meanwhile: %+v", got)
			}
		}
		told := all[Fault](&w.bob)
		var busy *BusyError
		if len(told) != 1 || !errors.As(told[0].Err, &busy) {
			t.Fatalf("told %v", told)
		}
		if address := busy.Error(); !strings.HasPrefix(address, "198.51.100.2:5004 has called meanwhile") {
			t.Errorf("told %q", address)
		}
		if strings.Contains(busy.Anonymous(), "198") {
			t.Errorf("with an address: %q", busy.Anonymous())
		}
		w.stop()
	})
}
