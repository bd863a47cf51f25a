//go:build (cgo && !linux) || windows

package device

func quietALSA() {}

func hasDefaultSpeaker() bool { return true } // Oto finds out
