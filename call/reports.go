package call

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/rtcp"

	"securecall/audio"
	"securecall/crypto/srtp"
)

// sendRTCP queues one compound packet: a report and our name always (RFC
// 3550, Section 6.1), then what else there is, call control if the peer knows
// it and any is due, and BYE at the end.
func (c *core) sendRTCP(now time.Time, bye bool, more ...rtcp.Packet) {
	m := c.media
	var blocks []rtcp.ReceptionReport
	m.mu.Lock()
	if m.reception.started {
		blocks = append(blocks, m.reception.report(c.peerSSRC))
	}
	m.mu.Unlock()
	if len(blocks) > 0 && !c.sawReport.IsZero() {
		blocks[0].LastSenderReport = c.reportNTP
		blocks[0].Delay = since(c.sawReport, now)
	}

	var packets []rtcp.Packet
	if sent := m.sent.Load(); sent > 0 {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: c.ssrc, NTPTime: m.ntp(now), RTPTime: m.rtpTime(now),
			PacketCount: uint32(sent), OctetCount: uint32(m.octets.Load()), Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: c.ssrc, Reports: blocks})
	}
	packets = append(packets, c.description())
	packets = append(packets, more...)
	if c.ours() {
		data := c.control.take(now).append(nil)
		c.tellUnheard()
		packets = append(packets, &rtcp.ApplicationDefined{SSRC: c.ssrc, Name: appName, Data: data})
	}
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{c.ssrc}})
	}
	c.seal(now, c.here(), packets)
}

func (c *core) description() rtcp.Packet {
	return &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: c.ssrc,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: c.cname}},
	}}}
}

// seal queues a compound packet for a place.
func (c *core) seal(now time.Time, to *place, packets []rtcp.Packet) {
	plain, err := rtcp.Marshal(packets)
	if err != nil {
		c.end(now, ReasonFault, fmt.Errorf("rtcp: %w", err))
		return
	}
	b, err := c.media.srtp.AppendRTCP(nil, plain)
	if err != nil {
		c.end(now, ReasonFault, fmt.Errorf("srtcp: %w", err))
		return
	}
	c.packets = append(c.packets, outgoing{b, to.addr, to})
}

// openRTCP opens one SRTCP packet, and notes where it came from.
func (c *core) openRTCP(now time.Time, from netip.AddrPort, b []byte) ([]byte, error) {
	s := c.media.srtp
	newest := s.NewestRTCP()
	plain, err := s.OpenRTCP(nil, b)
	if err != nil && !(errors.Is(err, srtp.ErrReplay) && s.RepeatRTCP(b)) {
		return nil, err
	}
	known, since := c.here(), now.Sub(c.media.begun)
	if known.addr != from {
		known = c.roam.last
	}
	if known != nil && known.addr == from {
		known.came(since, len(b))
	}
	if s.NewestRTCP() > newest {
		c.elsewhere(now, from, len(b))
	}
	return plain, err
}

// receiveRTCP opens one SRTCP packet and takes what it says.
func (c *core) receiveRTCP(now time.Time, from netip.AddrPort, b []byte) {
	plain, err := c.openRTCP(now, from, b)
	if err != nil {
		c.media.drops.add(causeOf(err))
		return
	}
	c.media.hears(now)
	c.session.Confirmed(now)
	c.pump(now)
	packets, err := unmarshal(plain)
	if err != nil {
		c.media.drops.add(dropMalformed)
		return
	}
	bye := false
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			c.sawReport, c.reportNTP = now, middle(p.NTPTime)
			c.takeReports(now, p.Reports)
		case *rtcp.ReceiverReport:
			c.takeReports(now, p.Reports)
		case *rtcp.ExtendedReport:
			c.takeExtended(now, p)
		case *rtcp.ApplicationDefined:
			c.receiveApp(now, p)
		case *rtcp.Goodbye:
			bye = true
		}
	}
	if bye {
		c.remoteBye(now, nil)
	}
	if c.phase < ended && c.control.due(now) {
		c.sendRTCP(now, c.phase == leaving)
	}
}

// unmarshal reads what we know of a compound packet and passes over the rest:
// feedback of a kind that nobody here knows must not hide a BYE.
func unmarshal(compound []byte) (packets []rtcp.Packet, err error) {
	for len(compound) > 0 {
		var h rtcp.Header
		if err := h.Unmarshal(compound); err != nil {
			return nil, err
		}
		size := 4 * (int(h.Length) + 1)
		if size > len(compound) {
			return nil, errors.New("a packet that is longer than its datagram")
		}
		switch h.Type {
		case rtcp.TypeSenderReport, rtcp.TypeReceiverReport, rtcp.TypeGoodbye, rtcp.TypeApplicationDefined:
			p, err := rtcp.Unmarshal(compound[:size])
			if err != nil {
				return nil, err
			}
			packets = append(packets, p...)
		case rtcp.TypeExtendedReport:
			if p, ok := parseExtended(h, compound[:size]); ok {
				packets = append(packets, p)
			}
		}
		compound = compound[size:]
	}
	return packets, nil
}

