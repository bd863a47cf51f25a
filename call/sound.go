package call

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"securecall/audio"
	"securecall/audio/device"
)

// A note is what the other goroutines tell control.
type note struct {
	kind     noteKind
	run      *running
	media    *media
	ends     ends
	from     netip.AddrPort // who refused (not valid: the system does not say), or where the packet came from,
	size     int            // and its bytes
	recorder Recorder       // that was opened, unless err, or could not be closed
	which    string         // mic, speaker
	err      error
}

type noteKind int

const (
	noteRefused   noteKind = iota // ICMP: nobody listens there
	noteHeard                     // the first valid SRTP packet
	noteElsewhere                 // one newer than all before, from where the peer is not
	noteOpened                    // the sound devices of a call are open, or err
	noteEOF                       // the microphone's file or pipe has ended
	noteDevice                    // a device was lost, or (no err) is back; the call goes on
	noteLost                      // a device was lost, or (no which) the stream cannot go on
	noteKeys                      // the peer has pressed keys
	noteTape                      // a Recorder is open, or err
	noteTapeLost                  // closing one has failed
	noteBehind                    // the sound of many calls is late, and has been for a while
	noteDone                      // one of the call's goroutines has ended
)

// tell hands a note to control; false: there is no control any more.
func (e *Endpoint) tell(n note) bool {
	select {
	case e.notes <- n:
		return true
	case <-e.done:
		return false
	}
}

// mention is tell for what will come again if control has no time for it.
func (e *Endpoint) mention(n note) {
	select {
	case e.notes <- n:
	default:
	}
}

// running is a call with its goroutines. Control owns it, but for stop.
type running struct {
	core     *core
	ends     ends
	room     *room
	opening  bool // the devices are being opened
	routed   bool // the reader knows its media
	sounding bool // capture and playout were started
	quiet    bool // and were told to stop
	workers  int  // goroutines that have not told noteDone
	stop     atomic.Bool

	due time.Time // when it wants its Tick,
	row int       // and where it stands in the schedule
	way route     // how it is found in the index
}

func (r *running) busy() bool { return r.opening || r.workers > 0 }

// ends are the two ends of a call's sound.
type ends struct {
	source audio.Source
	sink   audio.Sink
}

func openEnds(conf *Config) (ends, error) {
	if conf.Echo { // the wheel paces it
		return ends{}, nil
	}
	source, err := conf.Mic()
	if err != nil {
		return ends{}, err
	}
	sink, err := conf.Speaker()
	if err != nil {
		source.Close()
		return ends{}, err
	}
	return ends{source, sink}, nil
}

func (x ends) close() {
	if x.source != nil {
		x.source.Close()
	}
	if x.sink != nil {
		x.sink.Close()
	}
}

// reasonOf is the exit status that belongs to a failure to open something.
func reasonOf(err error) Reason {
	var d *device.Error
	switch {
	case !errors.As(err, &d):
		return ReasonFault
	case d.File:
		return ReasonNotPossible
	}
	return ReasonDevice
}

// open opens the sound of an incoming call, which may take seconds, beside
// control.
func (e *Endpoint) open(r *running) {
	if r.opening || r.ends != (ends{}) {
		return
	}
	r.opening = true
	e.spawn(func() {
		x, err := openEnds(r.core.conf)
		if !e.tell(note{kind: noteOpened, run: r, ends: x, err: err}) {
			x.close()
		}
	})
}

// heed acts on a note.
func (e *Endpoint) heed(now time.Time, n note) {
	r := n.run
	switch n.kind {
	case noteRefused:
		if !n.from.IsValid() && len(e.peers) > 0 {
			n.from = e.peers[0]
		}
		if r = e.call(0); r == nil || !slices.Contains(e.peers, n.from) || e.refused[n.from] || r.core.phase != agreeing {
			return
		}
		e.refused[n.from] = true
		r.core.tell(Refused{Addr: n.from})
	case noteHeard, noteElsewhere, noteKeys:
		i := slices.IndexFunc(e.calls, func(r *running) bool { return r.core.media == n.media })
		if i < 0 {
			return
		}
		r = e.calls[i]
		switch n.kind {
		case noteElsewhere:
			r.core.elsewhere(now, n.from, n.size)
		case noteKeys:
			r.core.tellKeys()
		default:
			r.core.heardMedia(now)
		}
	case noteOpened:
		r.opening = false
		switch {
		case n.err != nil:
			r.core.leave(now, reasonOf(n.err), wordDeclined, n.err)
		case r.core.phase != ringing:
			r.ends = n.ends // the caller has left meanwhile
			r.quiet = false
		default:
			r.ends = n.ends
			r.core.answer(now)
		}
	case noteEOF:
		if r.core.conf.HangupAtEOF {
			r.core.drain(now)
		}
	case noteDevice:
		state := "back"
		if n.err != nil {
			state = "lost"
		}
		r.core.tell(DeviceState{Which: n.which, State: state, Err: n.err})
	case noteLost:
		// Only devices come back, and are told of; that the call ends with this is told then.
		r.core.leave(now, reasonOf(n.err), wordHangup, n.err)
	case noteBehind:
		e.behind(now)
		return
	case noteTape:
		r.core.opened(now, n.recorder, n.err)
	case noteTapeLost:
		r.core.tell(Recording{File: nameOf(n.recorder), Err: n.err})
	case noteDone:
		r.workers--
	}
	e.settle(now, r)
}

