package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/audio/speech"
	"securecall/call"
	"securecall/crypto/zidcache"
	"securecall/nat/mapping"
	"securecall/nat/reflexive"
	"securecall/nat/rendezvous"
)

func seenBy(server, at, local, mapped string) sighting {
	return sighting{
		server: server, at: netip.MustParseAddrPort(at), local: netip.MustParseAddr(local),
		mapped: netip.MustParseAddrPort(mapped), took: 23 * time.Millisecond,
	}
}

func places(list ...string) (all []netip.AddrPort) {
	for _, s := range list {
		all = append(all, netip.MustParseAddrPort(s))
	}
	return all
}

// sampleChecks are what doctor can find, in the order in which it looks.
func sampleChecks(t *testing.T) (all []check) {
	lost := &device.Error{Spec: "headset", Err: errors.New("the device is gone"), Hint: "plug it in again"}
	mics := []device.Info{{Name: "a", Input: true}, {Name: "b"}, {Name: "c"}}
	all = append(all,
		devicesCheck(mics, nil, true, true),
		devicesCheck(mics[1:], nil, true, true),
		devicesCheck(mics[1:], nil, false, true),
		devicesCheck(nil, errors.New("the sound server does not answer"), true, true),
		elseCheck("microphone", "none", nil),
		elseCheck("microphone", "-", nil),
		elseCheck("speaker", "heard.wav", nil),
		elseCheck("microphone", "x\x1b[2J.wav", &device.Error{Spec: "x.wav", Err: errors.New("not a WAV file"), File: true}),
		soundFailure(t.Context(), "speaker", "headset", lost),
		echoCheck(echo{}),
		echoCheck(echo{true, 84 * time.Millisecond, -12.2}),
		echoCheck(echo{true, 84 * time.Millisecond, -0.1}),
		echoCheck(echo{true, 410 * time.Millisecond, 3}),
	)
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	all = append(all, soundFailure(over, "microphone", "headset", os.ErrClosed))

	both, v4 := netip.MustParseAddrPort("[::]:5004"), netip.MustParseAddrPort("0.0.0.0:5004")
	all = append(all,
		addressesCheck(both, places("203.0.113.7:5004", "[2001:db8::7]:5004"), true),
		addressesCheck(both, places("192.168.1.5:5004", "100.64.0.7:5004"), true),
		addressesCheck(both, places("192.168.1.5:5004"), false),
		addressesCheck(both, places("[2001:db8::7]:5004"), true),
		addressesCheck(v4, places("203.0.113.7:5004"), true),
		addressesCheck(both, places("127.0.0.1:5004", "[::1]:5004"), true),
		addressesCheck(both, nil, false),
		addressesCheck(netip.MustParseAddrPort("127.0.0.1:5004"), places("127.0.0.1:5004"), false),
	)

	d := &checkup{via: &rendezvous.Address{Host: "meet.example", Port: 443}}
	for _, err := range []error{rendezvous.ErrLimit, &rendezvous.ServerError{Server: "meet.example:443", Kind: rendezvous.ErrNotTrusted}} {
		all = append(all, serverFailure("meeting point", d.silent(t.Context(), err)))
	}
	all = append(all, serverFailure("meeting point", d.silent(over, context.DeadlineExceeded)))

	home := seenBy("meet.example:3478", "203.0.113.1:3478", "192.168.1.5", "198.51.100.2:40001")
	six := seenBy("meet.example:3478", "[2001:db8::1]:3478", "2001:db8::7", "[2001:db8::7]:5004")
	same := seenBy("relay.example:3478", "203.0.113.2:3478", "192.168.1.5", "198.51.100.2:40001")
	another := seenBy("relay.example:3478", "203.0.113.2:3478", "192.168.1.5", "198.51.100.2:40002")
	open := seenBy("meet.example:3478", "203.0.113.1:3478", "198.51.100.9", "198.51.100.9:5004")
	silent := sighting{server: "relay.example:3478", err: reflexive.ErrNoAnswer}
	for _, seen := range [][]sighting{{home}, {home, six}, {home, same}, {home, another}, {open}, {home, silent}, {silent}, {silent, silent}} {
		m := mappingOf(seen)
		k, natted := natCheck(seen, reflexive.Behaviour{Mapping: m})
		udp := udpCheck(seen)
		p := prospects{udp: slices.ContainsFunc(seen, func(s sighting) bool { return s.err == nil }), nat: natted, mapping: m}
		all = append(all, udp)
		if p.udp {
			all = append(all, k)
		}
		for _, p.relay = range [][2]bool{{true, true}, {false, true}, {false, false}} {
			all = append(all, p.check())
		}
	}
	for m := range reflexive.AddressAndPortDependent {
		k, _ := natCheck([]sighting{home}, reflexive.Behaviour{Mapping: m + 1, Filtering: reflexive.AddressAndPortDependent - m})
		all = append(all, k)
	}

	mapped := mapping.Mapping{External: netip.MustParseAddrPort("198.51.100.2:5004"), By: mapping.PCP}
	within := mapping.Mapping{External: netip.MustParseAddrPort("100.64.0.7:5004"), By: mapping.UPnP}
	all = append(all,
		mappingCheck(mapped, netip.Addr{}),
		mappingCheck(mapped, mapped.External.Addr()),
		mappingCheck(mapped, open.mapped.Addr()),
		mappingCheck(within, netip.Addr{}),
		failure("port mapping", mapping.ErrNoGateway),
	)

	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	all = append(all,
		clockCheck(noon, 0, 0, false),
		clockCheck(noon, 0, 2*time.Minute, true),
		clockCheck(noon, 0, 2*time.Minute+time.Second, true),
		clockCheck(noon, 0, -26*time.Hour, true),
		clockCheck(noon, -time.Minute, 0, true),
		clockCheck(time.Unix(0, 0), 0, 0, false),
	)
	return all
}

