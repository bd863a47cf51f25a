package call

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v2"

	"securecall/audio"
	"securecall/audio/dtmf"
	"securecall/audio/red"
	"securecall/audio/speech"
)

// A hostile peer has the keys and says what it likes: whatever header and payload a
// test makes up is sealed as its next packet.
type hostile struct {
	tb    testing.TB
	m     *media // who hears it
	seal  *pion.Context
	now   time.Time
	seq   uint16
	ts    uint32
	rand  *rand.Rand
	sent  uint64 // packets that were good SRTP
	said  []int16
	heard []int16
	keep  *[][]byte // instead of sending
}

func newHostile(tb testing.TB) *hostile {
	_, m := pair(tb)
	m.redundant.Store(true)
	h := &hostile{tb: tb, m: m, now: m.begun, seq: 100, ts: 5000, rand: rand.New(rand.NewPCG(1, 1))}
	var err error
	// The keys of pair's first side.
	h.seal, err = pion.CreateContext(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 14), pion.ProtectionProfileAes256CmHmacSha1_80)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// header is that of the next good packet.
func (h *hostile) header() rtp.Header {
	return rtp.Header{Version: 2, PayloadType: uint8(audio.PCMU), SequenceNumber: h.seq, Timestamp: h.ts, SSRC: 1}
}

