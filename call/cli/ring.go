package cli

import (
	"fmt"
	"path/filepath"
	"sync"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/audio/progress"
	"securecall/call"
)

// What is heard of a call before it is answered: the ring, on a device of its own (--ring),
// where a person is asked; and at the caller's the ringing tone, in the speaker, from when
// it rings there. Neither goes through the call: it is not in what is recorded as the other
// side's voice, nor in the levels.

const ringAuto = "auto"

// readRing reads --ring.
func readRing(spec string) (string, error) {
	switch {
	case spec == "":
		return "", usagef("securecall devices lists what it takes; none is silence", "--ring is empty")
	case device.KindOf(spec) == device.KindStdio:
		return "", usagef("a device's name, FILE.wav, exec:COMMAND, none or auto", "--ring -: stdout is for the call")
	}
	return spec, nil
}

// checkRingFile refuses a ring's file that is another's: it is written anew for each call.
func (s *settings) checkRingFile() error {
	if device.KindOf(s.ring) != device.KindFile {
		return nil
	}
	if sameFile(s.mic, s.ring) {
		return usagef("give them two files", "--ring would write to the file that --mic reads: %s", printable(s.ring))
	}
	for flag, file := range map[string]string{"speaker": s.speaker, "record": s.records.given} {
		if file != "" && filepath.Clean(file) == filepath.Clean(s.ring) {
			return usagef("give them two files", "--ring and --%s would both write to %s", flag, printable(s.ring))
		}
	}
	return nil
}

// checkRing finds out whether --ring can be opened, where it was given.
func (s *settings) checkRing() error {
	if s.ring == ringAuto {
		return nil
	}
	return checkSpeaker(s.ring)
}

// ringsAt is where a call rings, as --ring takes it.
func (s *settings) ringsAt() string {
	switch {
	case s.ring != ringAuto:
		return s.ring
	case !s.echo && device.KindOf(s.speaker) == device.KindDevice:
		return s.speaker
	}
	return "none"
}

// rings begins and ends what is heard of a call that is not answered yet.
func (p *phone) rings(id int, e call.Event) {
	switch e.(type) {
	case call.Incoming:
		if p.crowd == nil && !p.s.acceptAll && !p.s.hooks.decide() {
			p.s.ringer.play(id, p.s.ringsAt(), "nobody hears it ring", progress.Ring())
		}
	case call.Ringing:
		if device.KindOf(p.s.speaker) == device.KindDevice {
			p.s.ringer.play(id, p.s.speaker, "the ringing tone is not heard", progress.Ringback())
		}
	case call.Answered, call.Ended:
		p.s.ringer.end(id)
	}
}

// A ringer plays one sound at a time, beside the call, until it is to end. Its methods may
// be called from any goroutine; a nil ringer is silent.
type ringer struct {
	open func(spec string) (audio.Sink, error)
	tell func(err error) // that it cannot be heard; set before the first play

	mu   sync.Mutex
	id   int           // of the call
	stop chan struct{} // nil: nothing plays
	done chan struct{}
}

func newRinger() *ringer {
	r := &ringer{}
	said := device.Options{Stderr: saidTo(func(err error) { r.tell(err) })}
	r.open = func(spec string) (audio.Sink, error) { return device.OpenSink(spec, said) }
	return r
}

// play plays a sound to what spec names, in place of what was played before; otherwise is what
// to say where that fails.
func (r *ringer) play(id int, spec, otherwise string, sound *progress.Sound) {
	if r == nil || device.KindOf(spec) == device.KindNone {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endLocked()
	stop, done := make(chan struct{}), make(chan struct{})
	r.id, r.stop, r.done = id, stop, done
	go func() {
		defer close(done)
		if err := r.sound(spec, sound, stop); err != nil {
			r.tell(fmt.Errorf("%s: %w", otherwise, err))
		}
	}()
}

// sound plays until stop is closed.
func (r *ringer) sound(spec string, sound *progress.Sound, stop <-chan struct{}) error {
	select {
	case <-stop:
		return nil
	default:
	}
	sink, err := r.open(spec)
	if err != nil {
		return err
	}
	defer sink.Close()
	f := make(audio.Frame, audio.FrameSamples)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		sound.Fill(f)
		if err := sink.WriteFrame(f); err != nil {
			return err
		}
	}
}

// end ends what is played for a call.
func (r *ringer) end(id int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == r.id {
		r.endLocked()
	}
}

func (r *ringer) endLocked() {
	if r.stop != nil {
		close(r.stop)
		r.stop = nil
	}
}

// quiet ends whatever is played, and waits until its device is free: the call may want it.
func (r *ringer) quiet() {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.endLocked()
	done := r.done
	r.mu.Unlock()
	if done != nil {
		<-done
	}
}
