package call

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"securecall/audio"
	"securecall/audio/red"
	"securecall/nat/memnet"
)

func TestLosses(t *testing.T) {
	for what, c := range map[string]struct {
		begin uint16
		came  []int // after the first; what is not in it was lost
		want  lossCount
	}{
		"nothing lost":             {1, span(1, 60), lossCount{51, 0, 0}},
		"over the wrap":            {65530, span(1, 60), lossCount{51, 0, 0}},
		"one, over the wrap":       {65530, without(span(1, 60), 8), lossCount{51, 1, 1}},
		"three in a row":           {7, without(span(1, 60), 10, 11, 12), lossCount{51, 3, 1}},
		"two runs":                 {7, without(span(1, 60), 10, 11, 30), lossCount{51, 3, 2}},
		"late, not too late":       {7, append(append(span(1, 9), span(11, 19)...), append([]int{10}, span(20, 60)...)...), lossCount{51, 0, 0}},
		"too late":                 {7, append(append(span(1, 9), span(11, 20)...), append([]int{10}, span(21, 60)...)...), lossCount{51, 1, 1}},
		"each of them twice":       {7, double(span(1, 60)), lossCount{51, 0, 0}},
		"not settled yet":          {7, without(span(1, 60), 55), lossCount{51, 0, 0}},
		"a sender begins anew":     {7, append(span(1, 20), span(20000, 20030)...), lossCount{32, 0, 0}},
		"a long outage":            {7, append(span(1, 20), span(520, 540)...), lossCount{531, 499, 1}},
		"an old one far behind":    {7, append(span(1, 30), -900), lossCount{21, 0, 0}},
		"nothing before the first": {7, append([]int{-3, -2}, span(1, 30)...), lossCount{21, 0, 0}},
	} {
		var l losses
		l.add(c.begin)
		for _, n := range c.came {
			l.add(c.begin + uint16(n))
		}
		if got := l.take(); got != c.want {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
		if got := l.take(); got != (lossCount{}) {
			t.Errorf("%s: %+v is left", what, got)
		}
	}
}

// A leap takes no more steps than it may leave out, and a thousand leaps in one second
// do not make the report of it wrap around.
func TestLossesAreBounded(t *testing.T) {
	for leap, most := range map[uint16]uint16{1000: 1000, 1001: 0, 1 << 15: 0, 1<<15 - 1: 0} {
		l := losses{begun: true, settled: settleAfter}
		l.add(leap)
		if c := l.take(); c.expected != most {
			t.Errorf("a leap of %d settles %d", leap, c.expected)
		}
	}
	var l losses
	for i := range 1000 {
		l.add(uint16(i * 1000))
	}
	c := l.take()
	if _, err := parseLossReport(lossReport{redPayload, maxCopies, c}.append(nil)); err != nil || c.expected != 1<<16-1 {
		t.Errorf("%+v: %v", c, err)
	}
}

func span(from, to int) (s []int) {
	for ; from <= to; from++ {
		s = append(s, from)
	}
	return s
}

func without(s []int, out ...int) (left []int) {
	lost := map[int]bool{}
	for _, n := range out {
		lost[n] = true
	}
	for _, n := range s {
		if !lost[n] {
			left = append(left, n)
		}
	}
	return left
}

func double(s []int) (d []int) {
	for _, n := range s {
		d = append(d, n, n)
	}
	return d
}

func FuzzParseLossReport(f *testing.F) {
	f.Add(lossReport{redPayload, maxCopies, lossCount{50, 3, 2}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseLossReport(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.append(nil), b[:lossReportSize]) {
			t.Errorf("% x became %+v", b, r)
		}
		var d redundancy
		for range 5 {
			if s := d.hear(time.Unix(1000, 0), r); s.copies > maxCopies || s.copies > r.copies {
				t.Errorf("%+v makes %+v", r, s)
			}
		}
	})
}

// steady gives reports of one loss, a second each, and returns the last scheme.
func steady(d *redundancy, now *time.Time, seconds int, lost, runs uint16) (s scheme) {
	for range seconds {
		*now = now.Add(time.Second)
		s = d.hear(*now, lossReport{redPayload, maxCopies, lossCount{50, lost, runs}})
	}
	return s
}

// As many copies as the loss asks for within three seconds, fewer only when it
// has been smaller for a while.
func TestRedundancyFollowsLoss(t *testing.T) {
	for _, c := range []struct {
		lost, runs uint16
		copies     uint8
	}{
		{0, 0, 0}, {1, 1, 1}, {4, 4, 2}, {10, 9, 2}, {1, 1, 1}, {15, 14, 3}, {50, 1, 3},
	} {
		now := time.Unix(1000, 0)
		var d redundancy
		if s := steady(&d, &now, 3, c.lost, c.runs); s != (scheme{c.copies, redPayload}) {
			t.Errorf("%d of 50 lost in %d runs: %+v", c.lost, c.runs, s)
		}
		high := d.now.copies
		if s := steady(&d, &now, 10, 0, 0); high > 0 && s.copies == 0 {
			t.Errorf("%d of 50 lost: none 10 s after it ended", c.lost)
		}
		if s := steady(&d, &now, 90, 0, 0); s.copies != 0 {
			t.Errorf("%d of 50 lost: still %d copies after 100 s without", c.lost, s.copies)
		}
	}
}

// A path that loses more because more is sent gets less, and is left alone.
func TestRedundancyGivesWay(t *testing.T) {
	now := time.Unix(1000, 0)
	var d redundancy
	if s := steady(&d, &now, 1, 4, 4); s.copies != 2 {
		t.Fatalf("%+v", s)
	}
	s := steady(&d, &now, 3, 25, 5)
	if s.copies >= 2 {
		t.Errorf("%d copies where they are what is lost", s.copies)
	}
	if again := steady(&d, &now, 30, 20, 10); again.copies > s.copies {
		t.Errorf("%d copies again after 30 s", again.copies)
	}
	if again := steady(&d, &now, 40, 20, 10); again.copies <= s.copies {
		t.Errorf("%d copies for ever", again.copies)
	}
}

// Loss that comes and goes by chance, one at a time or in bursts, is not taken
// for a path that is too narrow.
func TestRedundancyStaysUnderSteadyLoss(t *testing.T) {
	for _, c := range []struct {
		loss, run float64
		copies    uint8
	}{{0.01, 1, 1}, {0.03, 1, 1}, {0.05, 1, 1}, {0.1, 1, 2}, {0.2, 1, 2}, {0.35, 1, 3}, {0.05, 4, 1}, {0.1, 4, 2}} {
		without, all := 0, 0
		for seed := range uint64(100) {
			r := rand.New(rand.NewPCG(seed, 0))
			var d redundancy
			now, lost := time.Unix(1000, 0), false
			for second := range 60 {
				report := lossReport{redPayload, maxCopies, lossCount{expected: 50}}
				for range 50 {
					// Gilbert's two states.
					p := c.loss / (1 - c.loss) / c.run
					if lost {
						p = 1 - 1/c.run
					}
					if c.run == 1 {
						p = c.loss
					}
					was := lost
					if lost = r.Float64() < p; lost {
						report.lost++
						if !was {
							report.runs++
						}
					}
				}
				now = now.Add(time.Second)
				s := d.hear(now, report)
				if second >= 10 {
					if all++; s.copies < c.copies {
						without++
					}
				}
			}
		}
		if without*25 > all {
			t.Errorf("loss of %v in runs of %v: fewer than %d copies in %d of %d seconds", c.loss, c.run, c.copies, without, all)
		}
	}
}

// A peer that takes fewer gets fewer.
func TestRedundancyPeerLimit(t *testing.T) {
	var d redundancy
	now := time.Unix(1000, 0)
	steady(&d, &now, 3, 25, 20)
	for copies := range uint8(maxCopies) {
		if s := d.hear(now, lossReport{100, copies, lossCount{50, 25, 20}}); s.copies > copies || s.payload != 100 {
			t.Errorf("%+v where %d are taken", s, copies)
		}
	}
}

// Issue 4, part 3: "Packet size is constant while the redundancy level and
// packet time are; ... mute, hold, push-to-talk and DTMF keep it."
func TestRedundancySize(t *testing.T) {
	a, _ := pair(t)
	loud := make(audio.Frame, audio.FrameSamples)
	for i := range loud {
		loud[i] = int16(i*997 + 1)
	}
	for copies := range uint8(maxCopies + 1) {
		a.scheme.Store(scheme{copies, redPayload}.pack())
		sizes := map[int]bool{}
		for i := range 20 {
			a.muted.Store(i >= 10)
			a.held.Store(i >= 15)
			p, err := a.pack(time.Now(), loud)
			if err != nil {
				t.Fatal(err)
			}
			sizes[len(p)] = true
		}
		if len(sizes) != 1 {
			t.Errorf("%d copies: sizes %v", copies, sizes)
		}
	}
}

// Each packet holds what it says: the sound of the packets before, by their
// timestamps, silence before the first.
func TestRedundancyHoldsWhatWasSent(t *testing.T) {
	for _, frame := range []int{audio.FrameSamples, audio.FrameSamples / 2} {
		redundancyHoldsWhatWasSent(t, frame)
	}
}

func redundancyHoldsWhatWasSent(t *testing.T, frame int) {
	h := newHistory(audio.PCMU, frame)
	silence := bytes.Clone(h.sound[0][:frame])
	var sent [][]byte
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		s := scheme{uint8(r.IntN(maxCopies + 1)), redPayload}
		if n < 10 { // before the peer has said that it takes any
			s = scheme{}
		}
		sound := h.next()
		for i := range sound {
			sound[i] = byte(r.Uint32())
		}
		sent = append(sent, bytes.Clone(sound))
		payloadType, payload := h.payload(audio.PCMU, s)
		if s.copies == 0 && s.payload == 0 {
			if payloadType != uint8(audio.PCMU) || !bytes.Equal(payload, sent[n]) {
				t.Errorf("packet %d without copies: type %d", n, payloadType)
			}
			continue
		}
		var blocks [red.MaxBlocks]red.Block
		earlier, inner, own, err := red.Parse(payload, &blocks)
		if err != nil || payloadType != redPayload || inner != uint8(audio.PCMU) || !bytes.Equal(own, sent[n]) || len(earlier) != int(s.copies) {
			t.Fatalf("packet %d: %d copies, type %d and %d, %v", n, len(earlier), payloadType, inner, err)
		}
		for i, b := range earlier {
			back := int(s.copies) - i
			want := silence
			if n >= back {
				want = sent[n-back]
			}
			if int(b.Offset) != back*frame || !bytes.Equal(b.Payload, want) {
				t.Errorf("packet %d, copy %d: offset %d, or other sound", n, i, b.Offset)
			}
		}
	}
}

