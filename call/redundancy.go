package call

import (
	"encoding/binary"
	"errors"
	"time"

	"securecall/audio"
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

// A scheme is which copies a packet holds: copies of them, each spacing packets
// further back than the one before. The zero scheme is none at all.
type scheme struct {
	copies, spacing uint8
	payload         uint8 // the peer's payload type for it
}

const maxCopies, maxSpacing = 3, 2

func (s scheme) pack() uint32 {
	return uint32(s.copies) | uint32(s.spacing)<<8 | uint32(s.payload)<<16
}

func unpackScheme(n uint32) scheme { return scheme{uint8(n), uint8(n >> 8), uint8(n >> 16)} }

// Redundancy has as many copies as the loss asks for: at 1 % one copy leaves
// one loss in ten thousand, at 10 % two leave one in a thousand.
var enough = [maxCopies]float64{0.003, 0.04, 0.12}

const (
	forget    = 0.8              // what a second leaves of the seconds before
	slackTime = 15 * time.Second // for which a smaller loss has to last
	tooMuch   = 1.5              // times the loss, once there is more to carry: the path is too narrow
	backOff   = time.Minute
)

// redundancy decides the scheme from the peer's reports. Control owns it.
type redundancy struct {
	now scheme

	expected, lost, runs float64 // of the last seconds
	high                 time.Time
	before               float64   // the loss when the last copy was added
	raised               time.Time // and when
	narrow               time.Time // until when no copy is added
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
	have := int(d.now.copies)
	switch {
	case have > limit:
		d.now.copies = uint8(limit)
	case have > 0 && !d.raised.IsZero() && now.Sub(d.raised) <= 5*time.Second && loss > 0.05 && loss > tooMuch*d.before:
		// More packets are lost since each of them is larger.
		d.now.copies, d.raised, d.narrow = d.now.copies-1, time.Time{}, now.Add(backOff)
	case want > have && !now.Before(d.narrow):
		d.before, d.raised, d.high = loss, now, now
		d.now.copies = uint8(want)
	case want >= have || loss*2 > enough[have-1]:
		d.high = now
	case now.Sub(d.high) >= slackTime:
		d.now.copies, d.high = d.now.copies-1, now
	}
	// In a burst the next packet is lost too; the one after it less often.
	d.now.spacing = 1
	if d.runs >= 2 && d.lost >= 2*d.runs {
		d.now.spacing = maxSpacing
	}
	return d.now
}

// history is the sound of the last packets, encoded, and how a packet with
// copies of it is made. It begins with silence, so that packets have their full
// size from the first.
type history struct {
	sound  [1 + maxCopies*maxSpacing][audio.FrameSamples]byte
	last   int // the newest of sound
	blocks [maxCopies]red.Block
	packed [(1 + maxCopies) * (audio.FrameSamples + 4)]byte
}

func newHistory(law audio.Law) (h history) {
	var silence audio.Frame
	for i := range h.sound {
		law.Encode(h.sound[i][:], silence[:])
	}
	return h
}

// next is where the sound of the next packet is to be written.
func (h *history) next() []byte {
	h.last = (h.last + 1) % len(h.sound)
	return h.sound[h.last][:]
}

// payload is the newest sound with its copies, and the payload type of that.
func (h *history) payload(law audio.Law, s scheme) (payloadType uint8, payload []byte) {
	newest := h.sound[h.last][:]
	blocks := h.blocks[:0]
	for back := int(s.copies * s.spacing); back > 0; back -= int(s.spacing) {
		blocks = append(blocks, red.Block{
			Type:    uint8(law),
			Offset:  uint32(back * audio.FrameSamples),
			Payload: h.sound[(h.last-back+len(h.sound))%len(h.sound)][:],
		})
	}
	if len(blocks) == 0 {
		return uint8(law), newest
	}
	packed, err := red.Append(h.packed[:0], blocks, uint8(law), newest)
	if err != nil {
		return uint8(law), newest // no offset or length here can be too large
	}
	return s.payload, packed
}
