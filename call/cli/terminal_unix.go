//go:build unix

package cli

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// inForeground tells whether f, our terminal, would let us read: a background
// job that tries is stopped (SIGTTIN, SIGTTOU).
func inForeground(f *os.File) bool {
	group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// restoresOnQuit gives the terminal back before a signal ends us with a list of what each
// goroutine does, until stop is called.
func (k *keyboard) restoresOnQuit() (stop func()) {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, unix.SIGQUIT)
	go func() {
		s, ok := <-quit
		if !ok {
			return
		}
		k.restore()
		signal.Reset(s)
		_ = unix.Kill(unix.Getpid(), s.(unix.Signal))
	}()
	return func() {
		signal.Stop(quit)
		close(quit)
	}
}
