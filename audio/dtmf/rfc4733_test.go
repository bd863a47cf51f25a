package dtmf

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio"
)

// RFC 4733, Section 2.3: event, E, R, volume, duration.
func TestLayout(t *testing.T) {
	e := Event{Code: 11, End: true, Volume: 10, Duration: 800}
	if b := e.Append(nil); !bytes.Equal(b, []byte{11, 0x8a, 0x03, 0x20}) {
		t.Errorf("% x", b)
	}
	// Section 2.3.3: the sender MUST set the reserved bit to zero, and the receiver MUST
	// ignore it.
	if got, err := Parse([]byte{11, 0xca, 0x03, 0x20}); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range Size {
		if _, err := Parse(make([]byte, n)); err == nil {
			t.Errorf("%d octets are taken", n)
		}
	}
}

// RFC 4733, Section 3.2: 0 to 9 are the digits, 10 is *, 11 is #, 12 to 15
// are A to D.
func TestEventCodes(t *testing.T) {
	for key, code := range map[byte]uint8{'0': 0, '9': 9, '*': 10, '#': 11, 'A': 12, 'D': 15} {
		if got, ok := (Event{Code: code}).Key(); !ok || got != key {
			t.Errorf("event %d is %c", code, got)
		}
	}
	if key, ok := (Event{Code: 16}).Key(); ok {
		t.Errorf("event 16 is %c", key)
	}
	for keys, good := range map[string]bool{Keys: true, "": true, "a": false, "1 2": false, "12é": false, "E": false} {
		if Valid(keys) != good {
			t.Errorf("%q: %v", keys, !good)
		}
	}
}

// A sent is a packet of a stream: its timestamp, and what it carries.
type sent struct {
	timestamp uint32
	piece     Piece
	on        bool
}

// stream is what packets carry until all keys are up.
func stream(t *testing.T, frame int, keys string) (packets []sent) {
	t.Helper()
	s := NewSender(frame)
	if !s.Push(keys) {
		t.Fatalf("%q is refused", keys)
	}
	for at := uint32(math.MaxUint32 - 500); !s.Idle(); at += uint32(frame) { // past a wrap
		p, on := s.Next(at)
		packets = append(packets, sent{at, p, on})
	}
	return packets
}

// RFC 4733, Section 2.5.1: all packets of an event have the timestamp of its beginning,
// the duration grows with each, and "the final packet for each event and for each
// segment SHOULD be sent a total of three times" (2.5.1.4), with the E bit and the
// duration of the first of the three.
func TestEventsOfPackets(t *testing.T) {
	for _, frame := range []int{audio.FrameSamples, audio.FrameSamples / 2} {
		var begins []uint32
		growing, ends := 0, 0
		for _, p := range stream(t, frame, "1#A") {
			if !p.on {
				continue
			}
			begun := p.timestamp - p.piece.Since
			if p.piece.First {
				if p.piece.Since != 0 {
					t.Errorf("an event begins %d samples before its first packet", p.piece.Since)
				}
				begins = append(begins, begun)
				growing, ends = 0, 0
			}
			if begun != begins[len(begins)-1] {
				t.Error("the timestamp changes within an event")
			}
			if growing = min(growing+frame, down); int(p.piece.Duration) != growing {
				t.Errorf("duration %d, want %d", p.piece.Duration, growing)
			}
			if p.piece.End != (growing == down) {
				t.Errorf("E is %v at %d samples", p.piece.End, growing)
			}
			if p.piece.End {
				ends++
			}
			if ends > 3 || p.piece.Code != []uint8{1, 11, 12}[len(begins)-1] {
				t.Errorf("%d ends of %+v", ends, p.piece)
			}
		}
		if ends != 3 || len(begins) != 3 || begins[1]-begins[0] != uint32(down+up) || begins[2]-begins[1] != uint32(down+up) {
			t.Errorf("frames of %d: %d ends, events begin at %d", frame, ends, begins)
		}
	}
}

// No more than Most keys wait, and what does not fit is refused as a whole.
func TestKeysAreBounded(t *testing.T) {
	s := NewSender(audio.FrameSamples)
	if !s.Push(Keys) || !s.Push("123456789012345") || s.Push("12") || !s.Push("1") || s.Push("1") {
		t.Error("not 32")
	}
	if s.Clear(); !s.Idle() || s.Push("x") || !s.Push("2") {
		t.Error("not empty")
	}
}

// heard is what a receiver tells of packets.
func heard(packets []sent) string {
	var r Receiver
	var keys []byte
	for _, p := range packets {
		if key, fresh := r.Hear(p.timestamp-p.piece.Since, p.piece.Event); p.on && fresh {
			keys = append(keys, key)
		}
	}
	return string(keys)
}

