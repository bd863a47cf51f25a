package device

import (
	"errors"
	"io/fs"
	"os"
)

// openFile is os.OpenFile, which waits at a FIFO until somebody opens its other end. This does not
// wait for longer than a device may take to open.
func openFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return os.OpenFile(path, flag, mode)
	}
	file, err := within(patience, func() (*os.File, error) { return os.OpenFile(path, flag, mode) }, func(late *os.File) { late.Close() })
	if errors.Is(err, errNoAnswer) {
		// Nothing but another end lets go of the one that still waits.
		if both, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
			both.Close()
		}
	}
	return file, err
}

// fileError is what there is to say of a file that cannot be opened.
func fileError(path string, err error, hint string) *Error {
	if errors.Is(err, errNoAnswer) {
		hint = "has a program opened the other end of it?"
	}
	return &Error{Spec: path, Err: cause(err), Hint: hint, File: true}
}
