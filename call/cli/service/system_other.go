//go:build !linux

package service

// monotonic is systemd's alone, and so Linux's.
func monotonic() []string { return nil }

func passed(fd int, name string) (Socket, error) {
	return Socket{}, errorf("socket %d (%q): sockets are taken over on Linux only", fd, name)
}
