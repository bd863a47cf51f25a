package call

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"securecall/audio"
	"securecall/nat/memnet"
)

// An extended report by hand, from RFC 3611, Sections 3, 4.4, 4.5 and 4.7.
var (
	xrHead      = []byte{0x80, 207, 0, 17, 0, 0, 0, 2}                                             // V=2; length in words less one; the sender's SSRC
	xrReference = []byte{4, 0, 0, 2, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}               // NTP timestamp
	xrDLRR      = []byte{5, 0, 0, 3, 0, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd, 0, 1, 0x80, 0}            // SSRC, last RR, delay since
	xrVoIP      = []byte{7, 0, 0, 8, 0, 0, 0, 1, 13, 26, 64, 3, 0, 200, 0x13, 0x88, 0, 150, 0, 90, // SSRC; loss, discard, burst and gap density; burst, gap; round trip, end system
		0xf6, 0xba, 55, 16, 81, 127, 41, 38, 0xb0, 0, 0, 60, 0, 80, 1, 0xf4} // signal, noise, RERL, Gmin; R, external R, MOS-LQ, MOS-CQ; RX config, reserved, JB nominal; JB maximum, abs max
	xrBlocks = []rtcp.ReportBlock{
		&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 0x1122334455667788},
		&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: 1, LastRR: 0xaabbccdd, DLRR: 0x18000}}},
		&rtcp.VoIPMetricsReportBlock{
			SSRC: 1, LossRate: 13, DiscardRate: 26, BurstDensity: 64, GapDensity: 3, BurstDuration: 200, GapDuration: 5000,
			RoundTripDelay: 150, EndSystemDelay: 90, SignalLevel: 0xf6, NoiseLevel: 0xba, RERL: 55, Gmin: 16,
			RFactor: 81, ExtRFactor: 127, MOSLQ: 41, MOSCQ: 38, RXConfig: 0xb0, JBNominal: 60, JBMaximum: 80, JBAbsMax: 500,
		},
	}
)

// extended is an XR packet of blocks, in bytes.
func extended(blocks ...[]byte) []byte {
	b := slices.Concat(append([][]byte{xrHead}, blocks...)...)
	b[3] = byte(len(b)/4 - 1)
	return b
}

// parse reads one XR packet as it came.
func parse(tb testing.TB, b []byte) *rtcp.ExtendedReport {
	tb.Helper()
	packets, err := unmarshal(b)
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range packets {
		if xr, ok := p.(*rtcp.ExtendedReport); ok {
			return xr
		}
	}
	return nil
}

// The library writes and reads what RFC 3611 has.
func TestExtendedReportLayout(t *testing.T) {
	want := extended(xrReference, xrDLRR, xrVoIP)
	if !bytes.Equal(want[:8], xrHead) {
		t.Fatalf("the length by hand is wrong: % x", want[:8])
	}
	got, err := (&rtcp.ExtendedReport{SenderSSRC: 2, Reports: xrBlocks}).Marshal()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x\n, want % x, %v", got, want, err)
	}
	xr := parse(t, want)
	if xr == nil || xr.SenderSSRC != 2 || len(xr.Reports) != 3 {
		t.Fatalf("%+v", xr)
	}
	if r := xr.Reports[0].(*rtcp.ReceiverReferenceTimeReportBlock); r.NTPTimestamp != 0x1122334455667788 {
		t.Errorf("%+v", r)
	}
	if r := xr.Reports[1].(*rtcp.DLRRReportBlock); len(r.Reports) != 1 || r.Reports[0] != (rtcp.DLRRReport{SSRC: 1, LastRR: 0xaabbccdd, DLRR: 0x18000}) {
		t.Errorf("%+v", r)
	}
	r := newPeerReport(xr.Reports[2].(*rtcp.VoIPMetricsReportBlock))
	if r != (PeerReport{
		Lost: 13 * 100. / 256, Discarded: 26 * 100. / 256, BurstDensity: 25, GapDensity: 3 * 100. / 256,
		Burst: 200 * time.Millisecond, Gap: 5 * time.Second, RoundTrip: 150 * time.Millisecond, Delay: 90 * time.Millisecond,
		EchoLoss: 55, MOSListening: 4.1, MOS: 3.8,
	}) {
		t.Errorf("%+v", r)
	}
}

