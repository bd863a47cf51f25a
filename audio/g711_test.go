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

// step is the width of the interval that a code stands for.
func step(l Law, code byte) int {
	if l == PCMA {
		return 16 << max(0, int((code^0x55)>>4&7)-1)
	}
	return 8 << int(^code>>4&7)
}

// Every sample is encoded as the level in whose interval it lies, but for what
// G.711 does not look at (µ-law has 14 bits, A-law 13, negative numbers one's
// complement) and what is too loud for it; and louder is never softer.
func TestEncodeEverySample(t *testing.T) {
	for l, blind := range map[Law]int{PCMU: 4, PCMA: 8} {
		loudest, last := 0, -1<<30
		for code := range 256 {
			loudest = max(loudest, expand(l, byte(code)))
		}
		for s := -32768; s <= 32767; s++ {
			code := encode(l, s)
			got := expand(l, code)
			want := max(-loudest, min(loudest, s))
			if abs(got-want) > step(l, code)/2+blind {
				t.Fatalf("law %d: %d is encoded as %d, in steps of %d", l, s, got, step(l, code))
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
