package call

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"securecall/audio"
	"securecall/audio/dtmf"
	"securecall/audio/red"
	"securecall/nat/memnet"
)

// packets are those of one side of a pair, with speech in them.
func packets(t *testing.T, m *media, n int) (sealed [][]byte, headers []rtp.Header) {
	t.Helper()
	loud := make(audio.Frame, m.frame)
	for i := range loud {
		loud[i] = int16(i*997 + 1)
	}
	for range n {
		p, err := m.pack(m.begun, loud)
		if err != nil {
			t.Fatal(err)
		}
		var h rtp.Header
		if _, err := h.Unmarshal(p); err != nil {
			t.Fatal(err)
		}
		sealed, headers = append(sealed, bytes.Clone(p)), append(headers, h)
	}
	return sealed, headers
}

func press(t *testing.T, m *media, keys string) {
	t.Helper()
	if !m.keys.Push(keys) {
		t.Fatalf("%q is refused", keys)
	}
}

// To another program: RFC 4733, Section 2.2: all packets of an event have the timestamp
// of its beginning, and the first has the marker; Section 2.5.1.4: "the final packet for each
// event ... SHOULD be sent a total of three times". And, from the issue: each packet has the size of one with
// sound, and the pace.
func TestKeysToAnotherProgram(t *testing.T) {
	a, b := pair(t)
	press(t, a, "1*#D")
	sealed, headers := packets(t, a, 60)
	at, events, begun := headers[0].Timestamp, 0, uint32(0)
	for i, h := range headers {
		if len(sealed[i]) != 12+audio.FrameSamples+10 {
			t.Errorf("packet %d has %d octets", i, len(sealed[i]))
		}
		if h.SequenceNumber != headers[0].SequenceNumber+uint16(i) {
			t.Errorf("packet %d is number %d", i, h.SequenceNumber)
		}
		nominal := at + uint32(i*audio.FrameSamples)
		if h.PayloadType == dtmf.PayloadType {
			if h.Marker {
				events, begun = events+1, nominal
			}
			if h.Timestamp != begun || !h.Padding {
				t.Errorf("packet %d of an event: %+v", i, h)
			}
		} else if h.Timestamp != nominal || h.Padding || h.Marker {
			t.Errorf("packet %d of sound: %+v", i, h)
		}
		b.receive(b.begun.Add(time.Duration(i)*audio.FrameDuration), sealed[i])
	}
	if keys := b.keysPressed(); keys != "1*#D" || events != 4 {
		t.Errorf("%q is heard in %d events", keys, events)
	}
	if s := b.buffer.Stats(); b.received != 60 || s.Received != 60 || s.Refused > 0 || b.reception.lost() > 0 {
		t.Errorf("%d packets, %+v", b.received, s)
	}
	if octets := a.octets.Load(); octets != 60*160-4*7*156 {
		t.Errorf("%d octets are reported; padding is none (RFC 3550, Section 6.4.1)", octets)
	}
}

// Between two securecalls the header and the size of a packet with a key are those of any
// other, however many copies there are.
func TestKeysAreHidden(t *testing.T) {
	for _, frame := range []int{audio.FrameSamples, audio.FrameSamples / 2} {
		for copies := range uint8(maxCopies + 1) {
			a, b := pair(t)
			a = newMedia(a.begun, a.srtp, audio.PCMA, frame, 1, 100, 5000)
			a.scheme.Store(scheme{copies, redPayload}.pack())
			b.redundant.Store(true)
			press(t, a, "42")
			sealed, headers := packets(t, a, 60)
			for i, h := range headers {
				want := headers[0]
				want.Marker = i == 0
				want.SequenceNumber += uint16(i)
				want.Timestamp += uint32(i * frame)
				if h.PayloadType != redPayload || h.Padding || h.Marker != want.Marker ||
					h.SequenceNumber != want.SequenceNumber || h.Timestamp != want.Timestamp || len(sealed[i]) != len(sealed[0]) {
					t.Errorf("frames of %d, %d copies: packet %d shows itself: %+v, %d octets", frame, copies, i, h, len(sealed[i]))
				}
				b.receive(b.begun, sealed[i])
			}
			if keys := b.keysPressed(); keys != "42" {
				t.Errorf("frames of %d, %d copies: %q is heard", frame, copies, keys)
			}
			if b.received != 60 || b.length != frame {
				t.Errorf("frames of %d, %d copies: %d packets of %d samples", frame, copies, b.received, b.length)
			}
		}
	}
}

