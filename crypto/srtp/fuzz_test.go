package srtp

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
)

// The fuzzer has no key, so that raw packets rarely pass the tag. Each input
// is therefore tried twice: as it came, and as what a peer that has the keys
// but is not to be trusted otherwise would have protected.

func FuzzOpenRTP(f *testing.F) {
	keys, _ := keysOf("AES1", "HS32", 16)
	ref := newReference(keys.LocalKey, keys.LocalSalt, 4)
	a, _ := newPair(f, "AES1", "HS32", 16)
	f.Add(mustAppendRTP(f, a, 1, []byte("speech")))
	f.Add(unhex("b00000010000000acafebabebede0001100f0000"))             // padding and an extension
	f.Add(unhex("9f0000010000000acafebabe"))                             // 15 CSRCs that are not there
	f.Add(unhex("900000010000000acafebabe1000ffff"))                     // an extension longer than the packet
	f.Add(unhex("910000010000000acafebabe0000000110000001aa09112203"))   // two-byte elements
	f.Add(unhex("a00000010000000acafebabe00000000000000000000000000ff")) // padding longer than the packet
	_, b := newPair(f, "AES1", "HS32", 16)
	f.Fuzz(func(t *testing.T, packet []byte) {
		var h rtp.Header
		before := bytes.Clone(packet)
		dst := make([]byte, 0, 2048)
		check := func(packet []byte, s *Session) ([]byte, error) {
			payload, err := s.OpenRTP(dst, packet, &h)
			if err == nil && (h.SSRC != ssrcA || h.Version != 2 || len(payload) > len(packet)-rtpHeader) {
				t.Fatalf("%x accepted as %+v with %d bytes", packet, h, len(payload))
			}
			if err != nil && payload != nil {
				t.Fatalf("%v, and yet a payload", err)
			}
			return payload, err
		}
		_, _ = check(packet, b)
		if !bytes.Equal(before, packet) {
			t.Fatal("the packet was changed")
		}
		if len(packet) < rtpHeader {
			return
		}
		n, err := h.Unmarshal(packet)
		if err != nil {
			return
		}
		_, fresh := newPair(t, "AES1", "HS32", 16)
		payload, err := check(ref.rtp(packet[:n], packet[n:], 0), fresh)
		if err == nil && !bytes.HasPrefix(packet[n:], payload) {
			t.Fatalf("%x opened as %x", packet[n:], payload)
		}
		if err == nil && len(payload)+int(h.PaddingSize) != len(packet)-n {
			t.Fatalf("%d of %d bytes and %d of padding", len(payload), len(packet)-n, h.PaddingSize)
		}
	})
}

func FuzzOpenRTCP(f *testing.F) {
	keys, _ := keysOf("AES3", "HS80", 32)
	ref := newReference(keys.LocalKey, keys.LocalSalt, 10)
	a, _ := newPair(f, "AES3", "HS80", 32)
	f.Add(mustAppendRTCP(f, a))
	f.Add(report())
	f.Add(report()[:8])
	f.Add(unhex("80c8ffffcafebabe8000000000000000000000000000"))
	_, b := newPair(f, "AES3", "HS80", 32)
	f.Fuzz(func(t *testing.T, packet []byte) {
		before := bytes.Clone(packet)
		dst := append(make([]byte, 0, 2048), "kept"...)
		got, err := b.OpenRTCP(dst, packet)
		if err != nil && string(got) != "kept" || !bytes.HasPrefix(got, []byte("kept")) {
			t.Fatalf("%v: dst became %x", err, got)
		}
		if !bytes.Equal(before, packet) {
			t.Fatal("the packet was changed")
		}
		if len(packet) < rtcpHeader {
			return
		}
		_, fresh := newPair(t, "AES3", "HS80", 32)
		got, err = fresh.OpenRTCP(dst, ref.rtcp(packet, 1, true))
		if err == nil && !bytes.Equal(got[4:], packet) {
			t.Fatalf("%x opened as %x", packet, got[4:])
		}
	})
}
