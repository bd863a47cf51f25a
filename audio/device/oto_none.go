//go:build !cgo && !windows

package device

import "securecall/audio"

// Without cgo there is no ALSA, and so no Oto; nor can it be built for macOS.
func openOto(Options) (audio.Sink, error) { return nil, errNoSound }

func hasOto() bool { return false }
