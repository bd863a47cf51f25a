package zrtp

import (
	"testing"
	"time"

	"securecall/crypto/zrtp/wire"
)

// A whole handshake, both ends, without a network.
func BenchmarkHandshake(b *testing.B) {
	for _, ka := range ranking {
		b.Run(ka.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x, y := dialAndListen(1)
				x.Algorithms.KeyAgreements = []wire.Name{ka}
				y.Algorithms.KeyAgreements = []wire.Name{ka}
				handshake(b, x, y)
			}
		})
	}
}

func handshake(tb testing.TB, x, y Config) {
	now := time.Unix(0, 0)
	ends := []*Session{mustNew(tb, x), mustNew(tb, y)}
	for _, s := range ends {
		s.Start(now)
	}
	for progress := true; progress; {
		progress = false
		for i, s := range ends {
			for p, ok := s.NextPacket(); ok; p, ok = s.NextPacket() {
				progress = true
				ends[1-i].Receive(now, p)
			}
		}
	}
	for _, s := range ends {
		if s.state != secure {
			tb.Fatalf("state %d", s.state)
		}
	}
}

// What a flood of Hellos costs a listener: a session each.
func BenchmarkStranger(b *testing.B) {
	_, theirs := peerHello(func(*wire.Hello) {})
	c := config("listener", 1)
	b.ReportAllocs()
	for b.Loop() {
		s := mustNew(b, c)
		s.Start(time.Time{})
		if err := s.Receive(time.Time{}, theirs); err != nil {
			b.Fatal(err)
		}
	}
}
