package call

import (
	"net/netip"
	"testing"
	"time"

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

// A wall clock that is set forward by an hour loses nobody.
func TestClockThatJumps(t *testing.T) {
	now := time.Now()
	c, _ := secureCore(t, now)
	c.media.begun = now
	c.begin(now, false)
	c.media.hears(now.Add(20 * time.Second))
	if got := c.media.lastHeard().Sub(now); got != 20*time.Second {
		t.Errorf("heard after %v", got)
	}
	c.Tick(now.Add(45 * time.Second))
	if c.phase != talking {
		t.Errorf("25 s after the last packet: phase %d", c.phase)
	}
	c.Tick(now.Add(51 * time.Second))
	if c.phase != leaving || c.result.Reason != ReasonLost {
		t.Errorf("31 s after the last packet: phase %d, %v", c.phase, c.result.Reason)
	}
}
