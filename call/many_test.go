package call

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
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

// A namedTape is a Recorder with a name.
type namedTape struct {
	*memory
	name string
}

func (n namedTape) Name() string { return n.name }

// Each call has a recording of its own, of which its own caller knows; that of one which
// cannot be recorded, or which ends, is nothing to the others.
func TestManyCallsAreRecorded(t *testing.T) {
	full := errors.New("no space left on device")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.Echo, w.bob.conf.MaxCalls = false, true, 3
		var mu sync.Mutex
		tapes, told := map[int]namedTape{}, map[int][]Recording{}
		w.bob.conf.RecordAtOnce = true
		w.bob.conf.Recorder = func(id int) (Recorder, error) {
			if id == 2 {
				return nil, full
			}
			mu.Lock()
			defer mu.Unlock()
			tapes[id] = namedTape{&memory{}, fmt.Sprintf("call-%d.wav", id)}
			return tapes[id], nil
		}
		tell := w.bob.conf.OnEvent
		w.bob.conf.OnEvent = func(id int, e Event) {
			tell(id, e)
			if r, ok := e.(Recording); ok {
				mu.Lock()
				defer mu.Unlock()
				told[id] = append(told[id], r)
			}
		}
		w.listen()
		var callers []*side
		for n := range 3 {
			callers = append(callers, anotherCaller(w, n+1))
			await[Answered](t, callers[n])
		}
		time.Sleep(3 * time.Second)
		for i, want := range []int{1, 0, 1} {
			if got := all[PeerRecording](callers[i]); len(got) != want {
				t.Errorf("caller %d was told %v", i+1, got)
			}
		}
		callers[0].cancel()
		callers[0].result(t)
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		for id, want := range map[int]int{1: 1, 3: 0} {
			m := tapes[id]
			m.mu.Lock()
			if m.closed != want || loud(m.heard) < 8000 {
				t.Errorf("%s: closed %d times, with %d samples", m.name, m.closed, loud(m.heard))
			}
			m.mu.Unlock()
		}
		mu.Unlock()
		for _, c := range callers[1:] {
			if _, over := find[Ended](c); over {
				t.Error("the call ended with another, or with its recording")
			}
			c.cancel()
			c.result(t)
		}
		w.stop()
		for id, want := range map[int][]Recording{
			1: {{On: true, File: "call-1.wav"}, {File: "call-1.wav"}},
			2: {{Err: full}},
			3: {{On: true, File: "call-3.wav"}, {File: "call-3.wav"}},
		} {
			if !slices.Equal(told[id], want) {
				t.Errorf("of call %d was told %v, want %v", id, told[id], want)
			}
		}
	})
}

// Decisions about many calls may come while something holds the loop: none of them is lost.
func TestManyDecisionsAtOnce(t *testing.T) {
	const most = 20
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.AcceptAll, w.bob.conf.Echo, w.bob.conf.MaxCalls = false, false, true, most
		hold, held := make(chan struct{}), make(chan struct{})
		tell, ringing := w.bob.conf.OnEvent, 0
		w.bob.conf.OnEvent = func(id int, e Event) {
			tell(id, e)
			if _, ok := e.(Incoming); ok {
				if ringing++; ringing == most {
					close(held)
					<-hold
				}
			}
		}
		w.listen()
		var callers []*side
		for n := range most {
			callers = append(callers, anotherCaller(w, n+1))
		}
		<-held
		for n := range most {
			w.bob.e.Do(n+1, Answer)
		}
		close(hold)
		for _, c := range callers {
			await[Answered](t, c)
			c.cancel()
			c.result(t)
		}
		w.stop()
	})
}

// Strangers who begin and do not complete a key agreement hold none of the places, and are
// forgotten after ZRTP's own time.
func TestHalfACallHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.Echo, w.bob.conf.MaxCalls = false, true, 2
		stranger := func(n int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), 5004)
		}
		w.net.SetTap(func(from, _ netip.AddrPort, b []byte) []byte {
			// They never say Confirm2, the message after which there is a call.
			if (from == stranger(1) || from == stranger(2) || from == stranger(3)) && bytes.Contains(b, []byte("Confirm2")) {
				return nil
			}
			return b
		})
		w.listen()
		var callers []*side
		for n := range 5 {
			callers = append(callers, anotherCaller(w, n+1))
		}
		for _, c := range callers[3:] {
			await[Answered](t, c)
		}
		for _, c := range callers {
			c.cancel()
			c.result(t)
		}
		time.Sleep(halfOpenLimit + time.Second)
		w.bob.idle(func(calls []*running) {
			if len(calls) > 0 {
				t.Errorf("%d of them are kept", len(calls))
			}
		})
		w.stop()
	})
}
