// Package zidcache is what an installation remembers for ZRTP (RFC 6189,
// Sections 4.3, 4.6.1, 4.9, 12, 15.1): its own ZID, and about each peer, by
// ZID, the retained secrets rs1 and rs2 and what is kept beside them for meeting by name,
// whether and how the SAS was verified,
// the name the user gave it, its last address, and its first and last call.
// Nothing else about calls is kept. pbxsecret (Section 7.3.1) is left out,
// since there is no PBX, and auxsecret belongs to whoever hands it in.
//
// All of it is one text file, zids, for all processes of one user. The format
// is in format.go and docs/notes/zid-cache.md. A writer holds the lock zids.lock,
// writes the whole state to zids.new, syncs it and renames it over zids; so a
// reader needs no lock, and a process killed at any instant leaves either the
// old state or the new one. A damaged file is set aside and reported, and never
// overwritten.
//
// The file is not encrypted: who can read it has the secrets. Folder and file
// are the user's alone (0700, 0600), and refused if they are not. Windows has
// no such bits; there the rights of the user's profile have to do.
//
// The package reads and writes files in the folder given to Open and does no
// other I/O. Whether a secret has expired is for the caller to say: only
// Record.Expire compares times.
package zidcache

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"

	"securecall/crypto/zrtp/wire"
)

// A ZID names an installation (Section 4.9).
type ZID = wire.ZID

// MaxStrangers is how many records of calls that were never answered are kept.
const MaxStrangers = 1000

// What callers branch on.
var (
	ErrNewer       = errors.New("was written by a newer securecall: use that one, or another folder")
	ErrNotPrivate  = errors.New("is not private")
	ErrNameTaken   = errors.New("the name belongs to another contact")
	ErrInvalidName = errors.New("not a name for a contact")
)

// A NameTakenError is ErrNameTaken and says whose the name is.
type NameTakenError struct {
	Name string
	ZID  ZID
}

func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%q is the name of the contact with ZID %x", e.Name, e.ZID[:])
}

// Unwrap makes it ErrNameTaken.
func (e *NameTakenError) Unwrap() error { return ErrNameTaken }

// A Cache is the state in one folder. Its methods may be called from several
// goroutines, and several processes may have a Cache of the same folder.
type Cache struct {
	path    string // of the file zids
	lock    *lockedfile.Mutex
	own     atomic.Pointer[ZID]
	damaged func(aside string, why error)
	// step is called before each step of a write. Tests end the process there,
	// or fail the step; otherwise it is nil.
	step func(name string) error
}

// Open reads the state in dir; what is missing of it is made, with a fresh
// random ZID.
//
// Damaged is called when the file turns out to be damaged, now or later, before
// a new state with a new ZID takes its place: aside is the path under which it
// was kept, empty if the file vanished while it was in use. It must not call the
// Cache. The errors are ErrNotPrivate, ErrNewer, and those of the file system;
// after an error nothing was changed.
func Open(dir string, damaged func(aside string, why error)) (*Cache, error) {
	return open(dir, damaged, nil)
}