func (c *core) receiveApp(now time.Time, p *rtcp.ApplicationDefined) {
	if p.Name != appName || !c.ours() {
		return
	}
	d, err := parseAppData(p.Data)
	if err != nil {
		c.media.drops.add(dropMalformed)
		return
	}
	c.spoke = true
	for _, m := range c.control.hear(d) {
		c.hear(now, m)
	}
	c.watchTape(now, false)
}

// hear acts on one call-control message of the peer. What does not fit the
// phase, or is not known, is ignored.
func (c *core) hear(now time.Time, m message) {
	switch m.word {
	case wordLosses:
		c.hearLosses(now, m.body)
		return
	case wordFollows, wordChallenge, wordResponse:
		c.hearOfPlace(now, m)
		return
	case wordText:
		c.hearText(now, m.body)
		return
	case wordRecording:
		c.hearRecording(now, m.body)
		return
	}
	if c.alarmed(now, m) {
		return
	}
	if !c.caller || c.phase != ringing {
		if m.word == wordHangup {
			c.remoteBye(now, refusal(m.body))
		}
		return
	}
	switch m.word {
	case wordRinging:
		if !c.rings { // it may say so again, as often as it likes
			c.rings = true
			c.tell(Ringing{})
		}
	case wordAnswered:
		c.begin(now, false)
	case wordDialled:
		if c.met {
			return // one of two who have met has waited
		}
		// Each has asked for this call, and so nobody has to be asked again.
		c.kind = "punched"
		c.announce(c.path.Source(c.remote), c.remote)
		c.begin(now, true)
	case wordDeclined:
		c.end(now, declined(m.body), refusal(m.body))
	case wordBusy:
		c.end(now, ReasonBusy, nil)
	case wordHangup:
		c.remoteBye(now, refusal(m.body))
	}
}

// reportLosses tells a peer that knows call control what we lose of its stream,
// and so that it may send redundancy.
func (c *core) reportLosses(now time.Time) {
	c.at[timerLosses] = now.Add(reportEvery)
	if !c.spoke {
		return // another program, to which a callee says a few words in vain
	}
	m := c.media
	m.redundant.Store(true)
	m.mu.Lock()
	r := lossReport{payload: redPayload, copies: maxCopies, lossCount: m.losses.take()}
	m.mu.Unlock()
	c.control.update(now, wordLosses, r.append(nil))
}

// hearLosses is told what the peer loses of ours.
func (c *core) hearLosses(now time.Time, body []byte) {
	r, err := parseLossReport(body)
	if err != nil {
		c.media.drops.add(dropMalformed)
		return
	}
	c.media.scheme.Store(c.copies.hear(now, r).pack())
	if c.copies.expected > 0 {
		// Each packet of RTCP begins a new interval, and between two securecalls there are two
		// a second: their fraction lost is of a few packets, or of none.
		c.peerLoss = 100 * c.copies.lost / c.copies.expected
	}
}

// remoteBye: the other side has left.
func (c *core) remoteBye(now time.Time, why error) {
	switch {
	case c.phase == talking:
		c.end(now, ReasonNormal, nil)
	case c.phase == ringing && c.caller:
		c.end(now, ReasonDeclined, why)
	case c.phase == ringing:
		c.end(now, ReasonNoAnswer, why)
	case c.phase == leaving:
		c.end(now, c.result.Reason, c.result.Err)
	}
}

// takeReports reads what the peer says of our stream (RFC 3550, Section 6.4.1).
func (c *core) takeReports(now time.Time, blocks []rtcp.ReceptionReport) {
	for _, r := range blocks {
		if r.SSRC != c.ssrc {
			continue
		}
		if c.copies.expected == 0 { // else see hearLosses
			c.peerLoss = float64(r.FractionLost) * 100 / 256
		}
		c.peerJitter = time.Duration(r.Jitter) * time.Second / audio.SampleRate
		c.takeRoundTrip(now, r.LastSenderReport, r.Delay)
	}
}

// takeRoundTrip is told the timestamp of one of our reports, and how long after
// it came the peer sent what says so (RFC 3550, Section 6.4.1; RFC 3611, Section
// 4.5). Zero: none has come.
func (c *core) takeRoundTrip(now time.Time, last, delay uint32) {
	if last == 0 {
		return
	}
	if rtt := middle(c.media.ntp(now)) - last - delay; int32(rtt) >= 0 {
		c.rtt = time.Duration(rtt) * time.Second / 65536
	}
}