// The sound beside a key is what was said, but for the millisecond that the event takes of
// the oldest of it.
func TestSoundBesideAKey(t *testing.T) {
	for copies := range maxCopies + 1 {
		h := newHistory(audio.PCMU, audio.FrameSamples)
		var sent [][]byte
		for n := range maxCopies + 1 {
			sound := h.next()
			for i := range sound {
				sound[i] = byte(n*50 + i)
			}
			sent = append(sent, bytes.Clone(sound))
		}
		e := dtmf.Event{Code: 7, Duration: 480}
		_, payload := h.payloadWith(audio.PCMU, scheme{uint8(copies), redPayload}, dtmf.Piece{Event: e, Since: 320})
		var blocks [red.MaxBlocks]red.Block
		earlier, _, own, err := red.Parse(payload, &blocks)
		if err != nil || len(earlier) != copies+1 || earlier[0].Type != dtmf.PayloadType || earlier[0].Offset != 320 ||
			!bytes.Equal(earlier[0].Payload, e.Append(nil)) {
			t.Fatalf("%d copies: %v, %+v", copies, err, earlier)
		}
		lacks := keyBlock
		for i, b := range earlier[1:] {
			back := copies - i
			if int(b.Offset) != back*audio.FrameSamples-lacks || !bytes.Equal(b.Payload, sent[maxCopies-back][lacks:]) {
				t.Errorf("%d copies: that of %d packets before is not as it was", copies, back)
			}
			lacks = 0
		}
		if !bytes.Equal(own, sent[maxCopies][:audio.FrameSamples-lacks]) {
			t.Errorf("%d copies: its own sound is not as it was", copies)
		}
	}
}

// Each key is heard once, whatever is lost, late or doubled on the way, as long as
// something of it comes.
func TestKeysOnceUnderLossAndReordering(t *testing.T) {
	const keys = "1234567890*#ABCD1122"
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		a, b := pair(t)
		if seed%2 == 1 {
			a.scheme.Store(scheme{uint8(seed / 2 % (maxCopies + 1)), redPayload}.pack())
			b.redundant.Store(true)
		}
		press(t, a, keys)
		sealed, _ := packets(t, a, 180)
		heard, now := "", b.begun
		var held [][]byte
		deliver := func(p []byte) {
			b.receive(now, p)
			heard += b.keysPressed()
		}
		for i, p := range sealed {
			now = now.Add(audio.FrameDuration)
			// Of seven packets of a key one at least comes in time.
			if i%3 > 0 && r.Float64() < 0.5 {
				if r.Float64() < 0.5 {
					held = append(held, p, p)
				}
				continue
			}
			deliver(p)
			for len(held) > 0 && r.Float64() < 0.5 {
				deliver(held[0])
				held = held[1:]
			}
		}
		if heard != keys {
			t.Errorf("seed %d: %q is heard", seed, heard)
		}
	}
}

// A closed microphone closes no key.
func TestKeysWhileMuted(t *testing.T) {
	a, b := pair(t)
	var e ear
	b.tap = e.take
	a.muted.Store(true)
	press(t, a, "0")
	sealed, _ := packets(t, a, 20)
	for _, p := range sealed {
		b.receive(b.begun, p)
	}
	if keys := b.keysPressed(); keys != "0" {
		t.Errorf("%q is heard", keys)
	}
	for _, x := range e.came {
		if x != through(audio.PCMU, []int16{0})[0] {
			t.Fatal("a closed microphone is heard beside a key")
		}
	}
}

// While the keys of the call are in doubt nothing is pressed, nor later; and where the
// peer will take them hidden, they wait for that.
func TestKeysWait(t *testing.T) {
	a, b := pair(t)
	a.guarded.Store(true)
	press(t, a, "4711")
	sealed, _ := packets(t, a, 20)
	a.guarded.Store(false)
	more, _ := packets(t, a, 20)
	for _, p := range append(sealed, more...) {
		b.receive(b.begun, p)
	}
	if keys := b.keysPressed(); keys != "" {
		t.Errorf("%q went to who knows whom", keys)
	}
	a.keys.cover(a.begun.Add(time.Second))
	press(t, a, "5")
	_, headers := packets(t, a, 20)
	a.scheme.Store(scheme{0, redPayload}.pack())
	b.redundant.Store(true)
	sealed, hidden := packets(t, a, 20)
	for i, h := range append(headers, hidden...) {
		if h.PayloadType == dtmf.PayloadType {
			t.Errorf("packet %d shows a key", i)
		}
	}
	for _, p := range sealed {
		b.receive(b.begun, p)
	}
	if keys := b.keysPressed(); keys != "5" {
		t.Errorf("%q is heard", keys)
	}
}

// A key costs no allocation, on either side.
func TestKeysDoNotAllocate(t *testing.T) {
	for _, s := range []scheme{{}, {2, redPayload}} {
		a, b := pair(t)
		a.scheme.Store(s.pack())
		b.redundant.Store(true)
		press(t, a, strings.Repeat("5", dtmf.Most))
		sealed, _ := packets(t, a, 100)
		loud := make(audio.Frame, audio.FrameSamples)
		const librarySeals, libraryOpens = 4, 5 // as in TestPacketPathDoesNotAllocate
		if n := testing.AllocsPerRun(100, func() { _, _ = a.pack(a.begun, loud) }); n > librarySeals {
			t.Errorf("%+v: %.1f allocations a packet out", s, n)
		}
		i := 0
		if n := testing.AllocsPerRun(99, func() { b.receive(b.begun, sealed[i]); i++ }); n > libraryOpens {
			t.Errorf("%+v: %.1f allocations a packet in", s, n)
		}
		if b.keysPressed() == "" {
			t.Error("no key was pressed")
		}
	}
}

