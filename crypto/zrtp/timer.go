package zrtp

import (
	"time"

	"securecall/crypto/zrtp/wire"
)

// HelloInterval is the time between Hellos. They have no count: a peer may
// start long after us (docs/notes/hello-repeats.md).
const HelloInterval = 200 * time.Millisecond

// CommitAfter is how long after the exchange of Hellos a session without
// Config.Initiate waits for the peer's Commit before it sends its own.
const CommitAfter = time.Second

// ErrorGrace is how long an Error of the peer, or a Confirm whose MAC is
// wrong, waits before it ends the exchange: anybody can send one, so a valid
// message of the handshake in the meantime takes it back.
const ErrorGrace = 2 * time.Second

// SilenceLimit is how long a responder waits in mid-exchange for any valid
// message (RFC 6189, Section 6, last paragraph).
const SilenceLimit = 10 * time.Second

// Timer T2 (RFC 6189, Section 6).
const (
	t2Initial = 150 * time.Millisecond
	t2Cap     = 1200 * time.Millisecond
	t2Repeats = 10
)

// The hybrid's Commit is larger than what every path carries. A peer that
// still says Hello has none of those that it was sent, though small packets
// reach us both: after largeCommits of them, and when Hellos that crossed the
// first one can no longer be on their way, its size is to blame.
const (
	largeCommits  = 3
	largePatience = 3 * time.Second
	largeCrossing = time.Second // how fresh the Hello must be
)

// helloAgain is how old our last Hello must be for the peer's to bring out
// another at once: T1's initial value (RFC 6189, Section 6).
const helloAgain = 50 * time.Millisecond

// errorACKInterval bounds the ErrorACKs and RelayACKs that a flood gets; a peer's
// own repeats are never closer together.
const errorACKInterval = 100 * time.Millisecond

// retry sends one message again by timer T2 until it is stopped or used up.
type retry struct {
	message  []byte
	at       time.Time // zero: stopped
	interval time.Duration
	left     int
}

func (r *retry) start(now time.Time, message []byte) {
	*r = retry{message: message, at: now.Add(t2Initial), interval: t2Initial, left: t2Repeats}
}

func (r *retry) stop() { *r = retry{} }

// next returns the message to repeat now. Without one, the last repeat has
// had the last interval to be answered in and was not.
func (r *retry) next(now time.Time) ([]byte, bool) {
	if r.left == 0 {
		return nil, false
	}
	r.left--
	r.interval = min(2*r.interval, t2Cap)
	r.at = now.Add(r.interval)
	return r.message, true
}

// due tells whether the time t, if it is set, has come.
func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Advance does what Deadline was for.
func (s *Session) Advance(now time.Time) {
	if due(now, s.doubt.at) {
		s.despair(now)
	}
	if due(now, s.silentAt) {
		s.fail(now, wire.ErrorTimeout)
	}
	if due(now, s.t2.at) {
		s.repeat(now)
	}
	if due(now, s.helloAt) {
		s.sendHello(now)
	}
	if due(now, s.commitAt) {
		s.commitAt = time.Time{}
		s.commitNow(now)
	}
}

// repeat is what T2 is for.
func (s *Session) repeat(now time.Time) {
	message, ok := s.t2.next(now)
	switch {
	case ok && !s.tooLarge(now):
		if s.state == committed && s.suite.agreement == wire.XM76 {
			s.send(s.hello) // small, and so it shows what becomes of small ones
		}
		s.send(message)
	case s.state == failed:
		s.t2.stop()
	case s.state == committed && s.suite.agreement == wire.XM76:
		s.failWith(now, wire.ErrorTimeout, ErrLargeCommit)
	default:
		s.fail(now, wire.ErrorTimeout)
	}
}

// tooLarge tells whether the path seems to lose our Commit for its size.
func (s *Session) tooLarge(now time.Time) bool {
	return s.state == committed && s.suite.agreement == wire.XM76 &&
		t2Repeats-s.t2.left >= largeCommits && now.Sub(s.committedAt) >= largePatience &&
		now.Sub(s.helloHeard) < largeCrossing
}

// Deadline is when Advance wants to be called next; zero: never.
func (s *Session) Deadline() time.Time {
	var first time.Time
	for _, t := range []time.Time{s.doubt.at, s.silentAt, s.t2.at, s.helloAt, s.commitAt} {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// stopTimers stops all of them.
func (s *Session) stopTimers() {
	s.t2.stop()
	s.doubt = doubt{}
	s.silentAt, s.helloAt, s.commitAt = time.Time{}, time.Time{}, time.Time{}
}
