package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"securecall/crypto/zidcache"
)

// What this machine remembers, and what time it has.

func (d *checkup) memory() error {
	var k check
	err := d.during("the folder "+printable(d.state), func(context.Context) { k = stateCheck(d.state) })
	if err == nil {
		d.tell(k)
	}
	return err
}

// stateCheck changes nothing that is there: a state is made by the first call.
func stateCheck(dir string) check {
	k := check{label: "state"}
	own, known, err := zidcache.Examine(dir)
	none := errors.Is(err, fs.ErrNotExist)
	if err == nil || none {
		err = writable(dir)
	}
	switch {
	case errors.Is(err, zidcache.ErrDamaged):
		k.doubt, k.what = true, err.Error()
		k.hint = "put a copy back if you have one; else the next call begins anew, with a new ZID, and everybody has to be verified again"
	case err != nil:
		s := stateFailure(err)
		k.what, k.hint, k.status = s.what, s.hint, s.status
	case none:
		k.what = dir + ": nothing yet; the first call begins it"
	default:
		k.what = fmt.Sprintf("%s: own ZID %s, known: %d", dir, zidText(own), known)
	}
	return k
}

// writable tries whether a file can be made in dir, or where that is not there yet, in what it
// would be made in.
func writable(dir string) error {
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".securecall-*")
	if err == nil {
		f.Close()
		err = os.Remove(f.Name())
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if err != nil {
		return fmt.Errorf("nothing can be written to %s: %w", dir, err)
	}
	return nil
}

const (
	firstYear = 2026 // before which this program was not
	lastYear  = 2099
	mostOff   = 2 * time.Minute
	mostStep  = time.Second
)

func (d *checkup) clock() error {
	now := time.Now()
	// The difference of two times is that of the monotonic clock, unless it is taken out.
	step := now.Round(0).Sub(d.begun.Round(0)) - now.Sub(d.begun)
	d.tell(clockCheck(now, step, d.ahead, d.dated))
	return nil
}

// clockCheck: step is by how much the clock was set since we began, ahead by how much the
// meeting point's is before it.
func clockCheck(now time.Time, step, ahead time.Duration, dated bool) check {
	k := check{label: "clock", what: now.UTC().Format("2006-01-02 15:04 UTC")}
	off := ahead.Abs().Round(time.Second)
	switch {
	case now.Year() < firstYear || now.Year() > lastYear:
		k.doubt = true
		k.what += ": that cannot be"
	case step.Abs() > mostStep:
		k.doubt = true
		k.what += fmt.Sprintf(": it was set by %v while we looked", step.Round(time.Second))
	case dated && off > mostOff:
		k.doubt = true
		k.what += fmt.Sprintf(": %v %s the meeting point's", off, map[bool]string{true: "behind", false: "ahead of"}[ahead > 0])
	case dated:
		k.what += ", as at the meeting point"
	}
	if k.doubt {
		k.hint = "have it set by the network (NTP): certificates are judged by it, and contacts meet by the day in UTC"
	}
	return k
}
