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
	if err := checkFolder(dir); err != nil {
		return own, 0, err
	}
	c := &Cache{path: filepath.Join(dir, "zids")}
	err = c.read(func(s *state) error {
		list, err := s.list()
		own, known = s.own, len(list)
		return err
	})
	var d *damage
	switch {
	case !errors.As(err, &d):
		return own, known, err
	case d.gone:
		return ZID{}, 0, fmt.Errorf("zid cache: %w", fs.ErrNotExist)
	}
	return ZID{}, 0, fmt.Errorf("%s %w: %w", c.path, ErrDamaged, d.why)
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
