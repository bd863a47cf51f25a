//go:build !linux

package device

import "io"

// leastPipe does nothing: only Linux lets a program choose what a pipe holds.
func leastPipe(io.Writer) {}