// packet seals plain, which is a header and what follows it.
func (h *hostile) packet(plain []byte) []byte {
	var header rtp.Header
	if _, err := header.Unmarshal(plain); err != nil {
		return nil
	}
	b, err := h.seal.EncryptRTP(nil, plain, nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	return b
}

// send seals it and has it received.
func (h *hostile) send(header rtp.Header, payload []byte) {
	plain, err := header.Marshal()
	if err != nil {
		h.tb.Fatal(err)
	}
	b := h.packet(append(plain, payload...))
	if h.keep != nil {
		*h.keep = append(*h.keep, b)
		return
	}
	h.sent++
	h.m.receive(h.now, b)
}

// listen plays what is due in the next 10 ms, of which each second has a frame.
func (h *hostile) listen() {
	h.now = h.now.Add(audio.FrameDuration / 2)
	if h.now.Sub(h.m.begun)%audio.FrameDuration == 0 {
		f := make(audio.Frame, audio.FrameSamples)
		h.m.play(h.now, f)
		h.heard = append(h.heard, f...)
	}
}

var sermon = speech.Samples()

// talk is good speech for so many frames, each 10 ms before it is asked for.
func (h *hostile) talk(frames int) {
	for range frames {
		h.said = append(h.said, make([]int16, audio.FrameSamples)...)
		pcm := h.said[len(h.said)-audio.FrameSamples:]
		for i := range pcm {
			pcm[i] = sermon[(len(h.said)-audio.FrameSamples+i)%len(sermon)]
		}
		payload := make([]byte, len(pcm))
		audio.PCMU.Encode(payload, pcm)
		audio.PCMU.Decode(pcm, payload)
		h.send(h.header(), payload)
		h.seq++
		h.ts += audio.FrameSamples
		h.listen()
		h.listen()
	}
}

// understood is the share of the pieces of the last second said that were heard
// sample for sample; others may have been stretched.
func (h *hostile) understood() float64 {
	const piece, last = 200, audio.SampleRate
	found, all := 0, 0
	heard := h.heard[max(0, len(h.heard)-2*last):]
	for said := h.said[len(h.said)-last-2000 : len(h.said)-2000]; len(said) >= piece; said = said[piece:] {
		all++
		if contains(heard, said[:piece]) {
			found++
		}
	}
	return float64(found) / float64(all)
}

// bad is one kind of bad input: what is sent in the i'th of its ticks.
type bad struct {
	name   string
	rate   int // packets in 10 ms
	send   func(h *hostile, i int)
	soon   time.Duration // after it, good speech is heard
	allocs float64       // of a packet, beside the five of the SRTP library
}

// next sends payload as the next packet.
func (h *hostile) next(payload []byte, change ...func(*rtp.Header)) {
	header := h.header()
	for _, c := range change {
		c(&header)
	}
	h.send(header, payload)
	h.seq++
	h.ts += audio.FrameSamples / 2
}

var octets160 = bytes.Repeat([]byte{0x55, 0x2a}, 80)

// packed is a RED payload whose headers say what they like.
func packed(lengths []int, payloadType uint8, rest int) (b []byte) {
	for i, n := range lengths {
		b = binary.BigEndian.AppendUint32(b, 0x80<<24|uint32(160*(len(lengths)-i))<<10|uint32(n))
	}
	return append(append(b, payloadType), make([]byte, rest)...)
}

func inRED(header *rtp.Header) { header.PayloadType = redPayload }

// Issue: "RTP with wrong payload type, length, padding, extensions, CSRCs, marker
// storms; timestamps that jump by hours; packets of the future; 1 byte of payload; 100
// times the packet rate; RED blocks that lie about their length; silence; full-scale
// square waves."
var bads = []bad{
	{name: "payload types", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) { x.PayloadType = uint8(1 + i%7) }) // 1 to 7
	}},
	{name: "payload types of others", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) { x.PayloadType = uint8(9 + i%112) }) // 9 to 120
	}},
	{name: "lengths", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		h.next(make([]byte, []int{0, 1, 2, 3, 79, 159, 161, 479, 480, 481, 1000, 1400, 1900}[i%13]))
	}},
	{name: "padding", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		payload := append(bytes.Clone(octets160), make([]byte, i%80)...)
		payload[len(payload)-1] = byte(i * 7)
		h.next(payload, func(x *rtp.Header) { x.Padding = true })
	}},
	{name: "extensions", rate: 1, soon: 500 * time.Millisecond, allocs: 24, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) {
			x.Extension, x.ExtensionProfile = true, []uint16{0xbede, 0x1000, 0x1234}[i%3]
			for id := range uint8(1 + i%10) {
				if i%3 == 2 {
					id = 0
				} else {
					id++
				}
				_ = x.SetExtension(id, make([]byte, 4*(1+i%4)))
			}
		})
	}},
	{name: "CSRCs", rate: 1, soon: 500 * time.Millisecond, allocs: 1, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) { x.CSRC = make([]uint32, i%16) })
	}},
	{name: "markers", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, _ int) {
		h.next(octets160, func(x *rtp.Header) { x.Marker = true })
	}},
	{name: "hours", rate: 1, soon: time.Second, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) { x.Timestamp += uint32(i%5) * 3600 * audio.SampleRate })
	}},
	{name: "hours for good", rate: 1, soon: time.Second, send: func(h *hostile, i int) {
		if i%40 == 0 {
			h.ts += []uint32{1 << 31, 5 * 3600 * audio.SampleRate, 1<<32 - 3600*audio.SampleRate}[i/40%3]
		}
		h.next(octets160)
	}},
	{name: "the future", rate: 1, soon: time.Second, send: func(h *hostile, i int) {
		h.next(octets160, func(x *rtp.Header) { x.Timestamp += uint32(400+i%40*100) * audio.SampleRate / 1000 })
	}},
	{name: "numbers of the future", rate: 1, soon: time.Second, send: func(h *hostile, i int) {
		h.next(octets160)
		h.seq += []uint16{0, 1, 50, 1000, 1001, 20_000, 1<<15 - 2}[i%7]
	}},
	{name: "one octet", rate: 100, soon: time.Second, send: func(h *hostile, _ int) {
		h.next([]byte{0x12})
		h.ts -= audio.FrameSamples/2 - 1
	}},
	{name: "a hundred times the rate", rate: 50, soon: time.Second, send: func(h *hostile, _ int) {
		h.next(octets160)
		h.ts += audio.FrameSamples / 2
	}},
	{name: "a hundred times the rate, at once", rate: 50, soon: time.Second, send: func(h *hostile, i int) {
		h.next(octets160)
		h.ts -= audio.FrameSamples / 2
		if i%50 == 49 {
			h.ts += audio.FrameSamples / 2
		}
	}},
	{name: "RED that lies", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		h.next([][]byte{
			packed([]int{1023}, 0, 320),
			packed([]int{160, 161}, 0, 320),
			packed([]int{160, 0, 0, 160}, 0, 160),
			packed(make([]int, 9), 0, 160),
			packed(nil, 0, 0),
			{0x80},
			{0x80, 0, 0},
			nil,
			bytes.Repeat([]byte{0x80}, 1400),
			packed([]int{160}, redPayload, 320),
			packed([]int{480, 480}, 0, 1100),
		}[i%11], inRED)
	}},
	{name: "copies that were not said", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		var blocks []red.Block
		for n := range uint32(red.MaxBlocks) {
			blocks = append(blocks, red.Block{Type: uint8(n % 2 * 8), Offset: n * uint32(i%2000), Payload: octets160})
		}
		b, err := red.Append(nil, blocks, uint8(audio.PCMU), octets160)
		if err != nil {
			h.tb.Fatal(err)
		}
		h.next(b, inRED)
	}},
	{name: "keys", rate: 1, soon: time.Second, send: func(h *hostile, i int) {
		e := dtmf.Event{Code: uint8(i), End: i%5 == 0, Duration: uint16(i * 80)}
		h.next(e.Append(nil), func(x *rtp.Header) {
			x.PayloadType = dtmf.PayloadType
			x.Timestamp -= uint32(i % 7 * 80)
		})
	}},
	{name: "keys beside sound", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		var blocks []red.Block
		for n := range uint32(red.MaxBlocks) {
			event := dtmf.Event{Code: uint8(i), Duration: uint16(n * 80)}.Append(nil)
			blocks = append(blocks, red.Block{Type: dtmf.PayloadType, Offset: n * uint32(i%2000), Payload: event[:i%5]})
		}
		b, err := red.Append(nil, blocks, uint8(audio.PCMU), octets160[:80])
		if err != nil {
			h.tb.Fatal(err)
		}
		h.next(b, inRED)
	}},
	{name: "silence", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, _ int) {
		h.next(bytes.Repeat([]byte{0xff}, 80))
	}},
	{name: "square waves", rate: 1, soon: 500 * time.Millisecond, send: func(h *hostile, i int) {
		h.next(bytes.Repeat([]byte{byte(i%2) << 7}, 80)) // the loudest of G.711
	}},
}