// RFC 3611, Section 4.4 and the other blocks: "In the absence of such
// definition, the bits in this field MUST be set to zero and MUST be ignored by
// the receiver." (reserved bits). What we do not know, or what is not as long as
// it should be, is passed over with all that is in it.
func TestExtendedReportOfOthers(t *testing.T) {
	reserved := slices.Concat(xrReference, xrVoIP)
	reserved[1], reserved[len(xrReference)+1], reserved[len(xrReference)+29] = 0xff, 0xff, 0xff
	with := func(b []byte, at int, v byte) []byte {
		b = slices.Clone(b)
		b[at] = v
		return b
	}
	runLengths := []byte{1, 0, 0, 3, 0, 0, 0, 1, 0, 1, 0, 2, 0x40, 1, 0, 0} // Section 4.1
	for name, c := range map[string]struct {
		packet []byte
		blocks int
	}{
		"nothing":                 {extended(), 0},
		"reserved bits":           {with(extended(reserved), 0, 0x9f), 2},
		"other blocks":            {extended(runLengths, []byte{200, 7, 0, 0}, xrVoIP), 1},
		"a VoIP block too short":  {extended(with(xrVoIP[:32], 3, 7), xrReference), 1},
		"a VoIP block too long":   {extended(with(xrVoIP, 3, 9), []byte{0, 0, 0, 0}, xrReference), 1},
		"a reference too short":   {extended([]byte{4, 0, 0, 1, 1, 2, 3, 4}, xrVoIP), 1},
		"half a DLRR":             {extended([]byte{5, 0, 0, 4}, xrDLRR[4:], []byte{1, 2, 3, 4}, xrVoIP), 1},
		"a DLRR of nobody":        {extended([]byte{5, 0, 0, 0}, xrVoIP), 2},
		"a block past the end":    {extended(xrVoIP, with(xrDLRR, 2, 1)), 1},
		"padding":                 {with(extended(xrVoIP, []byte{0, 0, 0, 4}), 0, 0xa0), 1},
		"more padding than there": {with(extended([]byte{7, 0, 0, 255}), 0, 0xa0), -1},
	} {
		xr := parse(t, c.packet)
		if got := -1; xr != nil {
			got = len(xr.Reports)
			if got != c.blocks {
				t.Errorf("%s: %d blocks", name, got)
			}
		} else if c.blocks >= 0 {
			t.Errorf("%s: not read", name)
		}
	}
	// A report that is nonsense does not hide what follows.
	sr, _ := (&rtcp.SenderReport{SSRC: 2}).Marshal()
	bye, _ := (&rtcp.Goodbye{Sources: []uint32{2}}).Marshal()
	short := []byte{0x80, 207, 0, 0}
	packets, err := unmarshal(slices.Concat(sr, short, extended([]byte{7, 0, 0xff, 0xff}), bye))
	if _, ok := packets[len(packets)-1].(*rtcp.Goodbye); err != nil || !ok {
		t.Errorf("%v, %v", packets, err)
	}
}

// FuzzExtendedReport: what is read can be written, and is read again the same,
// and no packet becomes more than it held.
func FuzzExtendedReport(f *testing.F) {
	f.Add(extended(xrReference, xrDLRR, xrVoIP))
	f.Add(extended([]byte{7, 0, 0xff, 0xff}, []byte{5, 0, 0, 0}))
	f.Add([]byte{0xa0, 207, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4})
	now := time.Unix(1000, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		var h rtcp.Header
		if h.Unmarshal(b) != nil || h.Type != rtcp.TypeExtendedReport {
			return
		}
		xr, ok := parseExtended(h, b)
		if !ok {
			return
		}
		if len(xr.Reports) > len(b)/4 {
			t.Fatalf("%d blocks of %d octets", len(xr.Reports), len(b))
		}
		c := core{ssrc: 1, peerSSRC: xr.SenderSSRC, media: &media{begun: now}}
		c.takeExtended(now, xr)
		if p := c.peer; !(p.MOS >= 0 && p.MOS <= 5) || p.Lost < 0 || p.Lost > 100 || p.EchoLoss < 0 || c.rtt < 0 {
			t.Errorf("%+v", c.peer)
		}
		written, err := xr.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Unmarshal(written); err != nil || int(h.Length+1)*4 != len(written) {
			t.Fatalf("%v, %d words for %d octets", err, h.Length+1, len(written))
		}
		again, ok := parseExtended(h, written)
		if !ok {
			t.Fatal("what was written is not read")
		}
		if twice, err := again.Marshal(); err != nil || !bytes.Equal(twice, written) {
			t.Errorf("% x became % x, %v", written, twice, err)
		}
	})
}

