package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

// Each line of several calls at once says which call it is of; what is about none has
// no number; and what was kept of a call goes with it.
func TestCrowd(t *testing.T) {
	var out bytes.Buffer
	c := newCrowd(&screen{results: &out, talk: &out, errors: &out, many: true, records: &records{}})
	peer := netip.MustParseAddrPort("192.0.2.7:5004")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.show(at, 0, call.Listening{Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5004")}})
	for id := 1; id <= 2; id++ {
		c.show(at, id, call.Secured{Remote: peer, SAS: "tissue disbelief", KeyAgreement: "X255", Cipher: "AES3"})
		c.show(at, id, call.Incoming{Addr: peer})
		c.show(at, id, call.Answered{})
	}
	c.show(at, 2, call.Recording{On: true, File: "calls/b.wav"})
	c.show(at, 2, call.Ended{Duration: 90 * time.Second})
	text := out.String()
	t.Log(text)
	for _, want := range []string{
		"  securecall dial 192.0.2.1:5004\n", "call 1: secured with 192.0.2.7:5004", "call 2: secured with 192.0.2.7:5004", "call 2: recording to calls/b.wav: ", "call 2: call ended after 1:30\n",
	} {
		if !strings.Contains("\n"+text, "\n"+want) {
			t.Errorf("nobody says %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "secured") && !strings.HasPrefix(line, "call ") {
			t.Errorf("of which call is %q?", line)
		}
	}
	if strings.Count(text, "waiting for a call") != 1 {
		t.Error("each call tells what none of them waits for")
	}
	if len(c.calls) != 1 {
		t.Errorf("%d calls are kept, and one is there", len(c.calls))
	}
}

// A last word about a call that has ended keeps nothing.
func TestCrowdForgets(t *testing.T) {
	var out bytes.Buffer
	c := newCrowd(&screen{results: &out, talk: &out, errors: &out, many: true, records: &records{}})
	c.show(time.Now(), 7, call.Fault{Err: errInterrupted})
	if len(c.calls) != 0 || !strings.HasPrefix(out.String(), "call 7: ") {
		t.Errorf("%d calls are kept after %q", len(c.calls), &out)
	}
}
