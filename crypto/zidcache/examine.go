package zidcache

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// ErrDamaged is Examine's error for a file that Open would set aside.
var ErrDamaged = errors.New("is damaged")

// Examine reads the state in dir and changes nothing, makes nothing and takes no lock: the
// installation's own ZID, and how many peers List would give. Errors: fs.ErrNotExist where
// there is no state yet, ErrDamaged, and those of Open.
func Examine(dir string) (own ZID, known int, err error) {
	err = examine(dir, func(s *state) error {
		list, err := s.list()
		own, known = s.own, len(list)
		return err
	})
	if err != nil {
		return ZID{}, 0, err
	}
	return own, known, nil
}

// Known is whom List would give, in no order, without their secrets, and read as Examine reads.
func Known(dir string) (list []Record, err error) {
	err = examine(dir, func(s *state) (err error) {
		list, err = s.list()
		return err
	})
	return list, err
}

func examine(dir string, f func(*state) error) error {
	if err := checkFolder(dir); err != nil {
		return err
	}
	c := &Cache{path: filepath.Join(dir, "zids")}
	err := c.read(f)
	var d *damage
	switch {
	case !errors.As(err, &d):
		return err
	case d.gone:
		return fmt.Errorf("zid cache: %w", fs.ErrNotExist)
	}
	return fmt.Errorf("%s %w: %w", c.path, ErrDamaged, d.why)
}

// list is everybody but strangers, without the secrets.
func (s *state) list() (list []Record, err error) {
	for line := range bytes.Lines(s.records) {
		r, err := parseRecord(line)
		if err != nil {
			return nil, err
		}
		r.Wipe()
		if !r.stranger() {
			list = append(list, r)
		}
	}
	return list, nil
}