// Two seconds of each: nothing panics, all of it is counted once and as what it is, no
// more is kept than before, and good speech is heard again soon afterwards.
func TestHostileMedia(t *testing.T) {
	for _, c := range bads {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t)
			h.talk(150)
			if u := h.understood(); u < 0.9 {
				t.Fatalf("%.2f understood before it", u)
			}
			before := h.sent
			for i := range 200 * c.rate {
				c.send(h, i)
				if i%c.rate == c.rate-1 {
					h.listen()
				}
			}
			for h.now.Sub(h.m.begun)%audio.FrameDuration != 0 {
				h.listen()
			}
			n := h.sent - before
			h.seq++
			h.talk(int((c.soon + time.Second + 250*time.Millisecond) / audio.FrameDuration))
			if u := h.understood(); u < 0.6 {
				t.Errorf("%.2f of what is said %v later is understood: %+v", u, c.soon, h.m.buffer.Stats())
			}
			h.counted(n)
		})
	}
}

// counted checks the counters after a call of which n packets were bad.
func (h *hostile) counted(n uint64) {
	h.tb.Helper()
	dropped := map[string]uint64{}
	h.m.drops.into(dropped)
	all := h.m.received
	for _, d := range dropped {
		all += d
	}
	if all != h.sent {
		h.tb.Errorf("%d of %d packets counted: %d received, %v dropped", all, h.sent, h.m.received, dropped)
	}
	s := h.m.buffer.Stats()
	if s.Received != h.m.received || s.Refused+s.Duplicated > n || s.Delay < 0 || s.Delay > 1100*time.Millisecond || s.Target < 0 || s.Target > 700*time.Millisecond {
		h.tb.Errorf("%+v", s)
	}
	// One number is left out after the bad ones. What leaps further than a stream may is
	// not lost; what leaps less is, by what anybody can tell.
	if r := &h.m.reception; r.jitter < 0 || r.jitter > 10*audio.SampleRate || r.lost() > r.expected() || r.expected()-r.lost() > uint32(h.sent) {
		h.tb.Errorf("%+v", r)
	}
	if c := h.m.losses.take(); c.lost > c.expected || c.runs > c.lost {
		h.tb.Errorf("%+v", c)
	}
	if cap(h.m.plain) != maxDatagram || len(h.m.in.CSRC) > 15 {
		h.tb.Errorf("%d octets and %d CSRCs are kept", cap(h.m.plain), len(h.m.in.CSRC))
	}
}

