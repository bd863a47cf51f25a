package call

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/pion/rtcp"

	"securecall/crypto/zrtp/wire"
	"securecall/nat/memnet"
)

// secureCore is a caller's core that has keys and waits for the answer, and
// the media half of its peer.
func secureCore(tb testing.TB, now time.Time) (*core, *media) {
	tb.Helper()
	conf, err := Config{Echo: true}.withDefaults()
	if err != nil {
		tb.Fatal(err)
	}
	c, err := newCaller(&conf, wire.ZID{1}, memnet.New(1).Path(address(1)), []netip.AddrPort{{}}, "")
	if err != nil {
		tb.Fatal(err)
	}
	c.start(now)
	ours, theirs := pair(tb)
	c.media, c.ssrc, c.peerSSRC, c.client = ours, ours.out.SSRC, theirs.out.SSRC, clientPrefix
	c.media.at.Store(provenPlace(c.remote))
	c.secured(now)
	return c, theirs
}

// FuzzReceiveRTCP: a peer that has the keys is still not to be trusted with
// our memory, our time or our state.
func FuzzReceiveRTCP(f *testing.F) {
	report := &rtcp.ReceiverReport{SSRC: 2, Reports: []rtcp.ReceptionReport{{SSRC: 1, LastSenderReport: 1, Delay: 1}}}
	app := &rtcp.ApplicationDefined{SSRC: 2, Name: appName, Data: appData{messages: []message{{1, wordAnswered, nil}}}.append(nil)}
	for _, packets := range [][]rtcp.Packet{
		{report},
		{report, app},
		{&rtcp.SenderReport{SSRC: 2}, &rtcp.Goodbye{Sources: []uint32{2}}},
		{&rtcp.SenderReport{SSRC: 2}, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 2}}}},
	} {
		b, err := rtcp.Marshal(packets)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		now := time.Unix(1000, 0)
		c, peer := secureCore(t, now)
		b, err := peer.srtp.AppendRTCP(nil, plain)
		if err != nil {
			return // no RTCP at all, or of another SSRC
		}
		for range 3 { // the repeats are replays
			c.Receive(now, kindRTCP, c.remote, b)
		}
		for range 100 {
			now = now.Add(100 * time.Millisecond)
			c.Tick(now)
		}
		if len(c.packets) > 100 || len(c.events) > 20 {
			t.Errorf("one packet made %d packets and %d events", len(c.packets), len(c.events))
		}
		if d := c.Deadline(); !d.IsZero() && !d.After(now) {
			t.Errorf("Tick leaves something due: %v at %v", d, now)
		}
	})
}

// set is t on a wall clock that was set forward by an hour in the meantime, while the monotonic
// one went on: package time has no such thing for tests, and keeps the seconds of the wall from
// bit 30 of its first word on.
func set(t *testing.T, now time.Time) time.Time {
	t.Helper()
	later := now
	*(*uint64)(unsafe.Pointer(&later)) += 3600 << 30
	if later.Sub(now) != 0 || later.Unix()-now.Unix() != 3600 {
		t.Fatalf("package time keeps its clocks in another way: %v, %v", now, later)
	}
	return later
}

// A wall clock that is set forward by an hour loses nobody, and no round trip takes an hour.
func TestClockThatJumps(t *testing.T) {
	now := time.Now()
	c, peer := secureCore(t, now)
	c.media.begun = now
	c.begin(now, false)
	c.media.hears(set(t, now.Add(20*time.Second)))
	if got := c.media.lastHeard().Sub(now); got != 20*time.Second {
		t.Errorf("heard after %v", got)
	}
	c.takeRoundTrip(set(t, now.Add(20*time.Second)), middle(c.media.ntp(now.Add(19*time.Second))), 65536*9/10)
	if ms := c.rtt.Milliseconds(); ms < 99 || ms > 100 {
		t.Errorf("a round trip of %v, want 100 ms", c.rtt)
	}
	// What we tell the peer goes by the same clock.
	c.media.sent.Store(1)
	c.packets = nil
	c.sendRTCP(set(t, now.Add(20*time.Second)), false)
	c.media.sent.Store(0)
	c.sendReport(set(t, now.Add(20*time.Second)))
	want, times := c.media.ntp(now.Add(20*time.Second)), 0
	for _, p := range take(t, c, peer) {
		var told uint64
		switch p := p.(type) {
		case *rtcp.SenderReport:
			told = p.NTPTime
		case *rtcp.ExtendedReport:
			told = p.Reports[0].(*rtcp.ReceiverReferenceTimeReportBlock).NTPTimestamp
		default:
			continue
		}
		if times++; told != want {
			t.Errorf("%T tells a time that is %d s off", p, int64(told>>32)-int64(want>>32))
		}
	}
	if times != 2 {
		t.Errorf("%d packets tell a time", times)
	}
	c.Tick(set(t, now.Add(45*time.Second)))
	if c.phase != talking {
		t.Errorf("25 s after the last packet: phase %d", c.phase)
	}
	c.Tick(set(t, now.Add(51*time.Second)))
	if c.phase != leaving || c.result.Reason != ReasonLost {
		t.Errorf("31 s after the last packet: phase %d, %v", c.phase, c.result.Reason)
	}
}
