package call

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// anotherCaller calls w's Bob from an address of its own.
func anotherCaller(w *world, n int) *side {
	x := newWorld(w.t, uint64(n))
	x.net, x.peers = w.net, []netip.AddrPort{w.bob.addr}
	x.alice.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), 5004)
	x.dial()
	return &x.alice
}

// A listener with --max-calls N has N calls at once, each with its own keys and sound;
// who comes then hears busy until one has ended; and it is told once that it is full.
func TestManyCalls(t *testing.T) {
	const most = 4
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.Echo, w.bob.conf.MaxCalls = false, true, most
		w.listen()
		var callers []*side
		for n := range most {
			callers = append(callers, anotherCaller(w, n+1))
		}
		words := map[string]bool{}
		for _, c := range callers {
			await[Answered](t, c)
			words[await[Secured](t, c).SAS] = true
		}
		if len(words) < most-1 { // two may have the same by chance, once in thousands of runs
			t.Errorf("%d calls have %d SAS", most, len(words))
		}
		time.Sleep(2 * time.Second)
		for n := range 2 {
			late := anotherCaller(w, 100+n)
			if got := late.result(t); got.Reason != ReasonBusy {
				t.Errorf("one too many: %+v", got)
			}
		}
		if n := len(all[Fault](&w.bob)); n != 1 {
			t.Errorf("it was told %d times that all calls are taken", n)
		}
		for i, c := range callers {
			c.ear.mu.Lock()
			if n := loud(c.ear.came); n < 8000 {
				t.Errorf("caller %d has heard %d samples of its own", i, n)
			}
			c.ear.mu.Unlock()
		}

		callers[0].cancel()
		callers[0].result(t)
		time.Sleep(time.Second)
		again := anotherCaller(w, 50)
		await[Answered](t, again)
		for _, c := range append(callers, again) {
			c.cancel()
			c.result(t)
		}
		time.Sleep(time.Second)
		w.bob.idle(func(calls []*running) {
			if len(calls)+len(w.bob.e.index)+len(w.bob.e.schedule)+len(w.bob.e.admitted) != 0 {
				t.Errorf("left behind: %d calls, %d found, %d scheduled, %d admitted",
					len(calls), len(w.bob.e.index), len(w.bob.e.schedule), len(w.bob.e.admitted))
			}
			if wheel := &w.bob.e.wheel; wheel.turning || wheel.count != 0 {
				t.Errorf("the wheel still turns, with %d calls", wheel.count)
			}
		})
		w.stop()
	})
}

// loud counts samples that are no silence.
func loud(pcm []int16) (n int) {
	for _, s := range pcm {
		if s > 100 || s < -100 {
			n++
		}
	}
	return n
}

// The calls come out of a schedule in the order in which they are due, whatever was
// moved or taken out meanwhile.
func TestSchedule(t *testing.T) {
	var s schedule
	begin := time.Unix(1000, 0)
	var calls []*running
	for i := range 50 {
		r := &running{}
		calls = append(calls, r)
		s.set(r, begin.Add(time.Duration(i*37%50)*time.Second))
	}
	for i, r := range calls {
		switch i % 5 {
		case 0:
			s.set(r, time.Time{})
		case 1:
			s.set(r, begin.Add(time.Duration(i*11%60)*time.Second))
		case 2:
			s.forget(r)
			s.forget(r)
		}
	}
	var order []string
	last := begin
	for !s.next().IsZero() {
		r := s[0]
		if r.due.Before(last) {
			t.Fatalf("after %v comes %v", last, r.due)
		}
		last = r.due
		order = append(order, fmt.Sprint(r.due.Unix()))
		s.forget(r)
	}
	if len(order) != 30 {
		t.Errorf("%d of 30 came: %s", len(order), strings.Join(order, " "))
	}
}