// More keys than anybody presses are dropped and counted, and no more is kept.
func TestFloodOfKeys(t *testing.T) {
	h := newHostile(t)
	h.talk(5)
	for i := range 1000 {
		h.next(dtmf.Event{Code: uint8(i % 16), Duration: 160}.Append(nil), func(x *rtp.Header) { x.PayloadType = dtmf.PayloadType })
	}
	if n := len(h.m.keysPressed()); n == 0 || n > dtmf.Most {
		t.Errorf("%d keys are kept", n)
	}
	h.counted(1000)
	dropped := map[string]uint64{}
	if h.m.drops.into(dropped); dropped["flood"] < 900 {
		t.Errorf("%v", dropped)
	}
}

// In a whole call: what is pressed is told key by key, hidden between two securecalls,
// and as others expect it to another program; no sound is concealed for it.
func TestKeysInACall(t *testing.T) {
	for _, plain := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.conditions(memnet.Conditions{Delay: 20 * time.Millisecond})
			if plain {
				w.bob.conf.Client = "another phone"
			}
			var seen watch
			w.net.SetTap(seen.tap)
			w.run()
			await[Answered](t, &w.alice)
			if err := w.alice.e.Press(0, "12#"); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
			w.alice.e.Do(0, Mute)
			if err := w.alice.e.Press(1, "A"); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
			if err := w.bob.e.Press(0, "9"); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second)
			told := func(s *side) (keys string) {
				for _, e := range all[DTMF](s) {
					keys += e.Digits
					if len(e.Digits) != 1 {
						t.Errorf("%q in one event", e.Digits)
					}
				}
				return keys
			}
			if a, b := told(&w.alice), told(&w.bob); a != "9" || b != "12#A" {
				t.Errorf("Alice hears %q, Bob hears %q", a, b)
			}
			w.stop()
			checkMedia(t, "Alice", seen.kinds[w.alice.addr])
			shown := 0
			for _, p := range seen.kinds[w.alice.addr] {
				if p.kind == kindRTP && p.b[1]&0x7f == dtmf.PayloadType {
					shown++
				}
			}
			if want := map[bool]int{false: 0, true: 4 * 7}[plain]; shown != want {
				t.Errorf("plain peer: %v; %d packets show a key", plain, shown)
			}
			if b, _ := find[Ended](&w.bob); b.Stats.Playout.Lost > 0 || b.Stats.Loss > 0 || b.Stats.Concealed > 50*time.Millisecond {
				t.Errorf("plain peer: %v; %+v", plain, b.Stats)
			}
		})
	}
}

func TestKeysThatCannotBePressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.bob.conf.AcceptAll = false
		w.run()
		await[Ringing](t, &w.alice)
		try := func(keys string, want error) {
			t.Helper()
			if err := w.alice.e.Press(0, keys); !errors.Is(err, want) {
				t.Errorf("%q: %v", keys, err)
			}
		}
		try("1", ErrNoCall)
		try("1a", ErrNoKey)
		try("1 2", ErrNoKey)
		try(strings.Repeat("1", dtmf.Most+1), ErrTooLong)
		w.bob.e.Do(0, Answer)
		await[Answered](t, &w.alice)
		try(strings.Repeat("1", dtmf.Most), nil)
		try("2", ErrBehind)
		try("", nil)
		time.Sleep(8 * time.Second)
		try("2", nil)
		w.bob.e.Do(0, Hangup)
		w.alice.result(t)
		try("1", ErrNoCall)
		w.stop()
	})
}

// RFC 4733, Section 2.5.1.2: updates of an event may be further apart than packets of sound.
func TestPlaceOfAKey(t *testing.T) {
	m := &media{length: 160, sounded: sounded{true, 10, 1000}}
	for _, c := range []struct {
		what             string
		number           uint16
		timestamp        uint32
		duration, wanted int
	}{
		{"an update every 20 ms", 11, 1160, 160, 1160},
		{"the second", 12, 1160, 320, 1320},
		{"the end, again", 14, 1160, 320, 1640},
		{"updates every 50 ms", 11, 1160, 400, 1400},
		{"after a pause of 5 s", 11, 41160, 160, 41160},
	} {
		m.in.SequenceNumber, m.in.Timestamp = c.number, c.timestamp
		if got := m.place(dtmf.Event{Duration: uint16(c.duration)}); got != uint32(c.wanted) {
			t.Errorf("%s: at %d, want %d", c.what, got, c.wanted)
		}
	}
}
