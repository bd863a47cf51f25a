package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"securecall/call"
	"securecall/call/cli/ctl"
)

// A reachable is what ctl knows of the calls that have keys, for goroutines other than the
// phone's.
type reachable struct {
	mu      sync.Mutex
	calls   map[int]reached
	changed chan struct{} // closed and replaced at each change
}

// A reached is one of these calls.
type reached struct {
	id      int
	sas     string
	ringing bool // here
	talking bool
	muted   bool
	stats   *call.Stats // the last; nil: none yet
}

func newReachable() *reachable {
	return &reachable{calls: map[int]reached{}, changed: make(chan struct{})}
}

// note follows the events.
func (r *reachable) note(id int, e call.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, known := r.calls[id]
	switch e := e.(type) {
	case call.Secured:
		c, known = reached{id: id, sas: e.SAS}, true
	case call.Incoming:
		c.ringing = true
	case call.Answered:
		c.ringing, c.talking = false, true
	case call.Muted:
		c.muted = e.On
	case call.Stats:
		c.stats = &e
	case call.Ended:
	default:
		return
	}
	if !known {
		return
	}
	r.calls[id] = c
	if _, ended := e.(call.Ended); ended {
		delete(r.calls, id)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// errNoCall is what ctl is told where there is no call at all.
var errNoCall = notPossible("there is no call with keys at this moment", "call, or wait for a call, and ask again")

// pick is the call numbered id, or with 0 the only one; changed is closed when the answer
// may be another one.
func (r *reachable) pick(id int) (c reached, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := slices.Sorted(maps.Keys(r.calls))
	c, there := r.calls[id]
	switch {
	case len(ids) == 0:
		err = errNoCall
	case id == 0 && len(ids) == 1:
		c = r.calls[ids[0]]
	case id == 0:
		err = &ctl.Error{
			Status: statusUsage, Message: fmt.Sprintf("%d calls are running: say --call %s", len(ids), anyOf(ids)),
			Hint: "each line about a call has its number, with --json too",
		}
	case !there:
		err = notPossible(fmt.Sprintf("there is no call %d here", id), "say --call "+anyOf(ids))
	}
	return c, r.changed, err
}

// maxListed is how many calls are told by their numbers: more are no help.
const maxListed = 20

// anyOf is "1, 4 or 7".
func anyOf(ids []int) string {
	var names []string
	for _, id := range ids[:min(len(ids), maxListed)] {
		names = append(names, strconv.Itoa(id))
	}
	if len(ids) > maxListed {
		names = append(names, "another one")
	}
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// ctlPatience is how long ctl waits for a call that has keys.
const ctlPatience = 10 * time.Second

// secured waits, where there is no call yet, for one that has keys.
func (r *reachable) secured(ctx context.Context, id int) (reached, error) {
	ctx, cancel := context.WithTimeout(ctx, ctlPatience)
	defer cancel()
	for {
		c, changed, err := r.pick(id)
		if !errors.Is(err, errNoCall) {
			return c, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return reached{}, err
		}
	}
}

// talks waits for a moment at which ready holds of a call in which people talk; late is
// what there is to say if it does not come in time.
func (r *reachable) talks(ctx context.Context, id int, patience time.Duration, late string, ready func(reached) bool) (reached, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c, changed, err := r.pick(id)
		switch {
		case errors.Is(err, errNoCall) || err == nil && !c.talking:
			return c, notPossible("nobody talks here at this moment", "it works from when a call is answered until it ends")
		case err != nil:
			return c, err
		case ready(c):
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return c, notPossible(late, "try again")
		}
	}
}

func notPossible(message, hint string) error {
	return &ctl.Error{Status: int(call.ReasonNotPossible), Message: message, Hint: hint}
}
