package playout

import (
	"testing"
	"time"

	"securecall/audio"
)

// feed returns a function that pushes and pops one frame, without allocating.
// What moves the delay is told it before each frame.
func feed(force func(b *Buffer, i int)) (b *Buffer, step func()) {
	b = New(Config{})
	now := time.Unix(0, 0)
	p := Packet{Law: audio.PCMU}
	octets := make([]byte, len(voice)/audio.FrameSamples*audio.FrameSamples)
	audio.PCMU.Encode(octets, voice[:len(octets)])
	f := make(audio.Frame, audio.FrameSamples)
	i := 0
	return b, func() {
		at := i * audio.FrameSamples % len(octets)
		p.Payload = octets[at : at+audio.FrameSamples]
		b.Push(now, p)
		force(b, i)
		b.Pop(now.Add(frame/2), f)
		p.Seq++
		p.Timestamp += audio.FrameSamples
		now = now.Add(frame)
		i++
	}
}

// toAndFro makes the buffer stretch or shrink in every frame that is fit for
// it.
func toAndFro(b *Buffer, i int) {
	b.adjust.calm, b.adjust.wanted, b.adjust.rest = settled, patient, 0
	lag := int32(0)
	if i/50%2 == 0 {
		lag = 10 * audio.FrameSamples
	}
	for j := range b.arrivals.lags {
		b.arrivals.lags[j] = lag
	}
}

func TestDoesNotAllocate(t *testing.T) {
	for name, force := range map[string]func(*Buffer, int){"steady": func(*Buffer, int) {}, "stretching": toAndFro} {
		b, step := feed(force)
		if n := testing.AllocsPerRun(2000, step); n != 0 {
			t.Errorf("%s: %.1f allocations a frame", name, n)
		}
		if s := b.Stats(); name == "stretching" && (s.Stretched == 0 || s.Shrunk == 0) {
			t.Errorf("nothing was stretched or shrunk: %+v", s)
		}
	}
	b, step := feed(func(b *Buffer, i int) {
		b.Recover(time.Unix(0, 0), uint32(i+3)*audio.FrameSamples, audio.FrameSamples, audio.PCMA, make([]byte, audio.FrameSamples)[:100])
	})
	if n := testing.AllocsPerRun(2000, step); n != 0 {
		t.Errorf("with copies: %.1f allocations a frame", n)
	}
	if b.Stats().Recovered == 0 {
		t.Error("no copy was taken")
	}
}

func BenchmarkPushPop(b *testing.B) {
	_, step := feed(func(*Buffer, int) {})
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

func BenchmarkPushPopStretching(b *testing.B) {
	_, step := feed(toAndFro)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