// Each key is told once, whichever of its packets is lost, its ends too, and whichever
// comes twice or late; one of which nothing comes cannot be told. In order, unless all
// that comes of a key comes after what comes of the next.
func TestOnceUnderLossAndReordering(t *testing.T) {
	for seed := range uint64(300) {
		for _, late := range []bool{false, true} {
			r := rand.New(rand.NewPCG(seed, 4733))
			var packets []sent
			var want []byte
			var last uint32
			for _, p := range stream(t, audio.FrameSamples, "11122#*D00") {
				if !p.on || r.Float64() < 0.4 {
					continue
				}
				packets = append(packets, p)
				if r.Float64() < 0.2 {
					packets = append(packets, p)
				}
				if begun := p.timestamp - p.piece.Since; len(want) == 0 || begun != last {
					want, last = append(want, Keys[p.piece.Code]), begun
				}
			}
			for i := 1; late && i < len(packets); i++ {
				if j := max(0, i-r.IntN(3)); r.Float64() < 0.3 {
					packets[i], packets[j] = packets[j], packets[i]
				}
			}
			got := []byte(heard(packets))
			if late {
				slices.Sort(got)
				slices.Sort(want)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("seed %d: %q where %q came", seed, got, want)
			}
		}
	}
}

// All ends are lost, and the same key comes again.
func TestLostEnds(t *testing.T) {
	var packets []sent
	for _, p := range stream(t, audio.FrameSamples, "555") {
		if !p.piece.End {
			packets = append(packets, p)
		}
	}
	if got := heard(packets); got != "555" {
		t.Errorf("heard %q", got)
	}
}

// RFC 4733, Section 2.5.1.3: an event that lasts longer than its duration can say goes
// on in segments, each of which begins where the one before ended. It is one key.
func TestLongEventIsOneKey(t *testing.T) {
	var r Receiver
	at := uint32(math.MaxUint32 - 1000)
	if key, fresh := r.Hear(at, Event{Code: 5, Duration: 160}); !fresh || key != '5' {
		t.Fatal("not heard")
	}
	for range 3 {
		at += math.MaxUint16
		if _, fresh := r.Hear(at, Event{Code: 5, Duration: 160}); fresh {
			t.Error("a segment is told as a key")
		}
	}
	r.Hear(at, Event{Code: 5, Duration: 320, End: true})
	if _, fresh := r.Hear(at+math.MaxUint16, Event{Code: 5, Duration: 160}); !fresh {
		t.Error("the next key, eight seconds later, is not told")
	}
}

// RFC 4733, Section 2.3.5: an event of no duration, which is no state, is ignored; so
// are events that are no keys.
func TestIgnored(t *testing.T) {
	var r Receiver
	if _, fresh := r.Hear(1000, Event{Code: 1}); fresh {
		t.Error("a key without duration is told")
	}
	if _, fresh := r.Hear(2000, Event{Code: 36, Duration: 160}); fresh {
		t.Error("a fax tone is a key")
	}
	if key, fresh := r.Hear(1000, Event{Code: 1, Duration: 160}); !fresh || key != '1' {
		t.Error("the key with its duration is not told")
	}
}

// A stream whose timestamps begin anew is heard on.
func TestTimestampsBegunAnew(t *testing.T) {
	var r Receiver
	r.Hear(1<<30, Event{Code: 1, Duration: 160})
	if _, fresh := r.Hear(1<<30-audio.SampleRate, Event{Code: 2, Duration: 160}); fresh {
		t.Error("a key of a second ago is told")
	}
	for _, at := range []uint32{77, 77 + 1280} {
		if _, fresh := r.Hear(at, Event{Code: 3, Duration: 160}); !fresh {
			t.Errorf("at %d: not told", at)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte{1, 0, 0, 160, 1, 0x80, 3, 0x20}, uint32(160))
	f.Add([]byte{16, 0xff, 0, 0, 15, 0x3f, 0xff, 0xff}, uint32(math.MaxUint16))
	f.Fuzz(func(t *testing.T, b []byte, step uint32) {
		var r Receiver
		var at uint32
		for ; len(b) >= Size; b = b[Size:] {
			e, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(e.Append(nil))
			if err != nil || again != e {
				t.Fatalf("%+v became %+v, %v", e, again, err)
			}
			key, fresh := r.Hear(at, e)
			if fresh && !Valid(string(key)) {
				t.Fatalf("%q is told", key)
			}
			if _, twice := r.Hear(at, e); twice {
				t.Fatalf("%+v is told twice", e)
			}
			at += step
		}
		if _, err := Parse(b); err == nil {
			t.Fatalf("%d octets are taken", len(b))
		}
	})
}
