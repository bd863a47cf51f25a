package playout

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"securecall/audio"
)

const frame = audio.FrameDuration

// A line is a sender, a path that the test decides about and a speaker, in
// virtual time.
type line struct {
	b     *Buffer
	begin time.Time
	seq   uint16
	ts    uint32
	said  []int16
	heard []int16
}

func newLine() *line {
	return &line{b: New(Config{}), begin: time.Unix(1000, 0), seq: 65000, ts: 1<<32 - 20000}
}

// say makes the next packet of n samples.
func (l *line) say(n int) Packet {
	octets := make([]byte, n)
	for i := range octets {
		octets[i] = byte(len(l.said) + i*7)
	}
	p := Packet{Seq: l.seq, Timestamp: l.ts, Law: audio.PCMA, Payload: octets}
	l.seq++
	l.ts += uint32(n)
	pcm := make([]int16, n)
	p.Law.Decode(pcm, octets)
	l.said = append(l.said, pcm...)
	return p
}

type arrival struct {
	at time.Duration
	p  Packet
}

// run plays what arrives, a frame each 20 ms from the beginning on.
func (l *line) run(t *testing.T, arrivals []arrival, length time.Duration) {
	t.Helper()
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return int(a.at - b.at) })
	for now := time.Duration(0); now < length; now += frame {
		for len(arrivals) > 0 && arrivals[0].at <= now {
			l.b.Push(l.begin.Add(arrivals[0].at), arrivals[0].p)
			arrivals = arrivals[1:]
		}
		var f audio.Frame
		l.b.Pop(l.begin.Add(now), &f)
		l.heard = append(l.heard, f[:]...)
	}
}

func (l *line) clean(n int) []arrival {
	var all []arrival
	for i := range n {
		all = append(all, arrival{time.Duration(i) * frame, l.say(audio.FrameSamples)})
	}
	return all
}

