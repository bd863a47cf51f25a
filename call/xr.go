package call

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/pion/rtcp"

	"securecall/audio"
	"securecall/audio/playout"
	"securecall/audio/quality"
)

// RTCP extended reports (RFC 3611), in the compound packet of every report
// interval and towards any peer: what is not known there is passed over. Three
// kinds of block are sent and read: VoIP metrics (Section 4.7), what this side
// hears of the other; receiver reference time (4.4) while nothing has been sent
// yet, and DLRR (4.5) in reply, so that a side that only listens learns the round
// trip too. Left out: loss and duplicate run lengths, receipt times and the
// statistics summary (4.1 to 4.3, 4.6), and SDP (Section 5), which is not there.

// A PeerReport is what the peer says of what it hears of us (RFC 3611, Section
// 4.7), since the call began. The peer is believed: these are figures to show,
// and nothing is decided by them.
type PeerReport struct {
	Lost         float64 // percent that never came, after redundancy
	Discarded    float64 // percent that came too late, or too early
	BurstDensity float64 // percent lost or discarded within bursts,
	GapDensity   float64 // and outside of them
	Burst, Gap   time.Duration
	RoundTrip    time.Duration // as the peer measures it
	Delay        time.Duration // of its end: packet time, playout and devices, as far as it knows
	EchoLoss     float64       // of our voice through its loudspeaker and microphone, dB; 0: not known
	MOSListening float64       // how we sound there, 1 to 5; 0: not known
	MOS          float64       // and with the delay, in conversation; 0: not known
}

// connection is the way from the peer's mouth to our ear, for the E-model.
func (s *Stats) connection() quality.Connection {
	l := s.losses()
	c := quality.Connection{
		// Half of the way there and back, and a packet has to be full before it
		// is sent. What the sound devices of both ends add nobody tells us.
		Delay:      s.RTT/2 + s.PacketTime + s.PlayoutDelay,
		Loss:       l.Percent(),
		BurstRatio: l.BurstRatio(),
	}
	if s.Peer.EchoLoss > 0 {
		const loudness = 8 + 2 // SLR + RLR (G.107, Table 2)
		c.Echo = loudness + s.Peer.EchoLoss
	}
	return c
}

// losses are the frames that playout had to do without, whatever the cause.
func (s *Stats) losses() quality.Losses {
	p := &s.Playout
	return quality.Losses{Frames: p.Frames, Lost: p.Lost, Bursts: p.Bursts, BurstFrames: p.BurstFrames, BurstLost: p.BurstLost}
}

// sendReport queues the compound packet of a report interval.
func (c *core) sendReport(now time.Time) {
	xr := &rtcp.ExtendedReport{SenderSSRC: c.ssrc}
	if c.media.sent.Load() == 0 {
		xr.Reports = append(xr.Reports, &rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: c.media.ntp(now)})
	}
	if !c.sawReference.IsZero() && now.Sub(c.sawReference) < oldReference {
		xr.Reports = append(xr.Reports, &rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{
			SSRC: c.peerSSRC, LastRR: c.referenceNTP, DLRR: since(c.sawReference, now),
		}}})
	}
	if s := c.stats(); s.Received > 0 {
		xr.Reports = append(xr.Reports, c.voipMetrics(&s))
	}
	if len(xr.Reports) == 0 {
		c.sendRTCP(now, false)
		return
	}
	c.sendRTCP(now, false, xr)
}

const (
	// oldReference is when a reference time has told what it can: reports would have brought
	// another, and clocks that differ, or one that slept, make the old one worse and worse.
	oldReference = 30 * time.Second
	// unavailable is the value of levels and scores that are not known (RFC
	// 3611, Sections 4.7.4 and 4.7.5).
	unavailable = 127
	// receiver is the RX config: enhanced concealment (10), an adaptive jitter
	// buffer (11), its adjustment rate not known (0) (RFC 3611, Section 4.7.6).
	receiver = 0b10_11_0000
)

// voipMetrics is what we hear of the peer. Frames of sound stand for its
// packets.
func (c *core) voipMetrics(s *Stats) *rtcp.VoIPMetricsReportBlock {
	m := c.media
	m.mu.Lock()
	expected, lost := float64(m.reception.expected()), float64(m.reception.lost())
	m.mu.Unlock()
	l := s.losses()
	frames := func(n float64) uint16 { return wireMillis(time.Duration(n * float64(s.Playout.Frame))) }
	b := &rtcp.VoIPMetricsReportBlock{
		SSRC:           c.peerSSRC,
		LossRate:       fraction((lost - max(0, float64(s.Playout.Recovered)-float64(s.Playout.Needless))) / expected),
		DiscardRate:    fraction(float64(s.Playout.Late) / expected),
		BurstDensity:   fraction(l.BurstDensity()),
		GapDensity:     fraction(l.GapDensity()),
		BurstDuration:  frames(l.BurstLength()),
		GapDuration:    frames(l.GapLength()),
		RoundTripDelay: wireMillis(s.RTT),
		EndSystemDelay: wireMillis(audio.Duration(m.frame) + s.PlayoutDelay), // of this end, both ways
		SignalLevel:    unavailable,
		NoiseLevel:     unavailable,
		RERL:           unavailable,
		Gmin:           quality.Gmin,
		RFactor:        unavailable,
		ExtRFactor:     unavailable,
		MOSLQ:          unavailable,
		MOSCQ:          unavailable,
		RXConfig:       receiver,
		JBNominal:      wireMillis(s.PlayoutDelay),
		JBMaximum:      wireMillis(playout.MaxDelay),
		JBAbsMax:       wireMillis(playout.MaxDelay),
	}
	if s.MOS > 0 {
		b.RFactor = uint8(math.Round(min(max(s.connection().R(), 0), 100)))
		b.MOSLQ = uint8(math.Round(10 * s.MOSListening))
		b.MOSCQ = uint8(math.Round(10 * s.MOS))
	}
	return b
}

