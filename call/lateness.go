package call

import (
	"errors"
	"time"
)

const (
	// lateSpan is how long the sound of many calls is looked at before it is called late.
	lateSpan = 2 * time.Second
	// recovery is for how long after that no further call is taken.
	recovery = 5 * time.Second
	// between is the least time between two notices of one kind.
	between = time.Minute
)

var errBehind = errors.New("this machine cannot keep up: the sound of calls is late, and further callers hear busy")

// lateness tells whether what is due again and again is mostly late.
type lateness struct {
	begin       time.Time
	turns, late int
}

// note takes in one turn; true: lateSpan has passed, and more than half of it was late.
func (l *lateness) note(now time.Time, late bool) bool {
	if l.begin.IsZero() {
		l.begin = now
	}
	l.turns++
	if late {
		l.late++
	}
	if now.Sub(l.begin) < lateSpan {
		return false
	}
	mostly := 2*l.late > l.turns
	*l = lateness{begin: now}
	return mostly
}

// A notice is not given again at once, however often there is cause for it.
type notice struct{ last time.Time }

// due tells whether to give it now.
func (n *notice) due(now time.Time) bool {
	if !n.last.IsZero() && now.Sub(n.last) < between {
		return false
	}
	n.last = now
	return true
}

// behind tells that there are more calls than this machine can serve in time.
func (e *Endpoint) behind(now time.Time) {
	e.slowAt = now
	if e.slow.due(now) {
		e.conf.OnEvent(0, Fault{Err: errBehind, Hint: "a smaller --max-calls, or a faster machine"})
	}
}
