package audio

import "github.com/zaf/g711"

// A Law is one of the two companding laws of ITU-T G.711. Its value is the
// static RTP payload type (RFC 3551, Section 6).
type Law uint8

// The two laws.
const (
	PCMU Law = 0
	PCMA Law = 8
)

// Encode writes the G.711 octets of pcm to dst, one a sample; len(dst) must
// be at least len(pcm). It does not allocate.
func (l Law) Encode(dst []byte, pcm []int16) {
	dst = dst[:len(pcm)]
	if l == PCMA {
		for i, s := range pcm {
			dst[i] = g711.EncodeAlawFrame(s)
		}
		return
	}
	for i, s := range pcm {
		dst[i] = g711.EncodeUlawFrame(s)
	}
}

// Decode writes the linear samples of the G.711 octets in src to pcm;
// len(pcm) must be at least len(src). It does not allocate.
func (l Law) Decode(pcm []int16, src []byte) {
	pcm = pcm[:len(src)]
	if l == PCMA {
		for i, b := range src {
			pcm[i] = g711.DecodeAlawFrame(b)
		}
		return
	}
	for i, b := range src {
		pcm[i] = g711.DecodeUlawFrame(b)
	}
}
