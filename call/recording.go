package call

import (
	"errors"
	"time"

	"securecall/audio"
)

// A Recorder keeps the sound of a call. Said and Heard come from two goroutines, those
// of the packet path: they must neither wait nor keep f, and may still come while Close
// runs and after it. A Recorder that can fail in between has Failed() error, too: why it
// keeps nothing any more, or nil; it is asked once a second. One that has a name has
// Name() string.
type Recorder interface {
	Said(f audio.Frame)  // as it was sent: silence where the microphone was closed
	Heard(f audio.Frame) // as it was played
	Close() error
}

// Recording: from now on what is said here and heard here is written, or no longer.
type Recording struct {
	On   bool
	File string // the name of the Recorder, if there is one and it has a name
	Err  error  // why not: ErrUntold, ErrNoRecorder, or what failed; nil: it was ended
}

// PeerRecording: the other side says that it records, or no longer.
type PeerRecording struct{ On bool }

// Name implements Event.
func (Recording) Name() string     { return "recording" }
func (PeerRecording) Name() string { return "peer_recording" }

var (
	// ErrUntold: nothing is recorded of somebody who does not know it.
	ErrUntold = errors.New("the other side cannot be told that it is recorded")
	// ErrNoRecorder: there is no Config.Recorder.
	ErrNoRecorder = errors.New("there is nothing to record to")
)

const (
	// toldLimit is how long we wait for the peer to acknowledge that it is recorded.
	// Control gives a message up only later.
	toldLimit = controlGiveUp - 2*time.Second
	// failedEvery is how often a Recorder is asked whether it has failed.
	failedEvery = time.Second
	// The peer may say this often a second that it does not record, and so many times
	// at once. That it does is always heard.
	unrecordRate, unrecordBurst = 1, 5
)

// taping is how far a recording has come.
type taping int

const (
	untaped taping = iota
	opening        // the Recorder is being opened, beside control
	telling        // it is open, and the peer has been told, and has not acknowledged that
	taped          // sound is written
)

// tape is the recording of a call. Control owns it.
type tape struct {
	state    taping
	wanted   bool // a Recorder is to be opened
	recorder Recorder
	told     uint32     // number of the message that told the peer; 0: it was not told
	over     []Recorder // to be closed
}

// nameOf is the name of a Recorder that has one.
func nameOf(r Recorder) string {
	if named, ok := r.(interface{ Name() string }); ok {
		return named.Name()
	}
	return ""
}

// slot is where the packet path finds a Recorder.
type slot struct{ Recorder }

// record begins a recording: first something to record to, then the peer is told and
// has acknowledged it, and only then the first sample is written.
func (c *core) record() {
	switch {
	case c.phase != talking || c.tape.state != untaped:
	case c.conf.Recorder == nil:
		c.tell(Recording{Err: ErrNoRecorder})
	case !c.heeds() && !c.conf.RecordUntold:
		c.tell(Recording{Err: ErrUntold})
	default:
		c.tape.state, c.tape.wanted = opening, true
	}
}

// opened is told the Recorder that was asked for, or why there is none.
func (c *core) opened(now time.Time, r Recorder, err error) {
	t := &c.tape
	switch {
	case t.state != opening:
		if r != nil {
			t.over = append(t.over, r) // it was ended meanwhile
		}
	case err != nil:
		t.state = untaped
		c.tell(Recording{Err: err})
	case c.heeds():
		t.recorder, t.state = r, telling
		c.sayRecording(now, true)
		t.told = c.control.last
		c.at[timerTape] = now.Add(toldLimit)
	default:
		t.recorder = r
		c.beginWriting(now)
	}
}

// sayRecording tells the peer whether it is recorded.
func (c *core) sayRecording(now time.Time, on bool) {
	body := []byte{0}
	if on {
		body[0] = 1
	}
	c.control.update(now, wordRecording, body)
	c.sendRTCP(now, false)
}

// beginWriting has the packet path write the first sample, and all that follow.
func (c *core) beginWriting(now time.Time) {
	c.tape.state = taped
	c.media.recorder.Store(&slot{c.tape.recorder})
	c.at[timerTape] = now.Add(failedEvery)
	c.tell(Recording{On: true, File: nameOf(c.tape.recorder)})
}

// watchTape is called for every acknowledgement of the peer's, and when a recording's
// time is up: that of the peer to acknowledge it, or until a Recorder is asked again.
func (c *core) watchTape(now time.Time, timeUp bool) {
	t := &c.tape
	switch {
	case t.state == telling && (c.control.heard >= t.told || timeUp && c.conf.RecordUntold):
		c.beginWriting(now)
	case t.state == telling && timeUp:
		c.endRecording(now, ErrUntold)
	case t.state == taped && timeUp:
		c.at[timerTape] = now.Add(failedEvery)
		if f, ok := t.recorder.(interface{ Failed() error }); ok {
			if err := f.Failed(); err != nil {
				c.endRecording(now, err)
			}
		}
	}
}

// endRecording ends a recording, because of err or because a person wants it, and tells
// both sides.
func (c *core) endRecording(now time.Time, err error) {
	if c.tape.state == untaped {
		return
	}
	told := c.tape.told != 0
	c.closeTape(err)
	if told {
		c.sayRecording(now, false)
	}
}

// closeTape ends it without a word to the peer: it hears that the call ends.
func (c *core) closeTape(err error) {
	t := &c.tape
	if t.state == untaped {
		return
	}
	c.media.recorder.Store(nil)
	file := nameOf(t.recorder)
	if t.recorder != nil {
		t.over = append(t.over, t.recorder)
	}
	*t = tape{over: t.over}
	c.at[timerTape] = time.Time{}
	c.tell(Recording{File: file, Err: err})
}

// hearRecording is told by the peer that it records, 1, or no longer, 0.
func (c *core) hearRecording(now time.Time, body []byte) {
	if c.phase != talking && c.phase != ringing || len(body) == 0 || body[0] > 1 {
		return
	}
	on := body[0] == 1
	if on == c.peerRecords || !on && !c.unrecords.take(now) {
		return
	}
	c.peerRecords = on
	if c.phase == talking { // else the word that it was answered is late, and begin tells it
		c.tell(PeerRecording{On: on})
	}
}

// tape opens and closes what a call records to. A disk may be slow, and control does not
// wait for it.
func (e *Endpoint) tape(r *running) {
	t := &r.core.tape
	if t.wanted {
		t.wanted = false
		id := r.core.id
		e.work(r, func(r *running) {
			recorder, err := r.core.conf.Recorder(id)
			if err == nil && recorder == nil {
				err = ErrNoRecorder
			}
			if !e.tell(note{kind: noteTape, run: r, recorder: recorder, err: err}) && recorder != nil {
				recorder.Close()
			}
		})
	}
	for _, recorder := range t.over {
		e.work(r, func(r *running) {
			if err := recorder.Close(); err != nil {
				e.tell(note{kind: noteTapeLost, run: r, recorder: recorder, err: err})
			}
		})
	}
	t.over = nil
}
