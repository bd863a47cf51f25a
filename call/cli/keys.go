package cli

import (
	"context"
	"os"
	"strings"
	"time"

	"securecall/call"
)

const (
	keyInterrupt = 3 // Ctrl-C, which a raw terminal hands over as a byte
	keyEscape    = 27
)

// key carries out one key.
func (p *phone) key(ctx context.Context, e endpoint, stop context.CancelFunc, key byte) {
	if ctx.Err() != nil {
		return
	}
	s := p.screen
	secured := s.current != 0 && (s.talking || s.ringing || s.sas != "")
	if p.crowd != nil && key != keyInterrupt && key != 'q' {
		return // of which of the calls would it be?
	}
	switch {
	case s.typing != nil && key != keyInterrupt:
		s.edit(key)
	case s.strays(time.Now(), key):
	case key == 'v' && secured:
		p.askSAS(e)
	case key == 'x' && s.guarded:
		p.askRisk(e)
	case key == keyInterrupt:
		// The same way as an interrupt from outside; where there is none
		// (Windows), the context alone.
		if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(os.Interrupt) != nil {
			stop()
		}
	case key == 'a' && s.ringing:
		e.Do(s.current, call.Answer)
	case key == 'd' && s.ringing:
		e.Do(s.current, call.Decline)
	case key == 'q' && s.many && s.current != 0:
		e.Do(s.current, call.Hangup)
	case key == 'q':
		stop()
	case key == '?':
		s.help()
	case s.talking && strings.IndexByte(callKeys, key) >= 0:
		p.doing(e, key)
	default:
		s.lacking(key)
	}
}
