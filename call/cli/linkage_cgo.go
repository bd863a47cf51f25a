//go:build cgo

package cli

// linkage says how this binary was built: with Oto and miniaudio.
const linkage = "cgo"
