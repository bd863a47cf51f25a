//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground tells whether f, our terminal, would let us read: a background
// job that tries is stopped (SIGTTIN, SIGTTOU).
func inForeground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
