//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// trusted refuses a file that others could have written, as ssh does. A device is root's.
func trusted(info fs.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	switch perm := info.Mode().Perm(); {
	case info.Mode()&fs.ModeDevice != 0:
		return nil
	case ok && s.Uid != 0 && int(s.Uid) != os.Geteuid():
		return errors.New("belong to another user")
	case perm&0o022 != 0:
		return fmt.Errorf("can be written by others (%04o)", perm)
	}
	return nil
}