// In a whole call: redundancy comes with loss, and towards another program
// never.
func TestRedundancyInACall(t *testing.T) {
	for _, plain := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 3)
			if plain {
				w.bob.conf.Client = "another phone"
			}
			var seen watch
			w.net.SetTap(seen.tap)
			w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond, Loss: 0.1})
			w.run()
			await[Answered](t, &w.alice)
			time.Sleep(30 * time.Second)
			w.stop()
			_, largest := sizes(seen.kinds[w.alice.addr])
			a, _ := find[Ended](&w.alice)
			if plain != (largest < 300) {
				t.Errorf("plain peer: %v; the largest packet of Alice has %d octets", plain, largest)
			}
			told := 0
			for _, e := range w.alice.events {
				if s, is := e.(Stats); is {
					if told++; !plain && (s.PeerLoss < 3 || s.PeerLoss > 20) {
						t.Errorf("of 10 %% of losses there Alice is told %.1f %%", s.PeerLoss)
					}
				}
			}
			if told < 5 {
				t.Errorf("figures came %d times", told)
			}
			if b, _ := find[Ended](&w.bob); !plain && (b.Stats.Playout.Recovered == 0 || b.Stats.Loss < 5) {
				t.Errorf("%+v %+v", a.Stats, b.Stats)
			}
		})
	}
}

