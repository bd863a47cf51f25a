package device

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// leastPipe has the kernel keep as little in a pipe as it can: a page, a quarter of a second
// of sound. It would take four, and who reads slowly for a moment would be late by that for good.
func leastPipe(w io.Writer) {
	f, ok := w.(*os.File)
	if !ok {
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1) // it takes the least that is more; a file has no such size
	})
}