// fraction is a share as a fixed-point number with the binary point at the
// left edge: the integer part of 256 times it, at most 255 (RFC 3611, Section
// 4.7.1).
func fraction(share float64) uint8 {
	if !(share > 0) {
		return 0 // nothing of nothing too
	}
	return uint8(min(256*share, 255))
}

func wireMillis(d time.Duration) uint16 {
	return uint16(min(max(d.Round(time.Millisecond).Milliseconds(), 0), math.MaxUint16))
}

// since is the time from a moment to now, in 1/65536 s, of which 18 hours can be told.
func since(then, now time.Time) uint32 {
	return uint32(min(now.Sub(then), 18*time.Hour) * 65536 / time.Second)
}

// parseExtended reads the blocks of one RTCP packet that we know and that have
// their proper length, and passes over the others: whoever sends them means
// somebody else, and they must not hide what follows in the compound packet.
func parseExtended(h rtcp.Header, packet []byte) (*rtcp.ExtendedReport, bool) {
	const head, blockHead = 8, 4
	if h.Padding {
		packet = packet[:max(0, len(packet)-int(packet[len(packet)-1]))]
	}
	if len(packet) < head {
		return nil, false
	}
	known := slices.Clone(packet[:head])
	for rest := packet[head:]; len(rest) >= blockHead; {
		size := 4 * (int(binary.BigEndian.Uint16(rest[2:])) + 1)
		if size > len(rest) {
			break
		}
		ok := false
		switch rest[0] {
		case rtcp.ReceiverReferenceTimeReportBlockType:
			ok = size == blockHead+8
		case rtcp.DLRRReportBlockType:
			ok = size%12 == blockHead
		case rtcp.VoIPMetricsReportBlockType:
			ok = size == blockHead+32
		}
		if ok {
			known = append(known, rest[:size]...)
		}
		rest = rest[size:]
	}
	xr := new(rtcp.ExtendedReport)
	err := xr.Unmarshal(known)
	return xr, err == nil
}

// takeExtended reads what the peer says in an extended report.
func (c *core) takeExtended(now time.Time, xr *rtcp.ExtendedReport) {
	if xr.SenderSSRC != c.peerSSRC {
		return
	}
	for _, b := range xr.Reports {
		switch b := b.(type) {
		case *rtcp.ReceiverReferenceTimeReportBlock:
			c.sawReference, c.referenceNTP = now, middle(b.NTPTimestamp)
		case *rtcp.DLRRReportBlock:
			if c.media.sent.Load() > 0 {
				continue // reports say it, and of a later moment
			}
			for _, r := range b.Reports {
				if r.SSRC == c.ssrc {
					c.takeRoundTrip(now, r.LastRR, r.DLRR)
				}
			}
		case *rtcp.VoIPMetricsReportBlock:
			if b.SSRC == c.ssrc {
				c.peer = newPeerReport(b)
			}
		}
	}
}

func newPeerReport(b *rtcp.VoIPMetricsReportBlock) PeerReport {
	percent := func(f uint8) float64 { return float64(f) * 100 / 256 }
	millis := func(n uint16) time.Duration { return time.Duration(n) * time.Millisecond }
	score := func(n uint8) float64 {
		if n < 10 || n > 50 {
			return 0 // unavailable, or nonsense
		}
		return float64(n) / 10
	}
	p := PeerReport{
		Lost:         percent(b.LossRate),
		Discarded:    percent(b.DiscardRate),
		BurstDensity: percent(b.BurstDensity),
		GapDensity:   percent(b.GapDensity),
		Burst:        millis(b.BurstDuration),
		Gap:          millis(b.GapDuration),
		RoundTrip:    millis(b.RoundTripDelay),
		Delay:        millis(b.EndSystemDelay),
		MOSListening: score(b.MOSLQ),
		MOS:          score(b.MOSCQ),
	}
	if b.RERL < unavailable {
		p.EchoLoss = float64(b.RERL)
	}
	return p
}
