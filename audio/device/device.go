// Package device opens the ends of the sound: microphones and speakers
// through Oto, PulseAudio and miniaudio, and what stands in for them: WAV
// files, standard input and output, other programs' pipes, tones, nothing.
//
// Each driver has its file:
//
//	oto.go    the default speaker (ALSA, WASAPI, Core Audio)
//	pulse.go  microphones, and speakers by name, where there is a PulseAudio
//	          or PipeWire server; all speakers in a build without cgo
//	malgo.go  microphones where there is none (ALSA, WASAPI, Core Audio)
//	lasting.go  any of them, opened again when it was lost
//	resample.go between a device's or a file's rate and 8 kHz
//
// Whatever happens to a device, no method waits for it longer than a few
// seconds: one that is lost, or that hangs, ends in an *Error.
//
// A device of its own clock paces its user; the others are paced by the
// system's monotonic clock. Sound leaves and enters as frames of 8 kHz. WAV files
// are converted here, and so is what Oto and miniaudio open: at the device's own
// rate, mostly 48 kHz, 2 ms late (docs/notes/device-rates.md). A sound server
// converts by itself.
//
// A device that is lost in mid-call ends in an *Error; lasting.go opens it again.
//
// Left out: a choice of speaker where there is no sound server, and following a
// default device that changes.
package device

import (
	"errors"
	"io"
	"strings"

	"securecall/audio"
)

// Kind tells what a spec names without opening it.
type Kind int

// The kinds of sound ends.
const (
	KindDevice Kind = iota // "default" or a device's name
	KindFile               // FILE.wav
	KindStdio              // "-"
	KindExec               // exec:COMMAND
	KindTone               // tone:HZ
	KindNone               // none
)

// KindOf tells the kind of a --mic or --speaker value.
func KindOf(spec string) Kind {
	switch {
	case spec == "none":
		return KindNone
	case spec == "-":
		return KindStdio
	case strings.HasPrefix(spec, "exec:"):
		return KindExec
	case strings.HasPrefix(spec, "tone:"):
		return KindTone
	case len(spec) > 4 && strings.EqualFold(spec[len(spec)-4:], ".wav"):
		return KindFile
	}
	return KindDevice
}

// Options of OpenSource and OpenSink.
type Options struct {
	Stdin  io.Reader // for "-"
	Stdout io.Writer // for "-"
	// KernelTimers pace what has no clock of its own at half the processor time,
	// where there are such. They do not run in the virtual time of a test.
	KernelTimers bool
	// Frame is how many samples each frame will have that is read or written, and
	// so what a device is asked for at once; audio.FrameSamples if zero, and at most.
	Frame int
	// Stderr makes what one program of exec: may write its errors to, closed when it has
	// ended. nil: they go where ours go.
	Stderr func() io.WriteCloser
}

func (o Options) frame() int {
	if o.Frame <= 0 {
		return audio.FrameSamples
	}
	return min(o.Frame, audio.FrameSamples)
}

// OpenSource opens the --mic value spec. A failure to find or open is an *Error.
//
// Files are opened and checked here, programs looked for and devices switched
// on. What was recorded before the first ReadFrame is never given out: a
// program starts only then. Standard input is read from then on, whole: of what
// was written to it before, nothing can be known to be old.
func OpenSource(spec string, o Options) (audio.Source, error) {
	switch KindOf(spec) {
	case KindNone:
		return newNoneSource(o), nil
	case KindTone:
		return openTone(spec, o)
	case KindFile:
		return openWAV(spec, o)
	case KindStdio:
		if o.Stdin == nil {
			return nil, &Error{Spec: spec, Err: errors.New("there is no standard input")}
		}
		return newPipeSource(spec, o.Stdin, nil, o), nil
	case KindExec:
		return openExecSource(spec, o)
	}
	return openMicrophone(spec, o)
}

// OpenSink opens the --speaker value spec. A failure to find or open is an *Error.
func OpenSink(spec string, o Options) (audio.Sink, error) {
	switch KindOf(spec) {
	case KindNone:
		return newNoneSink(o), nil
	case KindTone:
		return nil, &Error{Spec: spec, Err: errors.New("a tone cannot be a speaker"), Hint: "use --mic " + spec}
	case KindFile:
		return createWAV(spec, o)
	case KindStdio:
		if o.Stdout == nil {
			return nil, &Error{Spec: spec, Err: errors.New("there is no standard output")}
		}
		return newPipeSink(spec, o.Stdout, nil, o), nil
	case KindExec:
		return openExecSink(spec, o)
	}
	return openSpeaker(spec, o)
}

// An Error says which end failed, why, and what a person can do about it.
type Error struct {
	Spec string // the --mic or --speaker value
	Err  error
	Hint string // the next step, one sentence without a full stop; may be empty
	File bool   // a file could not be opened or read (exit status 31), not a device (30)
}

func (e *Error) Error() string { return e.Spec + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Info describes one device of this machine.
type Info struct {
	Name    string // what --mic or --speaker takes
	Label   string // what a person knows it by
	Driver  string // pulse, oto, miniaudio
	Input   bool   // microphone, else speaker
	Default bool
}

// List returns the devices of this machine, microphones first. An empty list
// with a nil error means that there are none.
func List() ([]Info, error) { return listDevices() }