func index(whole, part []int16) int {
	for i := 0; i+len(part) <= len(whole); i++ {
		if slices.Equal(whole[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// Issue 2, part 8: "a jitter buffer of fixed 60 ms"; and nothing is changed of
// a stream that arrives whole.
func TestCleanStreamIsUntouched(t *testing.T) {
	l := newLine()
	l.run(t, l.clean(1000), 20100*time.Millisecond)
	at := index(l.heard, l.said)
	if delay := time.Duration(at) * time.Second / audio.SampleRate; delay != 60*time.Millisecond {
		t.Errorf("heard after %v", delay)
	}
	if s := l.b.Stats(); s.Received != 1000 || s.Late+s.Duplicated+s.Reordered+s.Refused+s.Adjusted != 0 {
		t.Errorf("%+v", s)
	}
}

// Jitter and reordering below the delay cost nothing.
func TestJitterBelowTheDelay(t *testing.T) {
	l := newLine()
	all := l.clean(1000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 1; i < len(all); i++ {
		all[i].at += time.Duration(r.IntN(55)) * time.Millisecond
	}
	l.run(t, all, 20100*time.Millisecond)
	s := l.b.Stats()
	if index(l.heard, l.said) < 0 || s.Late != 0 || s.Reordered == 0 {
		t.Errorf("%+v", s)
	}
}

// The first packet was a slow one: nothing is lost for it, and the delay that
// it brought does not stay.
func TestSlowFirstPacket(t *testing.T) {
	l := newLine()
	all := l.clean(300)
	all[0].at += 100 * time.Millisecond
	l.run(t, all, 6100*time.Millisecond)
	if s := l.b.Stats(); s.Delay > 100*time.Millisecond || s.Late > 3 {
		t.Errorf("%+v", s)
	}
}

func TestPacketsOfOtherLengths(t *testing.T) {
	for _, n := range []int{80, 160, 240, 480} {
		l := newLine()
		var all []arrival
		for at := time.Duration(0); at < 5*time.Second; at += samples(n) {
			all = append(all, arrival{at, l.say(n)})
		}
		l.run(t, all, 5200*time.Millisecond)
		if index(l.heard, l.said) < 0 {
			t.Errorf("packets of %d samples: not heard whole: %+v", n, l.b.Stats())
		}
	}
}

func TestLossIsConcealedAndFades(t *testing.T) {
	l := newLine()
	all := l.clean(100)
	all = slices.Delete(all, 50, 60)
	l.run(t, all, 2*time.Second)
	s := l.b.Stats()
	if s.Lost != 10 || s.Concealed < 200*time.Millisecond {
		t.Errorf("%+v", s)
	}
	gap := l.heard[480+50*160 : 480+60*160]
	power := func(pcm []int16) (p int) {
		for _, s := range pcm {
			p += int(s) * int(s) / len(pcm)
		}
		return p
	}
	first, second, last := power(gap[:160]), power(gap[160:320]), power(gap[480:])
	if first == 0 || second == 0 || second >= first || last != 0 {
		t.Errorf("power of the gap: %d, %d, then %d", first, second, last)
	}
	if !slices.Equal(l.heard[480+60*160:480+90*160], l.said[60*160:90*160]) {
		t.Error("what follows the gap is not what was said")
	}
}

func TestDuplicates(t *testing.T) {
	l := newLine()
	all := l.clean(200)
	for _, a := range slices.Clone(all) {
		a.at += 5 * time.Millisecond
		all = append(all, a)
	}
	l.run(t, all, 4100*time.Millisecond)
	if s := l.b.Stats(); index(l.heard, l.said) < 0 || s.Duplicated != 200 || s.Late != 0 {
		t.Errorf("%+v", s)
	}
}

// The path becomes longer by more than the delay: that is followed.
func TestStepInDelay(t *testing.T) {
	l := newLine()
	all := l.clean(500)
	for i := 200; i < len(all); i++ {
		all[i].at += 300 * time.Millisecond
	}
	l.run(t, all, 10500*time.Millisecond)
	if s := l.b.Stats(); index(l.heard, l.said[210*160:]) < 0 || s.Late > 10 {
		t.Errorf("%+v", s)
	}
}

// The path holds everything back for a while and lets it go at once: what is
// heard two seconds later is not late for that.
func TestStall(t *testing.T) {
	for _, stall := range []time.Duration{300, 500, 900, 2000, 5000} {
		l := newLine()
		all := l.clean(1000)
		until := 4*time.Second + stall*time.Millisecond
		for i := range all {
			if all[i].at >= 4*time.Second {
				all[i].at = max(all[i].at, until)
			}
		}
		l.run(t, all, until+4*time.Second)
		s := l.b.Stats()
		if s.Delay > 150*time.Millisecond {
			t.Errorf("a stall of %d ms: %+v", stall, s)
		}
		end := (until + 3*time.Second) / frame * audio.FrameSamples
		if index(l.heard[len(l.heard)-100*audio.FrameSamples:], l.said[end:end+20*audio.FrameSamples]) < 0 {
			t.Errorf("a stall of %d ms: not heard again: %+v", stall, s)
		}
	}
}

// A sender whose clock is off by 200 ppm for an hour: no growing delay, and
// hardly a frame lost for it. Ten times that for six minutes is the same.
func TestDrift(t *testing.T) {
	for _, ppm := range []int{-2000, 2000} {
		l := newLine()
		var all []arrival
		for i := range 18_000 {
			at := time.Duration(i) * frame
			all = append(all, arrival{at + at*time.Duration(ppm)/1_000_000, l.say(audio.FrameSamples)})
		}
		l.said = nil
		l.run(t, all, 6*time.Minute)
		s := l.b.Stats()
		// 2000 ppm of six minutes are 36 frames.
		if s.Delay > 130*time.Millisecond || s.Adjusted < 5 || s.Adjusted > 50 || s.Lost > 200 {
			t.Errorf("%d ppm: %+v", ppm, s)
		}
	}
}

// Ten seconds of nothing, and the sender's clock went on meanwhile; or it
// began anew far away.
func TestOutageAndRestart(t *testing.T) {
	for name, jump := range map[string]uint32{"outage": 0, "restart": 1 << 30, "backwards": 1<<32 - 8000*3600} {
		l := newLine()
		all := l.clean(100)
		l.ts += 500*audio.FrameSamples + jump
		l.seq += 500
		mark := len(l.said)
		for i := range 200 {
			all = append(all, arrival{12*time.Second + time.Duration(i)*frame, l.say(audio.FrameSamples)})
		}
		l.run(t, all, 16500*time.Millisecond)
		if index(l.heard, l.said[mark+10*160:]) < 0 {
			t.Errorf("%s: not heard again: %+v", name, l.b.Stats())
		}
	}
}

// A sender that begins its numbers anew, below the old ones, is not taken for
// one whose packets all come in the wrong order; and repeats are known again.
func TestNumbersBeginAnew(t *testing.T) {
	l := newLine()
	all := l.clean(100)
	l.seq -= 5000
	for i := range 100 {
		p := l.say(audio.FrameSamples)
		at := time.Duration(100+i) * frame
		all = append(all, arrival{at, p}, arrival{at + time.Millisecond, p})
	}
	l.run(t, all, 4100*time.Millisecond)
	if s := l.b.Stats(); index(l.heard, l.said) < 0 || s.Reordered > 2 || s.Duplicated < 98 {
		t.Errorf("%+v", s)
	}
}

// A packet that is so far ahead that the ring would not hold it is refused; as
// far as it is taken it does not reach around to what is played now.
func TestFarAheadIsNotPlayedNow(t *testing.T) {
	for ahead := uint32(reach - 1500); ahead < reach+1000; ahead += 20 {
		l := newLine()
		all := l.clean(100)
		stray := Packet{Seq: l.seq + 1, Timestamp: l.ts + ahead, Law: audio.PCMA, Payload: make([]byte, maxPacket)}
		all = append(all, arrival{99*frame + 1, stray})
		l.run(t, all, 2*time.Second+3*frame)
		if index(l.heard, l.said) < 0 {
			t.Fatalf("%d samples ahead: %+v", ahead, l.b.Stats())
		}
	}
}

// The first packets come in the wrong order, far apart: the later one is not
// played in the place of what is missing after the earlier one.
func TestFirstPacketsFarApart(t *testing.T) {
	b := New(Config{})
	begin := time.Unix(0, 0)
	b.Push(begin, Packet{Seq: 2, Timestamp: reach, Payload: make([]byte, maxPacket)})
	b.Push(begin, Packet{Seq: 1, Timestamp: 0, Payload: make([]byte, 80)})
	for i := range 20 {
		var f audio.Frame
		now := begin.Add(60*time.Millisecond + time.Duration(i)*frame)
		if got := b.Pop(now, &f); got != (i == 0) {
			t.Errorf("frame %d holds received sound: %v", i, got)
		}
	}
}

// One packet from far away is nonsense and changes nothing.
func TestStrayTimestamp(t *testing.T) {
	l := newLine()
	all := l.clean(200)
	stray := l.say(audio.FrameSamples)
	l.said = l.said[:200*160]
	stray.Timestamp += 1 << 29
	all = append(all, arrival{time.Second + time.Millisecond, stray})
	l.run(t, all, 4100*time.Millisecond)
	if s := l.b.Stats(); index(l.heard, l.said) < 0 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// Nobody listens for two seconds while packets come: what is heard then is
// not two seconds old.
func TestNobodyListensAtFirst(t *testing.T) {
	l := newLine()
	for i := range 100 {
		l.b.Push(l.begin.Add(time.Duration(i)*frame), l.say(audio.FrameSamples))
	}
	mark := len(l.said)
	for i := 100; i < 300; i++ {
		now := l.begin.Add(time.Duration(i) * frame)
		l.b.Push(now, l.say(audio.FrameSamples))
		var f audio.Frame
		l.b.Pop(now, &f)
		l.heard = append(l.heard, f[:]...)
	}
	at := index(l.heard, l.said[mark+50*160:mark+100*160])
	if at < 0 {
		t.Fatalf("not heard: %+v", l.b.Stats())
	}
	if delay := samples(at - 50*160); delay > 150*time.Millisecond {
		t.Errorf("heard after %v", delay)
	}
}

func TestRefusedLengths(t *testing.T) {
	b := New(Config{})
	for _, n := range []int{0, maxPacket + 1, 2000} {
		b.Push(time.Unix(0, 0), Packet{Payload: make([]byte, n)})
	}
	if s := b.Stats(); s.Refused != 3 {
		t.Errorf("%+v", s)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	b := New(Config{})
	now := time.Unix(0, 0)
	p := Packet{Payload: make([]byte, audio.FrameSamples)}
	var f audio.Frame
	if n := testing.AllocsPerRun(1000, func() {
		b.Push(now, p)
		b.Pop(now, &f)
		p.Seq++
		p.Timestamp += uint32(audio.FrameSamples)
		now = now.Add(frame)
	}); n != 0 {
		t.Errorf("%.1f allocations a frame", n)
	}
}

// Whatever comes, in whatever order: no panic, nothing without bound, and a
// clean stream afterwards is heard.
func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 160, 5, 3, 200, 9, 90})
	f.Add([]byte("a longer sequence of packets that jump about in time and number"))
	f.Fuzz(func(t *testing.T, in []byte) {
		l := newLine()
		now := l.begin
		var out audio.Frame
		for len(in) >= 5 {
			p := Packet{
				Seq:       uint16(in[0])<<8 | uint16(in[1]),
				Timestamp: uint32(in[2])<<24 | uint32(in[1])<<10 | uint32(in[3])*40,
				Law:       audio.Law(in[0] & 8),
				Payload:   make([]byte, int(in[4])*3),
			}
			l.b.Push(now, p)
			if in[3]&1 == 0 {
				l.b.Pop(now, &out)
			}
			now = now.Add(time.Duration(in[2]) * time.Millisecond)
			in = in[5:]
		}
		l.seq, l.ts = 7, uint32(now.UnixMilli())
		for range 200 {
			l.b.Push(now, l.say(audio.FrameSamples))
			l.b.Pop(now, &out)
			l.heard = append(l.heard, out[:]...)
			now = now.Add(frame)
		}
		if index(l.heard, l.said[100*160:150*160]) < 0 {
			t.Fatalf("a clean stream is not heard: %+v", l.b.Stats())
		}
	})
}

func BenchmarkPushPop(b *testing.B) {
	buffer := New(Config{})
	now := time.Unix(0, 0)
	p := Packet{Payload: make([]byte, audio.FrameSamples)}
	var f audio.Frame
	b.ReportAllocs()
	for b.Loop() {
		buffer.Push(now, p)
		buffer.Pop(now, &f)
		p.Seq++
		p.Timestamp += uint32(audio.FrameSamples)
		now = now.Add(frame)
	}
}
