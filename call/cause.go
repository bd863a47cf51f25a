package call

import (
	"bytes"
	"errors"
	"time"
)

// Why somebody declines or hangs up is told where it concerns the other side: one octet
// in the body of the word (docs/call-control.md).
const (
	causeKeys = 1 // the keys are not the expected ones, or not as well known as is asked for
	causeSAS  = 2 // the words were compared, and are not the same
	causeTime = 3 // it rang, and nobody answered
)

// because is what the other side is told of a reason.
func because(r Reason) []byte {
	switch r {
	case ReasonKeysChanged, ReasonRequire:
		return []byte{causeKeys}
	case ReasonSAS:
		return []byte{causeSAS}
	case ReasonNoAnswer:
		return []byte{causeTime}
	}
	return nil
}

var (
	// ErrNotAccepted is the Err of an Ended that the other side has declined for the sake of
	// our keys.
	ErrNotAccepted = errors.New("the other side does not take these keys: it expects others of you, or knows you less well than it asks for")
	// ErrUnequalThere is that of one in which the other side has compared the words.
	ErrUnequalThere = errors.New("the other side says that the words are not the same there: it has mistyped, or somebody is in between, listening to both of you")
)

// refusal is the error that goes with a refusal; nil: a plain one.
func refusal(body []byte) error {
	if bytes.HasPrefix(body, []byte{causeKeys}) {
		return ErrNotAccepted
	}
	return nil
}

// declined is what it is to a caller that the other side has declined.
func declined(body []byte) Reason {
	if bytes.HasPrefix(body, []byte{causeTime}) {
		return ReasonNoAnswer
	}
	return ReasonDeclined
}

// alarmed ends the call if the other side has left it for words that are not the same, and
// it is somebody whose word counts: it was spoken with, or is the one of last time. Only
// what this call has left is put back: who has said a ZID and shown nothing takes nobody's
// verification away.
func (c *core) alarmed(now time.Time, m message) bool {
	leaves := m.word == wordHangup || m.word == wordDeclined
	heard := c.phase == talking || c.phase == ringing && c.security.Continuity == "match"
	if !leaves || !heard || !bytes.HasPrefix(m.body, []byte{causeSAS}) {
		return false
	}
	if c.trust.kept {
		c.distrust()
	}
	c.end(now, ReasonSAS, ErrUnequalThere)
	return true
}
