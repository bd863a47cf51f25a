package device

import (
	"errors"

	"securecall/audio"
)

func openMicrophone(spec string) (audio.Source, error) {
	return nil, &Error{Spec: spec, Err: errors.New("no sound here"), Hint: "use FILE.wav, or none"}
}

func openSpeaker(spec string) (audio.Sink, error) {
	return nil, &Error{Spec: spec, Err: errors.New("no sound here"), Hint: "use FILE.wav, or none"}
}