func open(dir string, damaged func(aside string, why error), step func(string) error) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("zid cache: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "zids")
	c := &Cache{path: path, lock: lockedfile.MutexAt(path + ".lock"), damaged: damaged, step: step}
	if err := makeLock(c.lock.Path); err != nil && !errors.Is(err, syscall.EROFS) { // what is there can be read
		return nil, err
	}
	if _, err := os.Lstat(c.temporary()); errors.Is(err, os.ErrNotExist) && !readsNeedLock {
		// Nearly always there is a good file, and nobody to wait for.
		if _, _, err := c.scan(nil); !errors.As(err, new(*damage)) {
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
	unlock, err := c.lock.Lock()
	if err != nil {
		return nil, fmt.Errorf("zid cache: %w", err)
	}
	defer unlock()
	// A process that was killed while it wrote may have left this.
	if err := os.Remove(c.temporary()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("zid cache: %w", err)
	}
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := c.begin(nil); err != nil {
			return nil, err
		}
	}
	if err := c.repairing(func(*state) error { return nil }); err != nil {
		return nil, err
	}
	return c, nil
}

// ZID is this installation's own, as last read: it changes when a damaged file
// has to be replaced.
func (c *Cache) ZID() ZID { return *c.own.Load() }

// Lookup finds the record of one peer. It takes no lock, and reads the file
// anew each time.
func (c *Cache) Lookup(zid ZID) (r Record, known bool, err error) {
	return c.one(isOf(zid), func(s *state) []byte { return s.find(zid) })
}

// Named finds the contact of exactly that name.
func (c *Cache) Named(name string) (r Record, known bool, err error) {
	return c.one(isNamed(name), func(s *state) []byte { return s.named(name) })
}

// one finds one record, by looking through the file or, where that has to be
// repaired first or cannot be read without the lock, by find.
func (c *Cache) one(wanted func(line []byte) bool, find func(*state) []byte) (r Record, known bool, err error) {
	if !readsNeedLock {
		if r, known, err = c.scan(wanted); !errors.As(err, new(*damage)) {
			return r, known, err
		}
	}
	err = c.locked(func(s *state) error {
		r, known, err = s.record(find(s))
		return err
	})
	return r, known, err
}

// List is everybody but strangers: contacts by name, then those without a
// name, the last call first. The secrets are left out; Lookup has them.
func (c *Cache) List() ([]Record, error) {
	var list []Record
	err := c.view(func(s *state) (err error) {
		list, err = s.list()
		return err
	})
	slices.SortFunc(list, func(a, b Record) int {
		switch {
		case (a.Name == "") != (b.Name == ""):
			return strings.Compare(b.Name, a.Name)
		case a.Name != b.Name:
			return strings.Compare(a.Name, b.Name)
		}
		return cmp.Or(b.Last.Compare(a.Last), bytes.Compare(a.ZID[:], b.ZID[:]))
	})
	return list, err
}

// Each gives f everybody but strangers, with the secrets, which are wiped when f returns. A
// file that has to be repaired is begun anew: f may then have got what is there no more.
func (c *Cache) Each(f func(r *Record)) error {
	return c.view(func(s *state) error {
		for line := range bytes.Lines(s.records) {
			r, err := parseRecord(line)
			if err != nil {
				return err
			}
			if !r.stranger() {
				f(&r)
			}
			r.Wipe()
		}
		return nil
	})
}

// Update changes the record of one peer, or makes it, while all other writers
// wait: so change must be quick, and must not call the Cache. It gets the record
// as it is, or one with nothing but the ZID; an error from it is returned and
// nothing is written. The secrets in r when change is called are wiped before
// Update returns; slices that change puts there stay the caller's.
//
// A Name that another peer has is refused with a *NameTakenError, and one that
// cannot be with ErrInvalidName.
func (c *Cache) Update(zid ZID, change func(r *Record) error) error {
	return c.Together(func(update Updater) error { return update(zid, change) })
}

// An Updater is Update inside Together.
type Updater func(zid ZID, change func(r *Record) error) error

// Together has f make several updates in one write: afterwards all of them are there, or
// none, and thousands take seconds. An update that is refused leaves the others as they are,
// unless f returns its error. f may be called twice, the second time for a state that is
// new, where the old one turns out to be damaged.
func (c *Cache) Together(f func(update Updater) error) error {
	return c.locked(func(s *state) error {
		var data []byte // head and records of s, once there is an update
		defer func() { clear(data) }()
		err := f(func(zid ZID, change func(r *Record) error) error {
			old, line, stranger, err := s.update(zid, change)
			defer clear(line)
			switch {
			case err != nil || line == nil:
				return err
			case old == nil && !stranger && cap(data)-len(data) > len(line):
				data = append(data, line...)
			default:
				next := s.with(old, line, stranger)
				clear(data)
				data = next
			}
			s = &state{own: s.own, head: s.head, records: data[len(s.head):]}
			return nil
		})
		if err != nil || data == nil {
			return err
		}
		file := appendSum(data, data)
		defer clear(file)
		return c.write(file)
	})
}

// Forget removes everything about a peer. An unknown one is no error.
func (c *Cache) Forget(zid ZID) error {
	return c.locked(func(s *state) error {
		line := s.find(zid)
		if line == nil {
			return nil
		}
		data := s.with(line, nil, false)
		return c.write(appendSum(data, data))
	})
}

// view gives the state as it is on disk to f, without a lock unless the file
// has to be repaired. f may be called twice.
func (c *Cache) view(f func(*state) error) error {
	if !readsNeedLock {
		var d *damage
		if err := c.read(f); !errors.As(err, &d) {
			return err
		}
	}
	return c.locked(f)
}

// locked gives f the state while nobody else can write.
func (c *Cache) locked(f func(*state) error) error {
	unlock, err := c.lock.Lock()
	if err != nil {
		return fmt.Errorf("zid cache: %w", err)
	}
	defer unlock()
	return c.repairing(f)
}

// repairing reads under the lock. A damaged state is replaced, and f gets the
// new one.
func (c *Cache) repairing(f func(*state) error) error {
	err := c.read(f)
	var d *damage
	if !errors.As(err, &d) {
		return err
	}
	if err := c.begin(d); err != nil {
		return err
	}
	return c.read(f)
}

// read reads the file, gives it to f, and wipes it from memory.
func (c *Cache) read(f func(*state) error) error {
	data, err := readFile(c.path)
	defer clear(data)
	if err != nil {
		return err
	}
	s, err := parse(data)
	if err != nil {
		return fmt.Errorf("%s %w", c.path, err)
	}
	c.own.Store(&s.own)
	return f(s)
}

// begin starts a new state with a new ZID. With d the old one is set aside
// first, and that is told before it is replaced.
func (c *Cache) begin(d *damage) error {
	var own ZID
	_, _ = rand.Read(own[:]) // never fails
	return c.replace(appendState(nil, own), func() error {
		if d == nil {
			return nil
		}
		aside := ""
		if !d.gone {
			var err error
			if aside, err = setAside(c.path); err != nil {
				return err
			}
		}
		c.damaged(aside, d.why)
		return nil
	})
}
