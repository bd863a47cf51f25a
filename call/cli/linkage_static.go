//go:build !cgo

package cli

// linkage says how this binary was built: all Go, no system library.
const linkage = "static"
