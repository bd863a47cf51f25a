package cli

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

// told has a hook's facts follow events, and returns them before each end.
func told(t *testing.T, events ...call.Event) facts {
	t.Helper()
	h := newHooks(&settings{hooks: hookCommands{}})
	h.commands["nothing"] = []string{"nothing"} // so that it follows, and runs nothing
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	var f facts
	for _, e := range events {
		h.note(item{at, 7, e})
		if h.calls[7] != nil {
			f = h.calls[7]
		}
	}
	return f
}

var fromBob = call.Secured{
	Role: "responder", ZID: "000102030405060708090a0b", Remote: netip.MustParseAddrPort("203.0.113.7:5004"),
	Hash: "S256", Cipher: "AES3", Auth: "HS80", KeyAgreement: "XM76", SASType: "B256", SAS: "tissue disbelief",
	Continuity: "match", Contact: "bob", PeerClient: "secure\x1b[2Jcall\u202e 0.1",
}

// What a command is told has the names and the text that --json has.
func TestFactsAreTheFieldsOfEvents(t *testing.T) {
	incoming := call.Incoming{Addr: fromBob.Remote, ZID: fromBob.ZID, Contact: "bob"}
	ended := call.Ended{Reason: call.ReasonNormal, Duration: 83456 * time.Millisecond, Stats: sampleStats()}
	f := told(t, fromBob, incoming, ended)
	lines := newEvents(nil, &settings{})
	at := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	for _, e := range []call.Event{fromBob, incoming, ended} {
		for _, line := range lines.lines(at, 7, e) {
			b, err := json.Marshal(line)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(b, &fields); err != nil {
				t.Fatal(err)
			}
			for name, v := range fields {
				switch name {
				case "sas", "stats", "event", "code":
					continue
				}
				if got, want := f[strings.ToUpper(name)], strings.Trim(string(v), `"`); got != want {
					t.Errorf("%s: %s is %q, and in --json %q", e.Name(), name, got, want)
				}
			}
		}
	}
	for name, want := range map[string]string{
		"EVENT": "ended", "CALL": "7", "ADDR": "203.0.113.7:5004", "NAME": "bob", "CONTINUITY": "match", "VERIFIED": "false",
		"BY_CODE": "false", "REASON": "hung up", "CODE": "0", "DURATION_S": "83.456", "MOS": "4.4", "PEER_CLIENT": "secure[2Jcall 0.1",
	} {
		if got, there := f[name]; !there || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"SAS", "DROPPED", "STATS"} {
		if v, there := f[name]; there {
			t.Errorf("%s is told: %q", name, v)
		}
	}
}

// Before its end a call has no exit status, whoever it is with.
func TestFactsOfARingingCall(t *testing.T) {
	f := told(t, call.Secured{ByCode: true, Auxiliary: "match", Continuity: "new"}, call.Incoming{})
	if _, there := f["CODE"]; there || f["BY_CODE"] != "true" || f["NAME"] != "" || f["EVENT"] != "incoming" {
		t.Errorf("facts are %v", f)
	}
}

// What has been verified in the call counts, and why it failed is told.
func TestFactsAddUp(t *testing.T) {
	f := told(t, fromBob, call.Verified{How: "typed"}, call.Ended{Reason: call.ReasonDevice, Err: errors.New("no\x07 sound")})
	for name, want := range map[string]string{
		"VERIFIED": "true", "HOW": "typed", "MESSAGE": "no sound", "REASON": "sound device", "CODE": "30", "ZID": fromBob.ZID,
	} {
		if f[name] != want {
			t.Errorf("%s is %q, want %q", name, f[name], want)
		}
	}
}

// Where --state was a flag, a command finds that folder too, wherever it is started.
func TestCommandsFindTheState(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECURECALL_STATE", "/another")
	s := &settings{}
	s.state = "state"
	h := newHooks(s)
	env := facts{}.environ(h.ours)
	last := ""
	for _, v := range env {
		if dir, is := strings.CutPrefix(v, "SECURECALL_STATE="); is {
			last = dir // of two the last is taken (os/exec)
		}
	}
	if want := filepath.Join(here, "state"); last != want {
		t.Errorf("it is %q, want %q", last, want)
	}
}

// A setting of ours is no fact, and a fact no setting of a securecall inside.
func TestFactsAndSettings(t *testing.T) {
	env := facts{"NAME": "bob", "CIPHER": "AES3"}.environ([]string{"PATH=/bin", "SECURECALL_BIND=[::]:7", "SECURECALL_CIPHER=AES1", "SECURECALL_ZID=false", "SECURECALL_STATE=/s", "HOME=/"})
	want := []string{"PATH=/bin", "SECURECALL_STATE=/s", "HOME=/", "SECURECALL_CIPHER=AES3", "SECURECALL_NAME=bob", "SECURECALL_FACTS=CIPHER NAME"}
	if !slices.Equal(env, want) {
		t.Errorf("the environment is %q, want %q", env, want)
	}
	for _, v := range append(env, "SECURECALL_BIND=[::]:8") { // that the command has set
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	forgetFacts()
	for name, want := range map[string]string{"NAME": "", "CIPHER": "", "FACTS": "", "BIND": "[::]:8"} {
		if got := os.Getenv(factPrefix + name); got != want {
			t.Errorf("inside, %s is %q, want %q", name, got, want)
		}
	}
}
