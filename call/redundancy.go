package call

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"securecall/audio"
	"securecall/audio/dtmf"
	"securecall/audio/red"
)

// Redundancy against loss between two securecalls: each packet of sound holds
// copies of earlier ones (RFC 2198). The receiver tells every second what the
// network lost; the sender decides from that alone. So the size of packets
// follows the network's loss, never the speech.

// redPayload is the RTP payload type in which we accept RFC 2198, told to the
// peer with every report; there is no other signalling for dynamic types.
const redPayload = 121

const reportEvery = time.Second // of what was lost

// A lossReport is the body of the call-control word 0x20: what the receiver of
// a stream has lost of it since the last report, before redundancy, and what
// redundancy it accepts.
type lossReport struct {
	payload uint8 // payload type for RFC 2198
	copies  uint8 // the most in one packet
	lossCount
}

const lossReportSize = 8

func (r lossReport) append(b []byte) []byte {
	b = append(b, r.payload, r.copies)
	b = binary.BigEndian.AppendUint16(b, r.expected)
	b = binary.BigEndian.AppendUint16(b, r.lost)
	return binary.BigEndian.AppendUint16(b, r.runs)
}

var errLossReport = errors.New("call control: a report of losses that cannot be")

// parseLossReport reads what append wrote; what follows is for later versions.
func parseLossReport(b []byte) (r lossReport, err error) {
	if len(b) < lossReportSize {
		return r, errLossReport
	}
	r.payload, r.copies = b[0], b[1]
	r.expected = binary.BigEndian.Uint16(b[2:])
	r.lost = binary.BigEndian.Uint16(b[4:])
	r.runs = binary.BigEndian.Uint16(b[6:])
	if r.payload < 96 || r.payload > 127 || r.lost > r.expected || r.runs > r.lost {
		return r, errLossReport
	}
	return r, nil
}

// A scheme is which copies a packet holds. The zero scheme is none at all.
type scheme struct {
	copies  uint8 // of the packets before it, one each
	payload uint8 // the peer's payload type for it
}

// The receiver waits for the farthest copy, and delay is a loss too.
const maxCopies = 3

func (s scheme) pack() uint32 { return uint32(s.copies) | uint32(s.payload)<<8 }

func unpackScheme(n uint32) scheme { return scheme{uint8(n), uint8(n >> 8)} }

// Redundancy has as many copies as the loss asks for: at 1 % one copy leaves
// one loss in ten thousand, at 10 % two leave one in a thousand, at 20 % eight. A
// third would be waited for 20 ms more.
var enough = [maxCopies]float64{0.003, 0.04, 0.25}

const (
	inRuns    = 2.5              // packets lost at a time, on average, are runs
	forget    = 0.8              // what a second leaves of the seconds before
	slackTime = 15 * time.Second // for which a smaller loss has to last
	backOff   = time.Minute
	trialTime = 5 * time.Second // how long a new copy has to show that the path can carry it
)

// redundancy decides the scheme from the peer's reports. Control owns it.
type redundancy struct {
	now scheme

	expected, lost, runs float64 // of the last seconds
	high                 time.Time
	trial                trial
	narrow               time.Time // until when no copy is added
}

// A trial tells whether the path carries what was last added.
type trial struct {
	until          time.Time // over, if this is
	from           uint8     // copies before it
	bound          float64   // the share of packets that might have been lost before
	run            float64   // how many are lost at a time
	expected, lost float64   // since
}

// begin takes the few losses seen so far for no more than they say: by chance
// two fewer may have been lost than were to be expected, and in shorter runs.
func (t *trial) begin(now time.Time, from uint8, expected, lost, runs float64) {
	*t = trial{until: now.Add(trialTime), from: from, bound: (lost + 2) / expected, run: max(4, lost/max(1, runs))}
}

