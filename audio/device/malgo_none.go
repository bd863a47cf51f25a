//go:build !cgo || !(linux || darwin || windows)

package device

import "securecall/audio"

// Without cgo there is no miniaudio.
func openMalgoSource(string, Options) (audio.Source, error) { return nil, errNoSound }

func listMalgo() []Info { return nil }
