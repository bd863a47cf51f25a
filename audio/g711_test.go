package audio

import (
	"testing"
)

// expand is G.711's decoding, from its tables 1a and 2a: a sign, a segment of
// twice the step of the one below, sixteen steps in each.
func expand(l Law, code byte) int {
	if l == PCMA {
		code ^= 0x55 // even bits inverted
		segment, step := int(code>>4&7), int(code&15)
		value := 16*step + 8
		if segment > 0 {
			value = (value + 256) << (segment - 1)
		}
		if code&0x80 == 0 {
			return -value
		}
		return value
	}
	code = ^code
	segment, step := int(code>>4&7), int(code&15)
	value := (8*step+132)<<segment - 132
	if code&0x80 != 0 {
		return -value
	}
	return value
}

func decode(l Law, code byte) int {
	var pcm [1]int16
	l.Decode(pcm[:], []byte{code})
	return int(pcm[0])
}

func encode(l Law, s int) byte {
	var b [1]byte
	l.Encode(b[:], []int16{int16(s)})
	return b[0]
}

func TestDecodeEveryCode(t *testing.T) {
	for _, l := range []Law{PCMU, PCMA} {
		for code := range 256 {
			if got, want := decode(l, byte(code)), expand(l, byte(code)); got != want {
				t.Errorf("law %d: code %02x decodes to %d, want %d", l, code, got, want)
			}
		}
	}
}

// Every sample is encoded to the nearest level, but for decisions that G.711
// makes on fewer bits than our sixteen: 14 of µ-law, and 13 of A-law. A
// decision that is a little off costs twice that much.
func TestEncodeEverySample(t *testing.T) {
	for l, blind := range map[Law]int{PCMU: 1000, PCMA: 1000} {
		last := -1 << 30
		for s := -32768; s <= 32767; s++ {
			got := expand(l, encode(l, s))
			best := 1 << 30
			for code := range 256 {
				if d := abs(expand(l, byte(code)) - s); d < best {
					best = d
				}
			}
			if abs(got-s) > best+blind {
				t.Fatalf("law %d: %d is encoded as %d, %d away; the best is %d away", l, s, got, abs(got-s), best)
			}
			if got < last {
				t.Fatalf("law %d: %d is encoded as %d, below the sample before it", l, s, got)
			}
			last = got
		}
	}
}

// What was decoded once is encoded again as it was, so that a call that is
// passed on loses nothing more. µ-law has two zeros.
func TestEncodeUndoesDecode(t *testing.T) {
	for _, l := range []Law{PCMU, PCMA} {
		for code := range 256 {
			s := decode(l, byte(code))
			if got := encode(l, s); got != byte(code) && s != 0 {
				t.Errorf("law %d: %02x becomes %d and then %02x", l, code, s, got)
			}
		}
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func TestCodecDoesNotAllocate(t *testing.T) {
	var f Frame
	b := make([]byte, FrameSamples)
	for _, l := range []Law{PCMU, PCMA} {
		if n := testing.AllocsPerRun(100, func() { l.Encode(b, f[:]); l.Decode(f[:], b) }); n != 0 {
			t.Errorf("law %d: %.0f allocations", l, n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	benchmark(b, func(l Law, f *Frame, o []byte) { l.Encode(o, f[:]) })
}
func BenchmarkDecode(b *testing.B) {
	benchmark(b, func(l Law, f *Frame, o []byte) { l.Decode(f[:], o) })
}

func benchmark(b *testing.B, run func(Law, *Frame, []byte)) {
	for name, l := range map[string]Law{"PCMU": PCMU, "PCMA": PCMA} {
		b.Run(name, func(b *testing.B) {
			var f Frame
			for i := range f {
				f[i] = int16(i * 200)
			}
			octets := make([]byte, FrameSamples)
			b.ReportAllocs()
			for b.Loop() {
				run(l, &f, octets)
			}
		})
	}
}
