package device

import (
	"errors"
	"os"
	"strings"
	"time"

	"securecall/audio"
)

// patience is how long opening a device may take.
const patience = 3 * time.Second

var (
	errNoDevice = errors.New("there is no such device")
	errNoAnswer = errors.New("it does not answer")
	errNoSound  = errors.New("no sound server and no sound card here")
)

// openMicrophone opens a microphone: through a PulseAudio server where there
// is one, which shares it with other programs and does not switch it on
// before; else through miniaudio.
func openMicrophone(spec string, o Options) (audio.Source, error) {
	source, err := within(patience, func() (audio.Source, error) {
		source, err := openPulseSource(spec, o)
		if errors.Is(err, errNoServer) {
			return openMalgoSource(spec, o)
		}
		return source, err
	}, func(s audio.Source) { s.Close() })
	if err != nil {
		return nil, cannotOpen(spec, "--mic", err)
	}
	return source, nil
}

// openSpeaker opens a speaker: the default one through Oto; by its name, or
// where Oto finds nothing, through a PulseAudio server.
func openSpeaker(spec string, o Options) (audio.Sink, error) {
	sink, err := within(patience, func() (audio.Sink, error) {
		if spec == "default" {
			if sink, err := openOto(o); err == nil {
				return sink, nil
			}
		}
		sink, err := openPulseSink(spec, o)
		if errors.Is(err, errNoServer) {
			err = errNoSound
			if spec != "default" && hasOto() {
				err = errors.New("a speaker can be chosen by name only where there is a PulseAudio or PipeWire server")
			}
		}
		return sink, err
	}, func(s audio.Sink) { s.Close() })
	if err != nil {
		return nil, cannotOpen(spec, "--speaker", err)
	}
	return sink, nil
}

// cannotOpen says what to do about a device that cannot be opened.
func cannotOpen(spec, flag string, err error) error {
	hint := "use " + flag + " none, or FILE.wav"
	switch {
	case spec != "default" && (strings.ContainsRune(spec, os.PathSeparator) || exists(spec)):
		hint = "if it is a file: its name has to end in .wav"
	case errors.Is(err, errNoDevice):
		hint = "securecall devices lists what there is"
	}
	return &Error{Spec: spec, Err: err, Hint: hint}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func listDevices() ([]Info, error) {
	return within(patience, func() ([]Info, error) {
		infos, err := listPulse()
		if !errors.Is(err, errNoServer) {
			return infos, err
		}
		infos = listMalgo()
		if hasOto() {
			infos = append(infos, Info{Name: "default", Label: "default speaker", Driver: "oto", Default: true})
		}
		return infos, nil
	}, func([]Info) {})
}