// RFC 3611, Section 4.7: "Implementations MUST provide values for all the fields
// defined here. For certain metrics, if the value is undefined or unknown, then
// the specified default or unknown field value MUST be provided." Section 4.7.2,
// of the densities: "This field MUST be populated and MUST be set to zero if no
// packets have been received."
func TestVoIPMetricsThatAreNotKnown(t *testing.T) {
	c, _ := secureCore(t, time.Unix(1000, 0))
	s := c.stats()
	got := *c.voipMetrics(&s)
	if want := (rtcp.VoIPMetricsReportBlock{
		SSRC: c.peerSSRC, EndSystemDelay: 20, SignalLevel: 127, NoiseLevel: 127, RERL: 127, Gmin: 16,
		RFactor: 127, ExtRFactor: 127, MOSLQ: 127, MOSCQ: 127, RXConfig: 0xb0, JBMaximum: 500, JBAbsMax: 500,
	}); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// RFC 3611, Section 4.7.1: "multiplying the result of the division by 256,
// limiting the maximum value to 255 (to avoid overflow), and taking the integer
// part".
func TestFraction(t *testing.T) {
	for share, want := range map[float64]uint8{0: 0, 0.0039: 0, 0.004: 1, 0.5: 128, 0.999: 255, 1: 255, 2: 255, -0.1: 0} {
		if got := fraction(share); got != want {
			t.Errorf("%g: %d, want %d", share, got, want)
		}
	}
	if got := fraction(math.NaN()); got != 0 {
		t.Errorf("nothing of nothing is %d", got)
	}
	for d, want := range map[time.Duration]uint16{-1: 0, 1499 * time.Microsecond: 1, time.Minute: 60000, time.Hour: 65535} {
		if got := wireMillis(d); got != want {
			t.Errorf("%v: %d ms", d, got)
		}
	}
}

// take returns what is in the packets of RTCP that the core has queued.
func take(t *testing.T, c *core, peer *media) (all []rtcp.Packet) {
	t.Helper()
	for _, o := range c.packets {
		plain, err := peer.srtp.OpenRTCP(nil, o.b)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := rtcp.Unmarshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, packets...)
	}
	c.packets = nil
	return all
}

// Who has sent nothing yet says what time it is (RFC 3611, Section 4.4), and
// learns the round trip from the reply (Section 4.5). Extended reports come
// after the report and the name (RFC 3550, Section 6.1).
func TestRoundTripOfAListener(t *testing.T) {
	now := time.Unix(1000, 0)
	c, peer := secureCore(t, now)
	c.packets = nil
	c.sendReport(now)
	packets := take(t, c, peer)
	if len(packets) < 3 {
		t.Fatalf("%v", packets)
	}
	_, rr := packets[0].(*rtcp.ReceiverReport)
	_, name := packets[1].(*rtcp.SourceDescription)
	xr, ok := packets[2].(*rtcp.ExtendedReport)
	if !rr || !name || !ok || len(xr.Reports) != 1 {
		t.Fatalf("%v", packets)
	}
	ref := xr.Reports[0].(*rtcp.ReceiverReferenceTimeReportBlock)

	// The peer's own core would answer so: 250 ms later, and 40 ms on the way.
	other := core{ssrc: c.peerSSRC, peerSSRC: c.ssrc}
	other.takeExtended(now, &rtcp.ExtendedReport{SenderSSRC: c.ssrc, Reports: []rtcp.ReportBlock{ref}})
	if other.sawReference != now {
		t.Fatal("the reference time is not taken")
	}
	later := now.Add(250 * time.Millisecond)
	reply := &rtcp.ExtendedReport{SenderSSRC: c.peerSSRC, Reports: []rtcp.ReportBlock{&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{
		{SSRC: c.ssrc + 1, LastRR: 1, DLRR: 1}, // somebody else
		{SSRC: c.ssrc, LastRR: other.referenceNTP, DLRR: since(other.sawReference, later)},
	}}}}
	plain, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: c.peerSSRC}, reply})
	if err != nil {
		t.Fatal(err)
	}
	b, err := peer.srtp.AppendRTCP(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	c.Receive(later.Add(40*time.Millisecond), kindRTCP, c.remote, b)
	if c.rtt < 39*time.Millisecond || c.rtt > 41*time.Millisecond {
		t.Errorf("round trip %v", c.rtt)
	}

	// And we reply in the same way; once we send, our sender reports serve.
	c.sawReference, c.referenceNTP = later, 77
	c.media.sent.Store(1)
	c.packets = nil
	c.sendReport(later.Add(time.Second))
	xr, _ = take(t, c, peer)[2].(*rtcp.ExtendedReport)
	if xr == nil || len(xr.Reports) != 1 {
		t.Fatalf("%v", xr)
	}
	if r := xr.Reports[0].(*rtcp.DLRRReportBlock); r.Reports[0] != (rtcp.DLRRReport{SSRC: c.peerSSRC, LastRR: 77, DLRR: 65536}) {
		t.Errorf("%+v", r)
	}
	// A reply that still comes is of an earlier moment than our reports say.
	known := c.rtt
	c.takeExtended(later.Add(10*time.Second), reply)
	if c.rtt != known {
		t.Errorf("round trip %v by a reply that was overtaken", c.rtt)
	}
	// And what was asked so long ago is not answered any more.
	c.packets = nil
	c.sendReport(later.Add(time.Minute))
	for _, p := range take(t, c, peer) {
		if xr, is := p.(*rtcp.ExtendedReport); is {
			t.Errorf("after a minute: %v", xr)
		}
	}
}

