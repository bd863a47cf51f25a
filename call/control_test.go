package call

import (
	"testing"
	"testing/synctest"
	"time"
)

// docs/call-control.md: "sent at once, then again after 100, 200, 400 ms and
// so on, for 10 s".
func TestControlResends(t *testing.T) {
	var c control
	begin := time.Unix(1000, 0)
	c.say(begin, wordAnswered, nil)
	var sent []time.Duration
	for now := begin; now.Before(begin.Add(30 * time.Second)); now = now.Add(time.Millisecond) {
		if !c.due(now) {
			continue
		}
		if d := c.take(now); len(d.messages) == 1 {
			sent = append(sent, now.Sub(begin))
		} else if c.due(now) {
			t.Fatalf("at %v: due, with nothing to say", now.Sub(begin))
		}
	}
	want := []time.Duration{0, 100, 300, 700, 1500, 3100, 6300}
	if len(sent) != len(want) {
		t.Fatalf("sent at %v", sent)
	}
	for i, ms := range want {
		if sent[i] != ms*time.Millisecond {
			t.Errorf("sending %d at %v, want %d ms", i, sent[i], ms)
		}
	}
}

func TestControlTakesEachOnce(t *testing.T) {
	var a, b control
	now := time.Unix(1000, 0)
	a.say(now, wordRinging, nil)
	first := a.take(now)
	a.say(now, wordAnswered, nil)
	second := a.take(now)
	// The second packet overtakes the first, and each comes twice.
	var heard []word
	for _, d := range []appData{second, first, second, first} {
		for _, m := range b.hear(d) {
			heard = append(heard, m.word)
		}
		if !b.due(now) {
			t.Error("no acknowledgement is due")
		}
		a.hear(b.take(now))
	}
	if len(heard) != 2 || heard[0] != wordRinging || heard[1] != wordAnswered {
		t.Errorf("heard %v", heard)
	}
	if a.due(now.Add(time.Minute)) || b.due(now.Add(time.Minute)) {
		t.Error("something is due after all was acknowledged")
	}
}

func TestControlStopsWhenAcknowledged(t *testing.T) {
	var a, b control
	now := time.Unix(1000, 0)
	a.say(now, wordHangup, nil)
	b.hear(a.take(now))
	a.hear(b.take(now))
	if len(a.unsaid) != 0 || !a.again.IsZero() {
		t.Errorf("after the acknowledgement: %+v", a)
	}
}

func TestControlIsBounded(t *testing.T) {
	var c control
	now := time.Unix(1000, 0)
	for range 10 * maxMessages {
		c.say(now, wordRinging, nil)
	}
	if d := c.take(now); len(d.messages) != maxMessages {
		t.Errorf("%d messages in one packet", len(d.messages))
	}
}

// However often a callee says that it rings there, it is told once.
func TestRingsAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll = false
		w.run()
		await[Ringing](t, &w.alice)
		for range 100 {
			if err := w.bob.e.ask(0, func(now time.Time, c *core) error { c.say(now, wordRinging); return nil }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.bob.e.Do(0, Answer)
		await[Answered](t, &w.alice)
		if n := len(all[Ringing](&w.alice)); n != 1 {
			t.Errorf("told %d times", n)
		}
		w.stop()
	})
}
