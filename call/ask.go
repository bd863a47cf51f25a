package call

import (
	"errors"
	"time"
)

// What Say and Press answer.
var (
	// ErrNoCall: there is no call, or nobody has answered it yet.
	ErrNoCall = errors.New("there is no call")
	// ErrTooLong: more than MaxText octets of text, or more keys than can wait.
	ErrTooLong = errors.New("too long for one go")
	// ErrNoText: an empty line, or one that is not UTF-8.
	ErrNoText = errors.New("no text: it is empty, or not UTF-8")
	// ErrNoKey: a telephone has no such key.
	ErrNoKey = errors.New("a telephone has the keys 0 to 9, *, # and A to D")
	// ErrNotTold: what was to be said cannot reach the other side.
	ErrNotTold = errors.New("the other side cannot be told: it is no securecall, or has not answered yet")
	// ErrBehind: what was said before is still on its way.
	ErrBehind = errors.New("what was said before has not arrived yet")
	// ErrDoubt: the keys of the call are not the expected ones, and nobody has settled
	// that. What a microphone may not say a keyboard does not say either.
	ErrDoubt = errors.New("the other side's keys have changed, and that has to be settled first")
)

// ask has control act on the call numbered id, or on the one that rings or runs, and
// returns what came of it.
func (e *Endpoint) ask(id int, act func(now time.Time, c *core) error) error {
	told := make(chan error, 1)
	select {
	case e.commands <- order{id: id, act: act, told: told}:
	case <-e.done:
		return ErrNoCall
	}
	select {
	case err := <-told:
		return err
	case <-e.done:
		return ErrNoCall
	}
}

// mayType tells why nothing that a person types may leave now.
func (c *core) mayType() error {
	switch {
	case c.phase != talking:
		return ErrNoCall
	case c.media.guarded.Load():
		return ErrDoubt
	}
	return nil
}
