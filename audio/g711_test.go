package audio

import (
	"math/bits"
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

// compress is G.711's encoding, of the 14 bits that µ-law looks at or the 13 of
// A-law, negative numbers in one's complement: the decision values of its tables
// 1 and 2, as ITU-T G.191 counts them.
func compress(l Law, s int) byte {
	sign := byte(0)
	if s < 0 {
		s, sign = ^s, 0x80
	}
	if l == PCMA {
		s >>= 4 // the magnitude, 11 bits
		segment := max(0, bits.Len(uint(s))-4)
		step := s >> max(0, segment-1) & 15
		return (byte(segment<<4|step) | sign ^ 0x80) ^ 0x55
	}
	s = min(s>>2+33, 8191) // biased, so that each segment begins at a power of two
	segment := bits.Len(uint(s)) - 6
	step := s >> (segment + 1) & 15
	return ^(byte(segment<<4|step) | sign)
}

func TestEncodeEverySample(t *testing.T) {
	for _, l := range []Law{PCMU, PCMA} {
		for s := -32768; s <= 32767; s++ {
			if got, want := encode(l, s), compress(l, s); got != want {
				t.Fatalf("law %d: %d is encoded as %02x, want %02x", l, s, got, want)
			}
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

func TestCodecDoesNotAllocate(t *testing.T) {
	f := make(Frame, FrameSamples)
	b := make([]byte, FrameSamples)
	for _, l := range []Law{PCMU, PCMA} {
		if n := testing.AllocsPerRun(100, func() { l.Encode(b, f); l.Decode(f, b) }); n != 0 {
			t.Errorf("law %d: %.0f allocations", l, n)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	benchmark(b, func(l Law, f Frame, o []byte) { l.Encode(o, f) })
}

func BenchmarkDecode(b *testing.B) {
	benchmark(b, func(l Law, f Frame, o []byte) { l.Decode(f, o) })
}

func benchmark(b *testing.B, run func(Law, Frame, []byte)) {
	for name, l := range map[string]Law{"PCMU": PCMU, "PCMA": PCMA} {
		b.Run(name, func(b *testing.B) {
			f := make(Frame, FrameSamples)
			for i := range f {
				f[i] = int16(i * 200)
			}
			octets := make([]byte, FrameSamples)
			b.ReportAllocs()
			for b.Loop() {
				run(l, f, octets)
			}
		})
	}
}