// Reports of another stream, or by another source, are not about us.
func TestExtendedReportOfAnother(t *testing.T) {
	c := core{ssrc: 1, peerSSRC: 2}
	other := *xrBlocks[2].(*rtcp.VoIPMetricsReportBlock)
	other.SSRC = 3
	c.takeExtended(time.Now(), &rtcp.ExtendedReport{SenderSSRC: 2, Reports: []rtcp.ReportBlock{&other}})
	c.takeExtended(time.Now(), &rtcp.ExtendedReport{SenderSSRC: 3, Reports: xrBlocks})
	if c.peer != (PeerReport{}) || !c.sawReference.IsZero() {
		t.Errorf("%+v", c.peer)
	}
	for _, score := range []uint8{0, 9, 51, 127, 255} {
		other.MOSCQ, other.RERL = score, 127
		if p := newPeerReport(&other); p.MOS != 0 || p.EchoLoss != 0 {
			t.Errorf("%d: %+v", score, p)
		}
	}
}

// In a whole call with another program: each side knows how it sounds at the
// other, and the figures agree with those that are counted there.
func TestFiguresOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5)
		w.bob.conf.Client = "another phone" // no redundancy
		w.conditions(memnet.Conditions{Delay: 50 * time.Millisecond})
		w.net.SetConditions(w.alice.addr, w.bob.addr, memnet.Conditions{Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1})
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(60 * time.Second)
		w.stop()
		a, _ := find[Ended](&w.alice)
		b, _ := find[Ended](&w.bob)
		from, at := a.Stats, b.Stats // what Alice knows of how she sounds, and what Bob hears
		if at.MOS < 3 || at.MOS > 4 || from.MOS < 4.3 {
			t.Errorf("Bob hears %.2f, Alice %.2f", at.MOS, from.MOS)
		}
		if math.Abs(from.Peer.MOS-at.MOS) > 0.2 || math.Abs(at.Peer.MOS-from.MOS) > 0.1 || from.Peer.MOSListening < from.Peer.MOS {
			t.Errorf("Alice is told %.2f, Bob counts %.2f; Bob is told %.2f, Alice counts %.2f", from.Peer.MOS, at.MOS, at.Peer.MOS, from.MOS)
		}
		if p := from.Peer; math.Abs(p.Lost-at.Loss) > 2 || p.Lost < 7 || p.Discarded > 1 || p.BurstDensity < p.GapDensity || p.Gap == 0 || p.Burst < 40*time.Millisecond {
			t.Errorf("Alice is told %+v, Bob lost %.1f %%", p, at.Loss)
		}
		if rtt := from.Peer.RoundTrip; rtt < 99*time.Millisecond || rtt > 115*time.Millisecond || from.RTT < 99*time.Millisecond {
			t.Errorf("round trip %v, the peer says %v", from.RTT, rtt)
		}
		if d := from.Peer.Delay - audio.FrameDuration - at.PlayoutDelay; d.Abs() > 15*time.Millisecond {
			t.Errorf("Bob's end has %v, of that playout %v", from.Peer.Delay, at.PlayoutDelay)
		}
		t.Logf("Bob hears %.2f and says %.2f, Alice hears %.2f and says %.2f; %+v", at.MOS, from.Peer.MOS, from.MOS, at.Peer.MOS, from.Peer)
		if from.PeerJitter < time.Millisecond || at.PeerJitter > time.Millisecond/2 {
			t.Errorf("jitter at Bob's %v, at Alice's %v", from.PeerJitter, at.PeerJitter)
		}
	})
}

// With redundancy the figures are those of what is left to conceal.
func TestFiguresAfterRedundancy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		w.net.SetConditions(netip.AddrPort{}, netip.AddrPort{}, memnet.Conditions{Delay: 20 * time.Millisecond, Loss: 0.1})
		w.run()
		await[Answered](t, &w.alice)
		time.Sleep(60 * time.Second)
		w.stop()
		b, _ := find[Ended](&w.bob)
		s := b.Stats
		t.Logf("%.1f %% lost, MOS %.2f, %v recovered, %d copies", s.Loss, s.MOS, s.Recovered, s.Redundancy)
		if s.Loss < 7 || s.MOS < 4.1 || s.Recovered < 3*time.Second || s.Redundancy < 2 {
			t.Errorf("%.1f %% lost, MOS %.2f, %v recovered, %d copies", s.Loss, s.MOS, s.Recovered, s.Redundancy)
		}
		if s.Peer.Lost > 3 || s.Peer.MOS < 4.1 {
			t.Errorf("Bob is told %+v", s.Peer)
		}
	})
}