// What a person reads, and what a script does, of everything that can be found.
func TestDoctorTexts(t *testing.T) {
	var b bytes.Buffer
	for _, script := range []bool{false, true} {
		out := &console{w: &b}
		d := &checkup{out: out, screen: &screen{talk: io.Discard}, json: script}
		checks := sampleChecks(t)
		if !script {
			d.tell(checks...)
			_ = d.end(nil)
			continue
		}
		begin := b.Len()
		d.tell(checks...)
		for line := range strings.Lines(b.String()[begin:]) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			for _, k := range []string{"v", "time", "event", "name", "ok", "what", "hint"} {
				if _, has := m[k]; !has {
					t.Errorf("no %s in %s", k, line)
				}
			}
			// Cause and next step stand in whatever is not as it should be.
			if (m["ok"] == false || m["warn"] == true) && (m["what"] == "" || m["hint"] == "") {
				t.Errorf("no cause or no next step: %s", line)
			}
		}
		b.Truncate(begin)
	}
	golden(t, "testdata/doctor.txt", b.Bytes())
}

// The status is that of the first failure, whatever comes later.
func TestDoctorStatus(t *testing.T) {
	for _, test := range []struct {
		checks []check
		want   int
	}{
		{[]check{{label: "a"}, {label: "b", doubt: true}}, 0},
		{[]check{{label: "a", doubt: true}, {label: "b", status: 17}, {label: "c", status: 30}}, 17},
	} {
		var b bytes.Buffer
		d := &checkup{out: &console{w: &b}, screen: &screen{talk: io.Discard}, json: true}
		d.tell(test.checks...)
		err := d.end(nil)
		got := exitStatus(0)
		if err != nil && !errors.As(err, &got) || int(got) != test.want {
			t.Errorf("%+v: %v, want %d", test.checks, err, test.want)
		}
		if want := fmt.Sprintf(`"event":"doctor","ok":%t,"code":%d}`+"\n", test.want == 0, test.want); !strings.HasSuffix(b.String(), want) {
			t.Errorf("the last line is not %s:\n%s", want, b.String())
		}
	}
}

