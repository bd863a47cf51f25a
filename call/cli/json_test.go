package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"securecall/audio/device"
	"securecall/call"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sampleStats() call.Stats {
	return call.Stats{
		RTT: 12300 * time.Microsecond, Jitter: 1250 * time.Microsecond, Loss: 0.5, PeerLoss: 1.25,
		PeerJitter: 2510 * time.Microsecond, PlayoutDelay: 60 * time.Millisecond, Concealed: 40 * time.Millisecond,
		Recovered: 220 * time.Millisecond, Redundancy: 2, MOS: 4.37, Peer: call.PeerReport{MOS: 4.1},
		Sent: 250, Received: 249, Dropped: map[string]uint64{"foreign": 2, "replay": 1},
	}
}

// sampleEvents are one of each, as a call might tell them.
func sampleEvents() []item {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	bob := netip.MustParseAddrPort("203.0.113.7:5004")
	six := netip.MustParseAddrPort("[2001:db8::7]:5004")
	secured := call.Secured{
		Role: "initiator", ZID: "000102030405060708090a0b", Remote: bob, Hash: "S256", Cipher: "AES3", Auth: "HS80",
		KeyAgreement: "X255", SASType: "B256", SAS: "tissue disbelief", Continuity: "new", PeerClient: "secure\x1b[2Jcall\u202e 0.1",
	}
	known, verified, changed, itself := secured, secured, secured, secured
	known.Continuity, known.PeerVerified, known.Auxiliary, known.Contact = "match", true, "match", "bob"
	verified.Continuity, verified.Verified, verified.Discloses = "match", true, true
	changed.Continuity, changed.Auxiliary, changed.Attempts = "mismatch", "mismatch", 17
	itself.Itself, itself.KeyAgreement = true, "XM76"
	lost := &device.Error{Spec: "headset", Err: errors.New("the device is gone"), Hint: "plug it in again"}
	events := []struct {
		id int
		e  call.Event
	}{
		{0, call.Listening{Addrs: []netip.AddrPort{bob, six}}},
		{1, call.Dialing{Peer: "bob.example", Addr: bob}},
		{1, call.Refused{Addr: bob}},
		{1, call.Refused{Addr: bob}}, // said once
		{1, call.PathChanged{Kind: "direct", Local: six, Remote: bob}},
		{1, secured},
		{1, call.Incoming{Addr: bob, ZID: secured.ZID}},
		{1, known},
		{1, call.Incoming{Addr: bob, ZID: secured.ZID, Contact: "bob\x1b[2J"}},
		{1, verified},
		{1, changed},
		{1, call.KeyChanged{ZID: secured.ZID, Contact: "bob\u202e"}},
		{1, call.Guarded{On: true}},
		{1, call.Guarded{On: false}},
		{1, call.Verified{How: "typed"}},
		{1, itself},
		{1, call.KeyChanged{ZID: secured.ZID, Contact: "bob", Another: true}},
		{1, call.Verified{How: "via"}},
		{1, call.Ringing{}},
		{1, call.Answered{}},
		{1, call.Muted{On: true}},
		{1, call.Muted{On: false}},
		{1, call.Held{On: true}},
		{1, call.Held{On: false}},
		{1, call.Recording{On: true, File: "call.wav"}},
		{1, call.Recording{File: "call.wav", Err: errors.New("no space left on device")}},
		{1, call.Recording{Err: call.ErrUntold}},
		{1, call.PeerRecording{On: true}},
		{1, call.PeerRecording{On: false}},
		{1, call.Text{Text: "back in\nfive \x1b[2Jminutes\u202e"}},
		{1, call.DTMF{Digits: "5"}},
		{1, sampleStats()},
		{1, call.Stats{}},
		{1, call.DeviceState{Which: "mic", State: "lost", Err: lost}},
		{1, call.DeviceState{Which: "speaker", State: "lost", Err: lost}},
		{1, call.DeviceState{Which: "speaker", State: "back"}},
		{1, call.Fault{Err: errors.New("out\x07 of luck"), Hint: "try again"}},
		{1, call.Fault{Err: lost}},
		{1, call.Ended{Reason: call.ReasonNormal, Duration: 83456 * time.Millisecond, Stats: sampleStats()}},
		{2, call.Ended{Reason: call.ReasonDevice, Err: lost}},
		{3, call.Dialing{Peer: "bob.example", Addr: six}},
		{3, call.Dialing{Peer: "bob.example", Addr: bob}},
		{3, call.Refused{Addr: six}},
		{3, call.Refused{Addr: bob}},
		{3, call.PathChanged{Kind: "punched", Local: six, Remote: bob}},
		{3, call.Answered{Mutual: true}},
		{3, call.PathChanged{Kind: "punched", Local: six, Remote: six}},
		{3, call.Ended{Reason: call.ReasonUnreachable}},
	}
	items := make([]item, len(events))
	for i, e := range events {
		items[i] = item{at.Add(time.Duration(i) * time.Second), e.id, e.e}
	}
	return items
}

// The lines are a contract with other people's scripts.
func TestEventLines(t *testing.T) {
	var b bytes.Buffer
	j := newEvents(&b, &settings{mic: "headset", speaker: "default"})
	for _, i := range sampleEvents() {
		if err := j.show(i.at, i.id, i.e); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "testdata/events.jsonl", b.Bytes())
}

// fields is the table of the contract: every event has these and no others.
var fields = map[string]string{
	"listening": "addrs",
	"dialing":   "peer addr",
	"incoming":  "addr zid",
	"verified":  "how",
	"ringing":   "",
	"answered":  "",
	"path":      "kind local remote",
	"secured":   "role zid name hash cipher auth key_agreement sas_type sas continuity verified peer_verified code peer_client",
	"stats":     "rtt_ms jitter_ms loss_pct peer_jitter_ms peer_loss_pct playout_delay_ms concealed_ms recovered_ms redundancy mos peer_mos sent received dropped",
	"muted":     "on",
	"held":      "on",
	"recording": "on",
	"text":      "text",
	"dtmf":      "digits",

	"peer_recording": "on",

	"key_changed": "zid name",
	"device":      "which state name",
	"error":       "message hint",
	"ended":       "reason code duration_s stats",
}

// sometimes are fields that are there only where they say something.
var sometimes = map[string]string{
	"incoming":  "name",
	"recording": "file",
	"secured":   "aux peer_discloses own_installation attempts",
}

func TestEventFields(t *testing.T) {
	var b bytes.Buffer
	j := newEvents(&b, &settings{})
	for _, i := range sampleEvents() {
		if err := j.show(i.at, i.id, i.e); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(b.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		name, _ := m["event"].(string)
		seen[name] = true
		if m["v"] != 1.0 {
			t.Errorf("%s: v is %v", name, m["v"])
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z07:00", m["time"].(string)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, has := m["call"]; has != (name != "listening") {
			t.Errorf("%s: call is %v", name, m["call"])
		}
		for _, k := range []string{"v", "time", "event", "call"} {
			delete(m, k)
		}
		var got []string
		for k := range m {
			if !slices.Contains(strings.Fields(sometimes[name]), k) {
				got = append(got, k)
			}
		}
		want := strings.Fields(fields[name])
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the fields %q, the contract %q", name, got, want)
		}
	}
	for name := range fields {
		if !seen[name] {
			t.Errorf("no line for the event %s", name)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", name, got)
	}
}
