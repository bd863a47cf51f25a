package call

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/nat"
)

// What is sent back comes at the pace of a clock, of one call and of many.
func TestEchoIsPaced(t *testing.T) {
	for _, frame := range []time.Duration{audio.FrameDuration, audio.FrameDuration / 2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.bob.conf.Once, w.bob.conf.Echo, w.bob.conf.MaxCalls, w.bob.conf.PacketTime = false, true, 20, frame
			w.listen()
			var callers []*side
			for n := range 20 {
				callers = append(callers, anotherCaller(w, n+1))
				await[Answered](t, callers[n])
				time.Sleep(7 * time.Millisecond)
			}
			time.Sleep(time.Second)
			begin := time.Now()
			time.Sleep(time.Second)
			moments := map[time.Duration]bool{}
			for n, c := range callers {
				c.ear.mu.Lock()
				came := 0
				for i, at := range c.ear.at {
					if at.Before(begin) {
						continue
					}
					came++
					moments[at.Sub(begin)%frame] = true
					if gap := at.Sub(c.ear.at[i-1]); gap != frame {
						t.Fatalf("caller %d: %v from packet to packet", n, gap)
					}
				}
				if want := int(time.Second / frame); came < want || came > want+1 {
					t.Errorf("caller %d has got %d packets in a second", n, came)
				}
				c.ear.mu.Unlock()
			}
			if len(moments) != spokes {
				t.Errorf("the calls are served at %d moments", len(moments))
			}
			for _, c := range callers {
				c.cancel()
				c.result(t)
			}
			w.stop()
		})
	}
}

// The calls are spread evenly, whoever has come and gone.
func TestWheelSeats(t *testing.T) {
	w := &wheel{}
	even := func(total int) {
		t.Helper()
		if !w.seat() || w.count != total {
			t.Fatalf("%d calls of %d", w.count, total)
		}
		for i, calls := range w.calls {
			if n := len(calls); n < total/spokes || n > total/spokes+1 {
				t.Errorf("spoke %d has %d of %d", i, n, total)
			}
		}
	}
	if !w.join(&running{}) || w.join(&running{}) {
		t.Error("it is the first to join who has it turned, and nobody else")
	}
	even(2)
	for range 3*spokes - 2 {
		w.join(&running{})
	}
	even(3 * spokes)
	w.count -= len(w.calls[5])
	w.calls[5] = nil
	w.join(&running{})
	w.join(&running{})
	w.join(&running{})
	even(3 * spokes)
	w.calls, w.count = [spokes][]*running{}, 0
	if w.seat() || !w.join(&running{}) {
		t.Error("without calls it goes on turning")
	}
}

// slowPath takes its time for media.
type slowPath struct {
	nat.Path
	delay atomic.Int64
}

func (p *slowPath) WritePacket(b []byte, to netip.AddrPort) error {
	if classify(b) == kindRTP {
		time.Sleep(time.Duration(p.delay.Load()))
	}
	return p.Path.WritePacket(b, to)
}

// A listener that cannot keep up says so once, and takes no further calls until it can.
func TestListenerBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.Once, w.bob.conf.Echo, w.bob.conf.MaxCalls = false, true, 20
		slow := &slowPath{Path: w.net.Path(w.bob.addr)}
		w.listenOn(slow)
		first := anotherCaller(w, 1)
		await[Answered](t, first)
		time.Sleep(10 * time.Second)
		if told := all[Fault](&w.bob); len(told) != 0 {
			t.Errorf("in time, and told: %v", told)
		}
		slow.delay.Store(int64(30 * time.Millisecond))
		time.Sleep(10 * time.Second)
		if got := anotherCaller(w, 2).result(t); got.Reason != ReasonBusy {
			t.Errorf("a caller whom it cannot serve: %+v", got)
		}
		time.Sleep(20 * time.Second)
		if told := all[Fault](&w.bob); len(told) != 1 || !errors.Is(told[0].Err, errBehind) {
			t.Errorf("behind for half a minute, and told: %v", told)
		}
		slow.delay.Store(0)
		time.Sleep(10 * time.Second)
		again := anotherCaller(w, 3)
		await[Answered](t, again)
		for _, c := range []*side{first, again} {
			c.cancel()
			c.result(t)
		}
		w.stop()
	})
}

func TestLateness(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		every, late int // of so many turns so many are late
		want        int // spans of the ten that are told
	}{{1, 0, 0}, {3, 1, 0}, {5, 2, 0}, {3, 2, 10}, {1, 1, 10}} {
		var l lateness
		told := 0
		for i := range int(10*lateSpan/(10*time.Millisecond)) + 1 {
			if l.note(now, i%c.every < c.late) {
				told++
			}
			now = now.Add(10 * time.Millisecond)
		}
		if told != c.want {
			t.Errorf("%d late of %d: told %d times", c.late, c.every, told)
		}
	}
	var n notice
	if !n.due(now) || n.due(now.Add(between-1)) || !n.due(now.Add(between)) || n.due(now.Add(between)) {
		t.Error("notices are not a minute apart")
	}
}

// nowhere is where packets go that are only counted.
type nowhere struct {
	nat.Path
	sent int
}

func (p *nowhere) WritePacket([]byte, netip.AddrPort) error {
	p.sent++
	return nil
}

// A turn of the wheel allocates nothing of ours, however many calls it serves.
func TestWheelDoesNotAllocate(t *testing.T) {
	const calls, library = 100, 4 // allocations of pion/srtp a packet
	path := &nowhere{}
	e := &Endpoint{path: path}
	e.wheel.frame = make(audio.Frame, audio.FrameSamples)
	for range calls {
		m, _ := pair(t)
		m.at.Store(provenPlace(netip.MustParseAddrPort("192.0.2.1:5004")))
		e.wheel.calls[0] = append(e.wheel.calls[0], &running{core: &core{media: m}})
	}
	now := time.Now()
	turns := 0
	n := testing.AllocsPerRun(100, func() {
		e.echo(now)
		now = now.Add(audio.FrameDuration)
		turns++
	})
	if n > calls*library {
		t.Errorf("%v allocations for %d packets; the SRTP library makes %d a packet", n, calls, library)
	}
	if path.sent != turns*calls {
		t.Errorf("%d packets of %d calls in %d turns", path.sent, calls, turns)
	}
}