// noise is white, with a peak of that much.
func noise(n int, peak float64) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(peak * (2*r.Float64() - 1))
	}
	return pcm
}

func TestFindEcho(t *testing.T) {
	played := sweep()
	const second = audio.SampleRate
	// room is what is heard of the sweep at a gain, from there on.
	room := func(background []int16, at int, gain float64) []int16 {
		heard := slices.Clone(background)
		for i, p := range played {
			heard[at+i] += int16(math.Round(gain * float64(p)))
		}
		return heard
	}
	hum := make([]int16, 2*second)
	for i := range hum {
		hum[i] = int16(3000 * math.Sin(2*math.Pi*440*float64(i)/second))
	}
	silence, rustle := make([]int16, 2*second), noise(2*second, 1000)
	for name, test := range map[string]struct {
		heard []int16
		found bool
		at    int
		gain  float64
	}{
		"at once":         {room(silence, 0, 1), true, 0, 0},
		"softer":          {room(silence, 700, 0.25), true, 700, -12},
		"the wrong way":   {room(silence, 700, -0.25), true, 700, -12},
		"at the end":      {room(silence, 2*second-len(played), 0.5), true, 2*second - len(played), -6},
		"under noise":     {room(rustle, 3211, 0.1), true, 3211, -18.6},
		"beside a hum":    {room(hum, 3211, 0.3), true, 3211, -7.1},
		"silence":         {silence, false, 0, 0},
		"noise":           {rustle, false, 0, 0},
		"a hum":           {hum, false, 0, 0},
		"speech":          {speech.Samples()[:2*second], false, 0, 0},
		"far under noise": {room(rustle, 3211, 0.005), false, 0, 0},
		"nothing":         {nil, false, 0, 0},
		"too little":      {played[1:], false, 0, 0},
	} {
		e := findEcho(test.heard, 0, played)
		if e.found != test.found || e.after != audio.Duration(test.at) || math.Abs(e.gain-test.gain) > 2.5 { // the noise counts too
			t.Errorf("%s: %+v; want %t after %v, %.1f dB", name, e, test.found, audio.Duration(test.at), test.gain)
		}
	}
}

// What was handed over later than it was heard came at once: a machine that was too busy has
// dropped some of the sound.
func TestEchoBefore(t *testing.T) {
	played := sweep()
	heard := append(make([]int16, 700), played...)
	for before, want := range map[int]time.Duration{0: audio.Duration(700), 300: audio.Duration(400), 900: 0} {
		if e := findEcho(heard, before, played); !e.found || e.after != want {
			t.Errorf("%d before: %+v, want %v", before, e, want)
		}
	}
}

// A hall has a speaker, and a microphone that hears it later; each has a frame's time for a
// frame, and may break.
type hall struct {
	delay time.Duration
	begun time.Time
	takes int // frames, before the speaker breaks
	gives int // frames, before the microphone does

	mu    sync.Mutex
	sound []int16 // since begun
	read  int
}

type (
	hallSpeaker struct{ *hall }
	hallMic     struct{ *hall }
)

func (*hall) Close() error { return nil }

func (h hallSpeaker) WriteFrame(f audio.Frame) error {
	h.mu.Lock()
	if h.takes--; h.takes < 0 {
		h.mu.Unlock()
		return errors.New("the speaker is gone")
	}
	at := audio.Samples(time.Since(h.begun) + h.delay)
	h.sound = append(h.sound, make([]int16, max(0, at+len(f)-len(h.sound)))...)
	copy(h.sound[at:], f)
	h.mu.Unlock()
	time.Sleep(audio.FrameDuration)
	return nil
}

func (h hallMic) ReadFrame(f audio.Frame) error {
	time.Sleep(audio.FrameDuration)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gives--; h.gives < 0 {
		return errors.New("the microphone is gone")
	}
	clear(f)
	if h.read < len(h.sound) {
		copy(f, h.sound[h.read:])
	}
	h.read += len(f)
	return nil
}

