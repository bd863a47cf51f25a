package cli

import "strings"

// A keyHelp is a key and what it does: press KEY to DOES.
type keyHelp struct{ key, does string }

// What the key ? shows, row by row.
var (
	ringingKeys = [][]keyHelp{{
		{"a", "answer"},
		{"d", "decline"},
		{"v", "verify: type the words that you hear"},
		{"q", "hang up"},
		{"Ctrl-C", "end"},
	}}
	talkingKeys = [][]keyHelp{
		{{"v", "verify: type the words that you hear"}, {"m", "mute, and m again to be heard"}},
		{{"space", "talk or be silent by turns (push-to-talk)"}, {"h", "hold, and h again to go on"}},
		{{"t", "write a line to the other side"}, {"r", "record, and r again to end it"}},
		{{"i", "see the figures"}, {"0-9 * #", "send tones"}, {"q", "hang up"}, {"Ctrl-C", "end"}},
	}
	guardedKeys = [][]keyHelp{{{"x", "speak at your own risk, although the keys have changed"}}}
)

// help answers the key ?.
func (s *screen) help() {
	switch {
	case s.ringing:
		s.keyRows(ringingKeys)
	case s.talking:
		s.keyRows(talkingKeys)
		if s.guarded {
			s.keyRows(guardedKeys)
		}
	default:
		s.say(s.ask, "q or Ctrl-C end; what else can be done shows when there is a call")
	}
}

func (s *screen) keyRows(rows [][]keyHelp) {
	for _, row := range rows {
		var texts []string
		for _, k := range row {
			if s.plain {
				s.say(s.ask, "press %s to %s", k.key, k.does)
			}
			texts = append(texts, k.key+" "+k.does)
		}
		if !s.plain {
			s.say(s.ask, "%s", strings.Join(texts, between))
		}
	}
}