// What is lost is told every second, whether anything is or not: the sender has nothing else
// to go by.
func TestLossesAreToldEverySecond(t *testing.T) {
	const seconds = 20
	now := time.Now()
	c, peer := secureCore(t, now)
	c.begin(now, false)
	c.spoke = true
	told := map[uint32]time.Time{} // by the number of the message
	last := now
	for range seconds * 100 {
		now = now.Add(10 * time.Millisecond)
		c.media.hears(now)
		c.Tick(now)
		for _, p := range take(t, c, peer) {
			app, is := p.(*rtcp.ApplicationDefined)
			if !is {
				continue
			}
			d, err := parseAppData(app.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range d.messages {
				if _, known := told[m.number]; m.word != wordLosses || known {
					continue
				}
				if quiet := now.Sub(last); quiet > 1100*time.Millisecond {
					t.Errorf("nothing is told for %v", quiet)
				}
				told[m.number], last = now, now
			}
		}
	}
	if len(told) < seconds-1 || len(told) > seconds {
		t.Errorf("told %d times in %d s", len(told), seconds)
	}
}

// sizes are those of the smallest and the largest packet of sound.
func sizes(packets []seen) (least, most int) {
	for _, p := range packets {
		if p.kind == kindRTP {
			if least == 0 || p.size < least {
				least = p.size
			}
			most = max(most, p.size)
		}
	}
	return least, most
}
