package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"securecall/call"
)

// The status line of a call: the last line of the terminal, renewed in place.
// It begins with how far the other side can be trusted, and leaves out what
// matters least where the window has no room.

// standing is how far the peer can be trusted, in a word or two.
type standing struct {
	word, style string
	discloses   bool // its program says that others have its keys
}

func newStanding(e call.Secured) standing {
	t := standing{"not verified", yellow, e.Discloses}
	switch {
	case e.Another, e.Continuity == "mismatch":
		t.word, t.style = "KEYS CHANGED", red
	case e.Verified:
		t.word, t.style = "verified", green
	case e.Continuity == "match":
		t.word = "known, not verified"
	}
	return t
}

// A part is one thing that the line shows.
type part struct {
	text, style string
	weight      int // of several that do not fit, the lightest goes first
}

// The weights.
const (
	weightWords = iota // which are there for whoever sees the line for the first time
	weightPath
	weightQuality
	weightDelay
	weightLoss
	weightMeters
	weightTones
	weightTime
	weightMuted
	weightHeld
	weightRecording
	weightPeerRecords
	weightMicrophone // closed for the keys' sake, or open at one's own risk
	weightDisclosed
	weightStanding
)

// status is the line, in at most room columns.
func (s *screen) status(now time.Time, room int) string {
	return s.join(fit(s.parts(now), room), room)
}

// longQuiet is more than the time between two figures. A securecall that holds or is mute sends
// silence: of whom nothing comes at all has lost the network, or the program, or is another one.
const longQuiet = 7 * time.Second

// parts are all that there is to show, in the order in which it stands.
func (s *screen) parts(now time.Time) (parts []part) {
	show := func(holds bool, weight int, style, text string) {
		if holds {
			parts = append(parts, part{text, style, weight})
		}
	}
	show(true, weightWords, "", s.waiting)
	show(true, weightTime, "", clock(now.Sub(s.since)))
	show(s.trust.word != "", weightStanding, s.trust.style, s.trust.word)
	show(s.trust.discloses, weightDisclosed, red, "keys disclosed")
	show(s.guarded, weightMicrophone, red, "microphone closed (v compare, x accept the risk)")
	show(s.risk && !s.guarded, weightMicrophone, red, "at your own risk")
	show(s.peerRecords, weightPeerRecords, red, "they record")
	show(s.recording, weightRecording, red, "recording")
	show(s.held, weightHeld, yellow, "on hold")
	show(s.muted, weightMuted, yellow, "muted")
	show(s.tones != "" && now.Sub(s.toned) < toneShown, weightTones, "", "tones "+s.tones)
	show(true, weightMeters, "", "you "+meter(s.said)+" them "+meter(s.heard))
	if s.stats != nil {
		f := newFigures(*s.stats)
		since := now.Sub(s.came)
		quiet := !s.came.IsZero() && since >= longQuiet
		show(quiet, weightMicrophone, yellow, fmt.Sprintf("nothing has come for %.0f s", since.Seconds()))
		show(!quiet, weightLoss, "", fmt.Sprintf("loss %.1f %%", f.Loss))
		show(true, weightDelay, "", fmt.Sprintf("delay %.0f ms", f.PlayoutDelay))
		show(f.MOS > 0, weightQuality, "", "quality "+opinion(f.MOS))
	}
	show(s.path != "", weightPath, "", s.path)
	return parts
}

const between = " · "

// fit leaves out the lightest parts until the rest has room.
func fit(parts []part, room int) []part {
	for len(parts) > 1 {
		taken, lightest := -columns(between), 0
		for i, p := range parts {
			taken += columns(between) + columns(p.text)
			if p.weight < parts[lightest].weight {
				lightest = i
			}
		}
		if taken <= room {
			break
		}
		parts = append(parts[:lightest], parts[lightest+1:]...)
	}
	return parts
}

// join is the line of those parts.
func (s *screen) join(parts []part, room int) string {
	var texts []string
	for _, p := range parts {
		text := cut(p.text, room) // of which there is one, if it is too long
		if p.style != "" {
			text = s.paint(p.style, text)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, between)
}

// A meter has meterCells cells; the first is for a whisper, the last for what
// is about to be too loud. Telephone speech is in the middle.
const (
	meterCells = 4
	meterFloor = -50.0 // dBFS
	meterTop   = -5.0
)

func meter(level float64) string {
	full := int(math.Round((level - meterFloor) / (meterTop - meterFloor) * meterCells))
	full = min(max(full, 0), meterCells)
	return strings.Repeat("█", full) + strings.Repeat("░", meterCells-full)
}

// metered tells whether somebody looks at the meters.
func (s *screen) metered() bool { return s.live != nil && s.talking && s.typing == nil }

// pace is how often the line is to be renewed.
func (s *screen) pace() time.Duration {
	if s.metered() {
		return 100 * time.Millisecond
	}
	return time.Second
}

// meters reads the levels, if somebody looks at them.
func (s *screen) meters(e endpoint) {
	if s.metered() {
		s.said, s.heard = e.Levels(s.current)
	}
}
