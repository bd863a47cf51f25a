package playout

import (
	"testing"
	"time"

	"securecall/audio"
)

// Whatever comes, in whatever order: no panic, nothing without bound, and a
// clean stream afterwards is heard.
func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 160, 5, 3, 200, 9, 90})
	f.Add([]byte("a longer sequence of packets that jump about in time and number"))
	f.Add([]byte("\x01\x00\x00\x00\x50\x02\x00\x01\x00\x50\x03\x00\x00\x00\x50\x04\x01\x02\x07\x50"))
	f.Fuzz(func(t *testing.T, in []byte) {
		l := newLine(1)
		now := l.begin
		out := make(audio.Frame, audio.FrameSamples)
		last := l.b.Stats()
		for len(in) >= 5 {
			payload := make([]byte, int(in[4])*3)
			for i := range payload {
				payload[i] = in[i%len(in)]
			}
			timestamp := uint32(in[1])<<16 + uint32(in[2])*40 + uint32(in[3]&3)<<30
			law := audio.Law(in[0] & 8)
			if in[0]&4 == 0 {
				l.b.Push(now, Packet{Seq: uint16(in[0])<<8 | uint16(in[1]), Timestamp: timestamp, Law: law, Payload: payload})
			} else {
				l.b.Recover(now, timestamp, int(int32(timestamp)>>8), law, payload)
			}
			for range in[3] >> 2 & 3 {
				l.b.Pop(now, out)
			}
			// Up to a quarter of a second, now and then backwards or by hours.
			switch {
			case in[0] == 17:
				now = now.Add(3 * time.Hour)
			case in[0] == 18:
				now = now.Add(-time.Second)
			default:
				now = now.Add(time.Duration(in[3]) * time.Millisecond)
			}
			in = in[5:]
			s := l.b.Stats()
			if s.Delay < 0 || s.Target < 0 || s.Delay > 3*time.Second || s.Concealed < last.Concealed || s.Lost < last.Lost {
				t.Fatalf("%+v after %+v", s, last)
			}
			last = s
		}
		// A stream that starts a while later, so that its numbers are new.
		l.seq, l.ts = 7, uint32(now.UnixMilli())
		const settling, listening = 300, 50
		for i := range settling + listening {
			p := l.say()
			l.b.Push(now, p)
			now = now.Add(frame / 2)
			l.b.Pop(now, out)
			now = now.Add(frame / 2)
			if i >= settling {
				l.heard = append(l.heard, out[:]...)
			}
		}
		// Some of it may be heard stretched or shrunk.
		found := 0
		for at := (settling - 25) * audio.FrameSamples; at < (settling+20)*audio.FrameSamples; at += 200 {
			if index(l.heard, l.said[at:at+200]) >= 0 {
				found++
			}
		}
		if found < 5 {
			t.Fatalf("a clean stream is not heard, %d pieces of it: %+v", found, l.b.Stats())
		}
		if s := l.b.Stats(); s.Delay > ms(600) {
			t.Fatalf("%+v", s)
		}
	})
}