// What comes is not lost, whatever is in it: another payload type, as of the digits of
// RFC 4733, or a length that cannot be played.
func TestBadIsNotLost(t *testing.T) {
	for _, c := range bads[:9] {
		h := newHostile(t)
		h.talk(20)
		for i := range 100 {
			c.send(h, i)
		}
		h.talk(20)
		lost := h.m.losses.take()
		// Malformed padding is no RTP, so that its number is not known either.
		if c.name != "padding" && (h.m.reception.lost() != 0 || lost.lost != 0) {
			t.Errorf("%s: %d lost, %+v", c.name, h.m.reception.lost(), lost)
		}
	}
}

// The way in allocates no more under bad input than the SRTP library and the parser
// of header extensions do.
func TestHostileMediaAllocations(t *testing.T) {
	const library = 5 // as in TestPacketPathDoesNotAllocate
	for _, c := range bads {
		h := newHostile(t)
		h.talk(20)
		var packets [][]byte
		h.keep = &packets
		for i := range 1100 {
			c.send(h, i)
		}
		i := 0
		f := make(audio.Frame, audio.FrameSamples)
		if n := testing.AllocsPerRun(1000, func() {
			h.m.receive(h.now, packets[i])
			if i%max(1, c.rate) == 0 {
				h.now = h.now.Add(audio.FrameDuration / 2)
				h.m.play(h.now, f)
			}
			i++
		}); n > library+c.allocs {
			t.Errorf("%s: %.1f allocations a packet", c.name, n)
		}
	}
}

// In a whole call: for two seconds, Alice sends a hundred packets for each that she
// should, of every kind that her library lets out. The call goes on, Bob hears her again
// a second later, and it ends as any other, with her packets counted.
func TestHostileCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.alice.mic.frames = 400
		w.alice.conf.HangupAtEOF = true
		var alice atomic.Pointer[media]
		sent, first, over := 0, 0, 0
		w.net.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			m := alice.Load()
			if m == nil || from != w.alice.addr || classify(b) != kindRTP {
				return b
			}
			// This is Alice's capture goroutine, which owns what it numbers packets by.
			if first == 0 {
				first = int(m.sent.Load())
			}
			if over = int(m.sent.Load()); over < first+100 || over >= first+200 {
				return b
			}
			for i := range 99 {
				x := m.out
				x.Marker, x.CSRC = i%2 == 0, make([]uint32, i%16)
				x.PayloadType = []uint8{0, 8, 13, redPayload, 101, 0}[i%6]
				x.Timestamp += uint32(i%7) * uint32(i%5) * 1000 * audio.SampleRate
				payload := [][]byte{{1}, octets160, packed([]int{1023}, 0, 320), nil, make([]byte, 480)}[i%5]
				bad, err := m.srtp.AppendRTP(nil, &x, payload)
				if err != nil {
					t.Error(err)
					return b
				}
				m.out.SequenceNumber++
				sent++
				w.net.Inject(from, to, bad)
			}
			return b
		})
		w.run()
		await[Answered](t, &w.alice)
		w.alice.idle(func(calls []*running) { alice.Store(calls[0].core.media) })
		a, b := w.alice.result(t), w.bob.result(t)
		if a.Reason != ReasonNormal || b.Reason != ReasonNormal || sent < 9000 {
			t.Errorf("ended with %v, %v after %d bad packets", a, b, sent)
		}
		said := through(audio.PCMU, w.alice.mic.said)
		last := 2 * audio.SampleRate
		if r := correlation(said[len(said)-last:], w.bob.ear.heard[len(w.bob.ear.heard)-3*last/2:]); r < 0.98 {
			t.Errorf("her last two seconds are heard with a correlation of %.3f", r)
		}
		d := b.Stats.Dropped
		if all := b.Stats.Received + d["payload"] + d["malformed"]; all < uint64(sent) || d["auth"]+d["replay"]+d["behind"] > 0 || b.Stats.Loss > 1 || b.Stats.Jitter > time.Second {
			t.Errorf("%d sent: %+v", sent, b.Stats)
		}
	})
}

