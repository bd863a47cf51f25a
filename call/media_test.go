package call

import (
	"bytes"
	"testing"
	"time"

	"securecall/audio"
	"securecall/crypto/srtp"
)

// pair is the media half of both sides of a call.
func pair(tb testing.TB) (a, b *media) {
	tb.Helper()
	key, salt := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 14)
	peer, saltPeer := bytes.Repeat([]byte{3}, 32), bytes.Repeat([]byte{4}, 14)
	open := func(k srtp.Keys) *srtp.Session {
		k.Cipher, k.Auth = "AES3", "HS80"
		s, err := srtp.New(k)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
	now := time.Now()
	a = newMedia(now, open(srtp.Keys{LocalKey: key, LocalSalt: salt, RemoteKey: peer, RemoteSalt: saltPeer, LocalSSRC: 1, RemoteSSRC: 2}), audio.PCMU, audio.FrameSamples, 1, 100, 5000)
	b = newMedia(now, open(srtp.Keys{LocalKey: peer, LocalSalt: saltPeer, RemoteKey: key, RemoteSalt: salt, LocalSSRC: 2, RemoteSSRC: 1}), audio.PCMU, audio.FrameSamples, 2, 200, 9000)
	return a, b
}

// The packet path does not allocate, but for what the SRTP library does: the
// 512 octets of each cipher.NewCTR and its like, counted in crypto/srtp.
func TestPacketPathDoesNotAllocate(t *testing.T) {
	a, b := pair(t)
	f, g := make(audio.Frame, audio.FrameSamples), make(audio.Frame, audio.FrameSamples)
	now := time.Now()
	packets := make([][]byte, 0, 2000)
	for range cap(packets) {
		p, err := a.pack(now, f)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, bytes.Clone(p))
	}
	sealed := testing.AllocsPerRun(500, func() {
		if _, err := a.pack(now, f); err != nil {
			t.Fatal(err)
		}
	})
	i := 0
	opened := testing.AllocsPerRun(1000, func() {
		b.receive(now, packets[i])
		b.play(now, g)
		now = now.Add(audio.FrameDuration)
		i++
	})
	if b.received != uint64(i) {
		t.Fatalf("%d of %d packets were good", b.received, i)
	}
	// pion/srtp alone, by the tests of crypto/srtp.
	const librarySeals, libraryOpens = 4, 5
	if sealed > librarySeals || opened > libraryOpens {
		t.Errorf("%.1f allocations a packet out, %.1f in; the SRTP library makes %d and %d", sealed, opened, librarySeals, libraryOpens)
	}
}

func BenchmarkFrameOut(b *testing.B) {
	a, _ := pair(b)
	f := make(audio.Frame, audio.FrameSamples)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.pack(now, f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFrameThrough is a frame's whole way, out and in: encode, protect,
// open, buffer, decode.
func BenchmarkFrameThrough(b *testing.B) {
	x, y := pair(b)
	f := make(audio.Frame, audio.FrameSamples)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := x.pack(now, f)
		if err != nil {
			b.Fatal(err)
		}
		y.receive(now, p)
		y.play(now, f)
		now = now.Add(audio.FrameDuration)
	}
	if y.received == 0 {
		b.Fatal("nothing was good")
	}
}
