package srtp

import (
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v2"
)

const frameSize = 160 // bytes of G.711 in 20 ms

// The packet path allocates nothing of ours: exactly what pion alone allocates
// for the same packets.
func TestAllocs(t *testing.T) {
	keys, _ := keysOf("AES3", "HS80", 32)
	profile := pion.ProtectionProfileAes256CmHmacSha1_80
	sender, err := pion.CreateContext(keys.LocalKey, keys.LocalSalt, profile)
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := pion.CreateContext(keys.LocalKey, keys.LocalSalt, profile,
		pion.SRTPReplayProtection(replayWindow), pion.SRTCPReplayProtection(replayWindow))
	if err != nil {
		t.Fatal(err)
	}
	a, b := newPair(t, "AES3", "HS80", 32)

	h, opened, control := header(0), new(rtp.Header), new(rtcp.Header)
	payload, compound := make([]byte, frameSize), report()
	plain := make([]byte, rtpHeader+frameSize)
	packet, out := make([]byte, 0, 300), make([]byte, 0, 300)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	library := testing.AllocsPerRun(200, func() {
		h.SequenceNumber++
		_, err := h.MarshalTo(plain)
		check(err)
		packet, err = sender.EncryptRTP(packet[:0], plain, opened)
		check(err)
		_, err = receiver.DecryptRTP(out[:0], packet, opened)
		check(err)
	})
	ours := testing.AllocsPerRun(200, func() {
		h.SequenceNumber++
		packet, err = a.AppendRTP(packet[:0], h, payload)
		check(err)
		_, err = b.OpenRTP(out, packet, opened)
		check(err)
	})
	if ours > library {
		t.Errorf("RTP: %v allocations out and in, pion alone %v", ours, library)
	}
	libraryControl := testing.AllocsPerRun(200, func() {
		packet, err = sender.EncryptRTCP(packet[:0], compound, control)
		check(err)
		_, err = receiver.DecryptRTCP(out[:0], packet, control)
		check(err)
	})
	oursControl := testing.AllocsPerRun(200, func() {
		packet, err = a.AppendRTCP(packet[:0], compound)
		check(err)
		_, err = b.OpenRTCP(out, packet)
		check(err)
	})
	if oursControl > libraryControl {
		t.Errorf("RTCP: %v allocations out and in, pion alone %v", oursControl, libraryControl)
	}
	// A stranger's packet costs none at all.
	packet, err = a.AppendRTP(packet[:0], h, nil)
	if err == nil {
		t.Fatal("a repeated sequence number was sent")
	}
	h.SequenceNumber++
	packet, err = a.AppendRTP(packet[:0], h, payload)
	check(err)
	packet[8]++
	if n := testing.AllocsPerRun(100, func() { _, _ = b.OpenRTP(out, packet, opened) }); n != 0 {
		t.Errorf("a foreign packet: %v allocations", n)
	}
	t.Logf("allocations out and in: RTP %v, RTCP %v, all of them pion's", library, libraryControl)
}

func BenchmarkAppendRTP(b *testing.B) {
	for _, p := range profiles {
		b.Run(p.cipher+p.auth, func(b *testing.B) {
			s, _ := newPair(b, p.cipher, p.auth, p.key)
			h, payload, packet := header(0), make([]byte, frameSize), make([]byte, 0, 300)
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				h.SequenceNumber++
				if _, err := s.AppendRTP(packet, h, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Both directions, since a packet opens only once.
func BenchmarkAppendAndOpenRTP(b *testing.B) {
	for _, p := range profiles {
		b.Run(p.cipher+p.auth, func(b *testing.B) {
			s, r := newPair(b, p.cipher, p.auth, p.key)
			h, payload, opened := header(0), make([]byte, frameSize), new(rtp.Header)
			packet, out := make([]byte, 0, 300), make([]byte, 0, 300)
			b.SetBytes(frameSize)
			b.ReportAllocs()
			for b.Loop() {
				h.SequenceNumber++
				packet, err := s.AppendRTP(packet, h, payload)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.OpenRTP(out, packet, opened); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A packet with a wrong tag: what a flood from somebody who guessed the SSRC
// costs.
func BenchmarkOpenForged(b *testing.B) {
	s, r := newPair(b, "AES3", "HS80", 32)
	packet := mustAppendRTP(b, s, 1, make([]byte, frameSize))
	packet[len(packet)-1]++
	out, h := make([]byte, 0, 300), new(rtp.Header)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.OpenRTP(out, packet, h); err != ErrAuth {
			b.Fatal(err)
		}
	}
}
