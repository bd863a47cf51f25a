package cli

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"securecall/audio/device"
	"securecall/call"
)

// A crowd says what several calls at once do: each as it would be said alone, with its
// number in front. Nobody is asked anything, and no line is renewed.
type crowd struct {
	house *screen // what is about no call
	calls map[int]*screen
}

func newCrowd(house *screen) *crowd {
	house.live, house.ask, house.accept = nil, nil, !house.hooked
	return &crowd{house: house, calls: map[int]*screen{}}
}

func (c *crowd) show(at time.Time, id int, e call.Event) {
	if id == 0 {
		c.house.show(at, id, e)
		return
	}
	s := c.calls[id]
	if s == nil {
		name := fmt.Sprintf("call %d: ", id)
		numbered := *c.house
		numbered.open = false // what it waits for is told for all of them
		s = &numbered
		s.results, s.talk, s.errors = &prefixed{s.results, name}, &prefixed{s.talk, name}, &prefixed{s.errors, name}
		if _, begins := e.(call.Secured); begins { // else it is a last word about one that has ended
			c.calls[id] = s
		}
	}
	s.show(at, id, e)
	if _, ended := e.(call.Ended); ended {
		delete(c.calls, id)
	}
}

// prefixed writes lines, each with something in front of it.
type prefixed struct {
	w      io.Writer
	prefix string
}

// Write implements io.Writer. Whoever says something says whole lines.
func (p *prefixed) Write(b []byte) (int, error) {
	var out []byte
	for line := range bytes.Lines(b) {
		out = append(append(out, p.prefix...), line...)
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// mostCalls is more than one machine can have by far.
const mostCalls = 100_000

// checkCrowd refuses what several calls at once cannot have: there is one microphone,
// one person, and one file.
func (s *settings) checkCrowd() error {
	mic, speaker := device.KindOf(s.mic), device.KindOf(s.speaker)
	switch {
	case s.maxCalls < 1 || s.maxCalls > mostCalls:
		return usagef(fmt.Sprintf("from 1 to %d", mostCalls), "--max-calls %d is no number of calls", s.maxCalls)
	case s.maxCalls == 1:
	case !s.acceptAll && !s.hooks.decide():
		return usagef("--accept all or known, or --on-incoming", "--max-calls %d: one person can be asked about one call", s.maxCalls)
	case s.once:
		return usagef("leave one of them out", "--once ends with the first call, and --max-calls %d is for more", s.maxCalls)
	case s.via != nil:
		return usagef("leave --max-calls out", "--via brings one call at a time")
	case s.records != nil && s.records.given != "" && !s.records.folder:
		return usagef("--record DIR/ has a file for each call", "--max-calls %d: one file cannot take several calls", s.maxCalls)
	case s.echo:
	case mic == device.KindDevice || mic == device.KindStdio:
		return usagef("--echo, or a FILE.wav, exec:, tone: or none as --mic", "--max-calls %d: one microphone cannot speak in several calls", s.maxCalls)
	case speaker != device.KindNone && speaker != device.KindExec:
		return usagef("--echo, or none or exec: as --speaker", "--max-calls %d: one speaker cannot play several calls", s.maxCalls)
	}
	return nil
}
