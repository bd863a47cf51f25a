package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/call"
)

func recordFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "record", Usage: "record the call to `FILE.wav`, left what I say and right what I hear; the other side is told first", TakesFile: true},
		toggle("record-untold", "record even if the other side's program cannot be told"),
	}
}

// records are the recordings of --record and the key r, each in a new file:
// none is ever overwritten.
type records struct {
	given  string // --record; empty: the files are named by the time
	untold bool

	mu   sync.Mutex
	last string // the file that was opened last
}

// readRecords reads the flags about recording.
func readRecords(c *ucli.Context) (*records, error) {
	r := &records{given: c.String("record"), untold: c.Bool("record-untold")}
	switch {
	case !c.IsSet("record"):
	case !strings.EqualFold(filepath.Ext(r.given), ".wav"):
		return nil, usagef("e.g. --record call.wav", "--record %q: a recording is a WAV file", printable(r.given))
	case c.IsSet("speaker") && filepath.Clean(c.String("speaker")) == filepath.Clean(r.given):
		return nil, usagef("give them two files", "--record and --speaker would both write to %s", printable(r.given))
	}
	return r, nil
}

// check finds out before the call whether --record can be done.
func (r *records) check() error {
	if r.given == "" {
		return nil
	}
	file, err := device.CreateRecording(r.given)
	if err != nil {
		return err
	}
	closed := file.Close()
	if err := os.Remove(r.given); err != nil {
		return err
	}
	return closed
}

// open opens the next recording.
func (r *records) open() (call.Recorder, error) {
	name := r.next(time.Now())
	file, err := device.CreateRecording(name)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.last = name
	r.mu.Unlock()
	return file, nil
}

// next is the name of a new file.
func (r *records) next(now time.Time) string {
	first := r.given
	if first == "" {
		first = now.Format("securecall-20060102-150405.wav")
	}
	name := first
	for n := 2; there(name); n++ {
		ext := filepath.Ext(first)
		name = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(first, ext), n, ext)
	}
	return name
}

func there(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// name is the file that was opened last.
func (r *records) name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
