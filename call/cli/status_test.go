package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"securecall/call"
)

var answeredAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// busyScreen shows a call in which everything goes on at once.
func busyScreen() *screen {
	stats := sampleStats()
	return &screen{
		talking: true, current: 1, waiting: "in the call", since: answeredAt, muted: true, guarded: true,
		doings: doings{
			trust: newStanding(call.Secured{Continuity: "mismatch", Discloses: true}),
			path:  "relayed", stats: &stats, said: -23, heard: -5,
			held: true, recording: true, peerRecords: true, tones: "12", toned: answeredAt.Add(time.Minute),
		},
	}
}

func TestStatusLine(t *testing.T) {
	s := busyScreen()
	want := "in the call · 1:01 · KEYS CHANGED · keys disclosed · microphone closed (v compare, x accept the risk)" +
		" · they record · recording · on hold · muted · tones 12 · you ██░░ them ████" +
		" · loss 0.5 % · delay 60 ms · quality 4.4 · relayed"
	if got := s.status(answeredAt.Add(61*time.Second), 500); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := s.status(answeredAt.Add(64*time.Second), 500); strings.Contains(got, "tones") {
		t.Errorf("tones stay: %s", got)
	}
}

// What an ordinary call shows in a window of 80 columns, before and after the
// first figures.
func TestStatusLineOf80Columns(t *testing.T) {
	s := &screen{talking: true, waiting: "in the call", since: answeredAt, doings: doings{
		trust: newStanding(call.Secured{Continuity: "new"}), path: "direct", said: -100, heard: -28,
	}}
	for want, stats := range map[string]*call.Stats{
		"in the call · 0:07 · not verified · you ░░░░ them ██░░ · direct":     nil,
		"0:07 · not verified · you ░░░░ them ██░░ · loss 0.5 % · delay 60 ms": {Loss: 0.5, MOS: 4.4, PlayoutDelay: 60 * time.Millisecond},
	} {
		s.stats = stats
		if got := s.status(answeredAt.Add(7*time.Second), 79); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// Where nothing comes any more there is no loss to be told, but that: until it is taken for lost, a
// person would only see that the other side says nothing.
func TestStatusTellsThatNothingComes(t *testing.T) {
	s := busyScreen()
	s.showDoing(call.Stats{Received: 100})
	s.came = answeredAt
	s.showDoing(call.Stats{Received: 100})
	if got := s.status(answeredAt.Add(6*time.Second), 500); strings.Contains(got, "nothing") {
		t.Errorf("after 6 s, which is a figure late: %s", got)
	}
	if got := s.status(answeredAt.Add(12*time.Second), 500); !strings.Contains(got, "nothing has come for 12 s") || strings.Contains(got, "loss") {
		t.Errorf("after 12 s: %s", got)
	}
	s.showDoing(call.Stats{Received: 101})
	if got := s.status(time.Now(), 500); strings.Contains(got, "nothing") {
		t.Errorf("and then: %s", got)
	}
}

// A narrow window loses what matters least: how far the other side can be
// trusted stays, and no line is too long.
func TestStatusLineFitsEveryWidth(t *testing.T) {
	s := busyScreen()
	for room := range 400 {
		got := s.status(answeredAt, room)
		if columns(got) > room {
			t.Fatalf("%d columns in a room of %d: %s", columns(got), room, got)
		}
		if room >= len("KEYS CHANGED") && !strings.Contains(got, "KEYS CHANGED") {
			t.Fatalf("room %d: %s", room, got)
		}
		if room >= 80 && !strings.Contains(got, "microphone closed") {
			t.Fatalf("room %d: %s", room, got)
		}
	}
}

// Colours take no room, and are only there where they are wanted.
func TestStatusLineColours(t *testing.T) {
	s := busyScreen()
	plain := s.status(answeredAt, 60)
	s.color = true
	coloured := s.status(answeredAt, 60)
	if !strings.Contains(coloured, "\x1b[31mKEYS CHANGED\x1b[0m") {
		t.Errorf("got %q", coloured)
	}
	if bare := escapes.ReplaceAllString(coloured, ""); bare != plain {
		t.Errorf("with colours %q, without %q", bare, plain)
	}
}

// The status line says "verified" of nobody else.
func TestStatusTellsTheTruth(t *testing.T) {
	for _, c := range []struct {
		e    call.Secured
		want string
	}{
		{call.Secured{Continuity: "new"}, "not verified"},
		{call.Secured{Continuity: "new", PeerVerified: true}, "not verified"},
		{call.Secured{Continuity: "new", ByCode: true, Auxiliary: "match"}, "not verified"},
		{call.Secured{Continuity: "match", Contact: "bob"}, "known, not verified"},
		{call.Secured{Continuity: "match", Verified: true}, "verified"},
		{call.Secured{Continuity: "match", Another: true}, "KEYS CHANGED"},
		{call.Secured{Continuity: "mismatch"}, "KEYS CHANGED"},
	} {
		var b bytes.Buffer
		s := &screen{results: &b, talk: &b}
		s.show(answeredAt, 1, c.e)
		s.show(answeredAt, 1, call.Answered{})
		if got := s.status(answeredAt, 60); !strings.Contains(got, "0:00 · "+c.want+" · ") {
			t.Errorf("%+v: %s", c.e, got)
		}
		s.show(answeredAt, 1, call.Verified{How: "typed"})
		if got := s.status(answeredAt, 60); !strings.Contains(got, "0:00 · verified · ") {
			t.Errorf("compared, and %s", got)
		}
		s.show(answeredAt, 1, call.Ended{})
		if s.trust.word != "" {
			t.Errorf("the next call begins with %q", s.trust.word)
		}
	}
}

func TestMeter(t *testing.T) {
	for level, want := range map[float64]string{
		-100: "░░░░", -50: "░░░░", -40: "█░░░", -26: "██░░", -17: "███░", -5: "████", 0: "████", 3: "████",
	} {
		if got := meter(level); got != want {
			t.Errorf("meter(%v) = %s, want %s", level, got, want)
		}
	}
}

// The meters move where somebody sees them, and nobody is woken for them
// elsewhere.
func TestPace(t *testing.T) {
	live := &console{w: &bytes.Buffer{}, terminal: true}
	for name, c := range map[string]struct {
		s    screen
		want time.Duration
	}{
		"in a call":    {screen{live: live, talking: true}, 100 * time.Millisecond},
		"waiting":      {screen{live: live}, time.Second},
		"while typing": {screen{live: live, talking: true, typing: &prompt{}}, time.Second},
		"no live line": {screen{talking: true}, time.Second},
	} {
		if got := c.s.pace(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What has not changed is not written again; a window of another size gets it
// anew.
func TestLineIsWrittenWhenItChanges(t *testing.T) {
	var b bytes.Buffer
	s := busyScreen()
	s.live = &console{w: &b, terminal: true}
	s.since = time.Now()
	s.redraw()
	first := b.Len()
	s.redraw()
	if first == 0 || b.Len() != first {
		t.Errorf("%d octets, and then %d", first, b.Len())
	}
	s.resized()
	if got, line := b.String()[first:], b.String()[:first]; got != "\r\x1b[J"+line {
		t.Errorf("for a new size %q, and before %q", got, line)
	}
}
