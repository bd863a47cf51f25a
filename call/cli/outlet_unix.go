//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// hasRoom tells whether a write to f would not wait: the descriptor itself stays as it is, since
// other programs may share it.
func hasRoom(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err != nil || n > 0 // an error of the output is for the write to tell
		}
	}
}
