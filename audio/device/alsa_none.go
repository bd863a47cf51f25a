//go:build (cgo && !linux) || windows

package device

func quietALSA() {}
