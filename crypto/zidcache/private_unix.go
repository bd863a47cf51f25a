//go:build unix

package zidcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openFlags follow no link, and do not wait for whoever opens a named pipe.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

const readsNeedLock = false // rename replaces a file that is being read

func isSymlink(err error) bool {
	return errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) // FreeBSD says EMLINK
}

// checkRights refuses what others own or may look into.
func checkRights(info fs.FileInfo, path string, mode fs.FileMode) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s %w: it belongs to another user (%d); use a folder of your own", path, ErrNotPrivate, s.Uid)
	}
	if p := info.Mode().Perm(); p&0o077 != 0 {
		return fmt.Errorf("%s %w: other users have rights to it (%04o); chmod %o %s", path, ErrNotPrivate, p, mode, path)
	}
	return nil
}

// syncFolder makes a rename last. Some file systems cannot.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
