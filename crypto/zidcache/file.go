package zidcache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// readFile reads a whole file of ours. What it returns is to be wiped, also
// with an error. A missing file is a *damage: Open has made it.
func readFile(path string) ([]byte, error) {
	f, err := openPrivate(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &damage{why: err, gone: true}
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("zid cache: %w", err)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("zid cache: %s has %d bytes, and may have %d", path, info.Size(), maxSize)
	}
	data := make([]byte, info.Size())
	if _, err = io.ReadFull(f, data); err != nil {
		return data, fmt.Errorf("zid cache: %s: %w", path, err)
	}
	return data, nil
}

// openPrivate opens a file that must be a regular one of the user's alone.
func openPrivate(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|openFlags, 0o600)
	if isSymlink(err) {
		return nil, fmt.Errorf("%s %w: it is a symbolic link; put the file itself there", path, ErrNotPrivate)
	} else if err != nil {
		return nil, fmt.Errorf("zid cache: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s %w: it is no regular file; move it away", path, ErrNotPrivate)
	} else if err == nil {
		err = checkRights(info, path, 0o600)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// makeLock makes the lock's file if there is none; lockedfile would give it
// wider rights, and would follow a link.
func makeLock(path string) error {
	f, err := openPrivate(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	return f.Close()
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir) // a link to a folder is fine
	if err != nil {
		return fmt.Errorf("zid cache: %w", err)
	}
	return checkRights(info, dir, 0o700)
}

func (c *Cache) temporary() string { return c.path + ".new" }

// write replaces the file, and wipes data.
func (c *Cache) write(data []byte) error {
	defer clear(data)
	if len(data) > maxSize {
		return errors.New("zid cache: there are too many peers; forget some")
	}
	return c.replace(data, func() error { return nil })
}

// replace puts data in the file's place, under the lock. What comes before the
// rename leaves the old state as it was; prepare is the last of it.
func (c *Cache) replace(data []byte, prepare func() error) (err error) {
	temporary := c.temporary()
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
			err = fmt.Errorf("zid cache: %w", err)
		}
	}()
	if err := c.before("create"); err != nil {
		return err
	}
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"write", func() error { _, err := f.Write(data); return err }},
		{"sync", f.Sync},
		{"close", f.Close},
		{"prepare", prepare},
		{"rename", func() error { return os.Rename(temporary, c.path) }},
		{"sync folder", func() error { return syncFolder(filepath.Dir(c.path)) }},
	} {
		if err := c.before(s.name); err != nil {
			return err
		}
		if err := s.do(); err != nil {
			return err
		}
	}
	return c.before("end")
}

// before is where tests interfere.
func (c *Cache) before(step string) error {
	if c.step == nil {
		return nil
	}
	return c.step(step)
}

// setAside gives a damaged file another name as well, so that there is no
// moment without a file in which a new state could begin unnoticed. Where the
// file system has no hard links it is renamed.
func setAside(path string) (string, error) {
	base := path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	aside := base
	for n := 2; ; n++ {
		if os.Link(path, aside) == nil {
			return aside, nil
		}
		switch _, err := os.Lstat(aside); {
		case errors.Is(err, fs.ErrNotExist):
			return aside, os.Rename(path, aside)
		case err != nil:
			return "", err
		}
		aside = fmt.Sprintf("%s-%d", base, n)
	}
}
