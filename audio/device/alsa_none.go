//go:build (cgo && !linux) || windows

package device

func quietALSA() {}

func defaultSpeakerRate() int { return deviceRate } // Oto finds out
