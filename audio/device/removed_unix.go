//go:build unix

package device

import (
	"os"
	"syscall"
)

// removed tells whether a file has no name any more: what is written to it goes with it
// when it is closed.
func removed(f *os.File) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