// Whatever a peer that has the keys makes up, header, payload and order: no panic, no
// counter that cannot be, and a good stream afterwards is heard.
func FuzzHostileMedia(f *testing.F) {
	f.Add([]byte{0, 40, 1, 0x80, 0, 0, 0, 0, 160, 1, 2, 3})
	f.Add([]byte("a longer story, of packets that jump about: some held back, some twice, some with extensions"))
	f.Add(bytes.Repeat([]byte{1, 2, 3, 0x90, 121, 0, 1, 0, 30, 0x80, 2, 0x80, 160, 0, 9}, 9))
	f.Add(bytes.Repeat([]byte{0, 0, 1, 0, dtmf.PayloadType, 0, 0, 40, 4, 5, 0x80, 0, 160}, 20))
	f.Add(bytes.Repeat([]byte{0, 40, 1, 0, redPayload, 0, 0, 40, 0xa9, 0x80 | dtmf.PayloadType, 2, 0x80, 4, 0, 11, 10, 3, 0x20}, 9))
	f.Add(bytes.Repeat([]byte{0, 0, 200, 0xbf, 8, 0xff, 0, 0, 255, 7}, 20))
	f.Fuzz(func(t *testing.T, in []byte) {
		h := newHostile(t)
		h.talk(10)
		var held [16][]byte
		unheard := 0 // how far the numbers have gone on since a packet was delivered
		for n := 0; len(in) >= 9; n++ {
			op, wait, step, first, second, leap, size := in[0], in[1], in[2], in[3], in[4], in[5:8], int(in[8])
			in = in[9:]
			// Numbers count up, as pion asks of a sender; what is held back comes out of order.
			advance := 1 + uint16(step)*uint16(op>>4)
			if unheard += int(advance); unheard >= 1<<15 {
				return // over so large a gap nobody can follow SRTP's numbers (RFC 3711, Section 3.3.1)
			}
			h.seq += advance
			plain := []byte{0x80 | first&0x3f, second}
			plain = binary.BigEndian.AppendUint16(plain, h.seq)
			h.ts += uint32(leap[0])<<24 | uint32(leap[1])<<16 | uint32(leap[2])<<2
			plain = binary.BigEndian.AppendUint32(plain, h.ts)
			plain = binary.BigEndian.AppendUint32(plain, 1)
			for i := range size * (1 + int(op>>2&3)) {
				plain = append(plain, byte(i))
			}
			copy(plain[12:], in)
			b := h.packet(plain)
			slot := &held[n%len(held)]
			switch op & 3 {
			case 0:
				unheard = 0
				h.m.receive(h.now, b)
			case 1:
				*slot = b
			case 2:
				unheard = 0
				h.m.receive(h.now, *slot)
				h.m.receive(h.now, b)
			case 3:
				unheard = 0
				h.m.receive(h.now, b)
				h.m.receive(h.now, b)
			}
			for range wait / 8 {
				h.listen()
			}
			if wait == 255 {
				h.now = h.now.Add(time.Hour)
			}
			in = in[min(len(in), size/4):]
			s, r := h.m.buffer.Stats(), &h.m.reception
			if s.Delay < 0 || s.Target < 0 || s.Delay > 3*time.Second || s.Received != h.m.received ||
				r.jitter < 0 || r.jitter > leapt || r.lost() > r.expected() {
				t.Fatalf("%+v %+v", s, r)
			}
		}
		h.seq++
		h.talk(400)
		if u := h.understood(); u < 0.2 {
			t.Fatalf("%.2f of a good stream is understood: %+v", u, h.m.buffer.Stats())
		}
		if c := h.m.losses.take(); c.lost > c.expected || c.runs > c.lost {
			t.Fatalf("%+v", c)
		}
	})
}

// BenchmarkHostileMedia is what one bad packet costs, with its share of playing: a
// hundred times the packet rate is 5,000 of them a second.
func BenchmarkHostileMedia(b *testing.B) {
	for _, c := range bads {
		b.Run(c.name, func(b *testing.B) {
			h := newHostile(b)
			h.talk(20)
			var packets [][]byte
			f := make(audio.Frame, audio.FrameSamples)
			i := 0
			for b.Loop() {
				if i == len(packets) {
					b.StopTimer()
					packets, i = packets[:0], 0
					h.keep = &packets
					for n := range 2000 {
						c.send(h, n)
					}
					b.StartTimer()
				}
				h.m.receive(h.now, packets[i])
				if i++; i%c.rate == 0 {
					h.now = h.now.Add(audio.FrameDuration / 2)
				}
				if i%(2*c.rate) == 0 {
					h.m.play(h.now, f)
				}
			}
		})
	}
}