func TestPlayAndHear(t *testing.T) {
	const long = 1 << 20
	for name, test := range map[string]struct {
		delay        time.Duration
		takes, gives int
		mic, speaker string // what breaks
	}{
		"near":                   {15 * time.Millisecond, long, long, "", ""},
		"far":                    {640 * time.Millisecond, long, long, "", ""},
		"the speaker breaks":     {0, 30, long, "", "the speaker is gone"},
		"the microphone breaks":  {0, long, 30, "the microphone is gone", ""},
		"and does so at once":    {0, long, 0, "the microphone is gone", ""},
		"both break, one before": {0, 30, 20, "the microphone is gone", "the speaker is gone"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &hall{delay: test.delay, begun: time.Now(), takes: test.takes, gives: test.gives}
			played := sweep()
			heard, before, micErr, err := playAndHear(hallSpeaker{h}, hallMic{h}, played)
			for want, got := range map[string]error{test.mic: micErr, test.speaker: err} {
				if (got == nil) != (want == "") || got != nil && got.Error() != want {
					t.Errorf("%s: %v, want %q", name, got, want)
				}
			}
			if test.mic != "" || test.speaker != "" {
				return
			}
			if e := findEcho(heard, before, played); !e.found || e.after != test.delay {
				t.Errorf("%s: %+v, want %v", name, e, test.delay)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := &hall{begun: time.Now(), takes: long}
		if heard, _, micErr, err := playAndHear(hallSpeaker{h}, nil, sweep()); len(heard) > 0 || micErr != nil || err != nil {
			t.Errorf("nobody hears: %d samples, %v, %v", len(heard), micErr, err)
		}
	})
}

// A doctor changes nothing: neither makes a state, nor sets a damaged one aside.
func TestStateCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	if k := stateCheck(dir); k.status != 0 || k.doubt || !strings.Contains(k.what, "nothing yet") {
		t.Errorf("no state: %+v", k)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("a folder was made")
	}
	c, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Update(zidcache.ZID{1}, func(r *zidcache.Record) error { r.Answered = true; return nil }); err != nil {
		t.Fatal(err)
	}
	files := func() (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	before := files()
	if k := stateCheck(dir); k.status != 0 || k.doubt || !strings.HasSuffix(k.what, "own ZID "+zidText(c.ZID())+", known: 1") {
		t.Errorf("a state: %+v", k)
	}
	if err := os.WriteFile(filepath.Join(dir, "zids"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k := stateCheck(dir); k.status != 0 || !k.doubt || !strings.Contains(k.what, "is damaged: it does not begin as it should") {
		t.Errorf("a damaged state: %+v", k)
	}
	if got := files(); !slices.Equal(got, before) {
		t.Errorf("the folder had %v, and has %v", before, got)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if k := stateCheck(dir); k.status != int(call.ReasonNotPossible) || !strings.Contains(k.what, "is not private") {
		t.Errorf("a folder for all: %+v", k)
	}
	if k := stateCheck(filepath.Join(dir, "zids", "more")); k.status != int(call.ReasonNotPossible) {
		t.Errorf("a file for a folder: %+v", k)
	}
}

// Who interrupts is not kept waiting by what cannot be interrupted, and gets no further.
func TestDoctorInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		hangs := make(chan struct{})
		defer close(hangs)
		d := &checkup{ctx: ctx, screen: &screen{talk: io.Discard}}
		time.AfterFunc(time.Second, interrupt)
		begun := time.Now()
		err := d.during("what never comes", func(context.Context) { <-hangs })
		if took := time.Since(begun); !errors.Is(err, errInterrupted) || took != time.Second+graceTime {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// What is waited for has an end of its own.
func TestDoctorPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &checkup{ctx: t.Context(), screen: &screen{talk: io.Discard}}
		begun := time.Now()
		var err error
		if e := d.during("nothing", func(ctx context.Context) { <-ctx.Done(); err = late(ctx, ctx.Err()) }); e != nil {
			t.Error(e)
		}
		if took := time.Since(begun); took != checkTime || err.Error() != "no answer within 5 s" {
			t.Errorf("%v after %v", err, took)
		}
	})
}