// sound starts the goroutines of a call that was answered.
func (e *Endpoint) sound(r *running) {
	r.sounding = true
	e.sounding.Store(&sounding{id: r.core.id, media: r.core.media})
	if e.conf.Echo {
		r.workers++
		if e.wheel.join(r) {
			e.spawn(e.turn)
		}
		return
	}
	r.room = newRoom(r.core.conf)
	r.ends = e.lasting(r, r.ends)
	e.work(r, e.capture)
	e.work(r, e.playout)
}

// lasting makes the ends outlive their devices, where they may.
func (e *Endpoint) lasting(r *running, x ends) ends {
	tell := func(which string) func(error) {
		return func(lost error) { e.tell(note{kind: noteDevice, run: r, which: which, err: lost}) }
	}
	conf := r.core.conf
	o := device.Options{Frame: conf.frame()}
	if conf.MicLasts {
		x.source = device.LastingSource(x.source, conf.Mic, tell("mic"), o)
	}
	if conf.SpeakerLasts {
		x.sink = device.LastingSink(x.sink, conf.Speaker, tell("speaker"), o)
	}
	return x
}

// hush ends the sound of a call. Closing the ends frees the goroutines that
// wait in them; it may itself take a moment, so control does not wait for it.
func (e *Endpoint) hush(r *running) {
	if r.quiet {
		return
	}
	r.quiet = true
	r.stop.Store(true)
	if r.ends != (ends{}) {
		// A worker, so that the call has not ended before its files are whole.
		e.work(r, func(r *running) { r.ends.close() })
	}
}

// work starts one goroutine of a call.
func (e *Endpoint) work(r *running, f func(*running)) {
	r.workers++
	e.spawn(func() {
		f(r)
		e.tell(note{kind: noteDone, run: r})
	})
}

// capture is the way out of sound: microphone, G.711, SRTP, path.
func (e *Endpoint) capture(r *running) {
	f := make(audio.Frame, e.conf.frame())
	source := r.ends.source
	for !r.stop.Load() {
		switch err := source.ReadFrame(f); {
		case err == nil:
		case errors.Is(err, io.EOF):
			// The call goes on, and so do its packets, in silence.
			e.tell(note{kind: noteEOF, run: r})
			if source, err = device.OpenSource("none", device.Options{Frame: len(f)}); err != nil {
				return
			}
			defer source.Close()
			continue
		default:
			if !r.stop.Load() {
				e.tell(note{kind: noteLost, run: r, which: "mic", err: err})
			}
			return
		}
		r.room.record(f)
		if !r.stop.Load() && !e.send(time.Now(), r, f) {
			return
		}
		r.room.think()
	}
}

// playout is the way in of sound, from the jitter buffer to the speaker.
func (e *Endpoint) playout(r *running) {
	f := make(audio.Frame, e.conf.frame())
	for !r.stop.Load() {
		r.core.media.play(time.Now(), f)
		r.room.play(f)
		if err := r.ends.sink.WriteFrame(f); err != nil {
			if !r.stop.Load() {
				e.tell(note{kind: noteLost, run: r, which: "speaker", err: err})
			}
			return
		}
	}
}

// send sends one frame. Only a stream that has used up its index ends the
// call; a datagram that the system refuses is lost like any other.
func (e *Endpoint) send(now time.Time, r *running, f audio.Frame) bool {
	m := r.core.media
	b, err := m.pack(now, f)
	if err != nil {
		if !r.stop.Load() {
			e.tell(note{kind: noteLost, run: r, err: err})
		}
		return false
	}
	switch to := m.at.Load(); {
	case !to.takes(len(b)):
		m.drops.add(dropThrottled)
	case e.path.WritePacket(b, to.addr) != nil:
		m.drops.add(dropUnsent)
	}
	return true
}