// failed takes in a report and tells whether so much more is lost now, since the
// trial began or in this second, that it cannot be chance.
func (t *trial) failed(now time.Time, r lossReport) bool {
	if now.After(t.until) {
		return false
	}
	t.expected += float64(r.expected)
	t.lost += float64(r.lost)
	return t.beyond(t.expected, t.lost) || t.beyond(float64(r.expected), float64(r.lost))
}

// beyond: half as much again, and three standard deviations.
func (t *trial) beyond(expected, lost float64) bool {
	most := 1.5 * t.bound * expected
	return lost > most+3*math.Sqrt(2*most*t.run)
}

// hear takes in a report and returns the scheme from now on.
func (d *redundancy) hear(now time.Time, r lossReport) scheme {
	d.expected = d.expected*forget + float64(r.expected)
	d.lost = d.lost*forget + float64(r.lost)
	d.runs = d.runs*forget + float64(r.runs)
	d.now.payload = r.payload
	limit := min(int(r.copies), maxCopies)
	if d.expected == 0 {
		return d.now
	}
	loss := d.lost / d.expected
	want := 0
	for want < limit && loss >= enough[want] {
		want++
	}
	if want == 1 && limit > 1 && d.lost >= inRuns*d.runs {
		want = 2 // one would make good the last of each run
	}
	have := int(d.now.copies)
	switch {
	case have > limit:
		d.now.copies = uint8(limit)
	case have > 0 && d.trial.failed(now, r):
		// More packets are lost since each of them is larger.
		d.now.copies, d.trial, d.narrow = min(d.now.copies, d.trial.from), trial{}, now.Add(backOff)
	case want > have && !now.Before(d.narrow):
		if now.After(d.trial.until) {
			d.trial.begin(now, d.now.copies, d.expected, d.lost, d.runs)
		}
		d.now.copies, d.high = uint8(want), now
	case want >= have || loss*2 > enough[have-1]:
		d.high = now
	case now.Sub(d.high) >= slackTime:
		d.now.copies, d.high = d.now.copies-1, now
	}
	return d.now
}

// history is the sound of the last packets, encoded, and how a packet with
// copies of it is made. It begins with silence, so that packets have their full
// size from the first.
type history struct {
	frame  int // samples of a packet
	sound  [1 + maxCopies][audio.FrameSamples]byte
	last   int // the newest of sound
	blocks [1 + maxCopies]red.Block
	event  [dtmf.Size]byte
	packed [(1 + maxCopies) * (audio.FrameSamples + 4)]byte
}

func newHistory(law audio.Law, frame int) (h history) {
	h.frame = frame
	for i := range h.sound {
		law.Encode(h.sound[i][:], silence[:])
	}
	return h
}

// next is where the sound of the next packet is to be written.
func (h *history) next() []byte {
	h.last = (h.last + 1) % len(h.sound)
	return h.sound[h.last][:h.frame]
}

// payload is the newest sound with its copies, and the payload type of that. A peer that
// takes redundancy gets its format without copies too: so the header of a packet with the
// event of a key is that of any other.
func (h *history) payload(law audio.Law, s scheme) (payloadType uint8, payload []byte) {
	return h.redundant(law, s, h.blocks[:0], 0)
}

// redundant has blocks in front, and the oldest sound lacks so many octets.
func (h *history) redundant(law audio.Law, s scheme, blocks []red.Block, lacks int) (payloadType uint8, payload []byte) {
	newest := h.sound[h.last][:h.frame]
	if s.payload == 0 {
		return uint8(law), newest
	}
	for back := int(s.copies); back > 0; back-- {
		blocks = append(blocks, red.Block{
			Type:    uint8(law),
			Offset:  uint32(back*h.frame - lacks),
			Payload: h.sound[(h.last-back+len(h.sound))%len(h.sound)][lacks:h.frame],
		})
		lacks = 0
	}
	packed, err := red.Append(h.packed[:0], blocks, uint8(law), newest[:h.frame-lacks])
	if err != nil {
		return uint8(law), newest // no offset or length here can be too large
	}
	return s.payload, packed
}
