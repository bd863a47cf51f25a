package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/call"
)

func recordFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "record", Usage: "record the call to `FILE.wav`, left what I say and right what I hear, or each call into the folder DIR/; the other side is told first", TakesFile: true},
		toggle("record-untold", "record even if the other side's program cannot be told"),
	}
}

// records are the recordings of --record and the key r, each in a new file:
// none is ever overwritten.
type records struct {
	given  string // --record; empty: the files are named by the time
	folder bool   // given is one
	untold bool

	// hung is what a disk was asked for and has not done in its time.
	hung atomic.Int32
}

// readRecords reads the flags about recording.
func readRecords(c *ucli.Context) (*records, error) {
	r := &records{given: c.String("record"), untold: c.Bool("record-untold")}
	r.folder = isFolder(r.given)
	switch {
	case !c.IsSet("record"), r.folder:
	case !strings.EqualFold(filepath.Ext(r.given), ".wav"):
		return nil, usagef("e.g. --record call.wav; or --record calls/, a folder, which is made", "--record %q: a recording is a WAV file", printable(r.given))
	case c.IsSet("speaker") && filepath.Clean(c.String("speaker")) == filepath.Clean(r.given):
		return nil, usagef("give them two files", "--record and --speaker would both write to %s", printable(r.given))
	}
	return r, nil
}

// isFolder tells whether a path is that of a folder, or is written like one.
func isFolder(path string) bool {
	if path == "" {
		return false
	}
	info, err := os.Stat(path)
	return os.IsPathSeparator(path[len(path)-1]) || err == nil && info.IsDir()
}

// check finds out before the call whether --record can be done.
func (r *records) check() error {
	if r.given == "" {
		return nil
	}
	if r.folder {
		return r.checkFolder()
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

// checkFolder makes the folder, if need be for us alone, and tries to write there.
func (r *records) checkFolder() error {
	err := os.MkdirAll(r.given, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(r.given, ".securecall-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err == nil {
		return nil
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &device.Error{Spec: r.given, Err: err, Hint: "choose a folder that can be written", File: true}
}

// open opens the next recording, of the call of that number.
func (r *records) open(id int) (call.Recorder, error) {
	name := cmp.Or(r.given, "a recording")
	if r.hung.Load() > 0 { // each that waits for the disk costs a thread
		return nil, diskHangs(name)
	}
	var file *device.Recording
	create := func() (err error) {
		file, err = r.create(id)
		return err
	}
	tooLate := func() { // nothing is in it
		if file != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}
	if err := r.inTime(name, create, tooLate); err != nil {
		return nil, err
	}
	return &patientRecording{file, r}, nil
}

// maxFaster is how often another process may be faster with a name.
const maxFaster = 10

// create begins the next recording under a name that nothing has.
func (r *records) create(id int) (file *device.Recording, err error) {
	for range maxFaster {
		name := r.next(time.Now(), id)
		if file, err = device.CreateRecording(name); err == nil || !there(name) {
			break
		}
	}
	return file, err
}

// next is the name of a new file. Nothing that a peer has said is in it.
func (r *records) next(now time.Time, id int) string {
	first, stamp := r.given, now.Format("securecall-20060102-150405")
	switch {
	case r.folder:
		first = filepath.Join(r.given, fmt.Sprintf("%s-call-%d.wav", stamp, id))
	case first == "":
		first = stamp + ".wav"
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

// diskPatience is how long a disk may take to open a recording, or to take the rest of one.
const diskPatience = 5 * time.Second

// A patientRecording is one whose Close does not wait for ever: a call ends even if the
// disk, or a server that stands for it, does not answer any more.
type patientRecording struct {
	*device.Recording
	records *records
}

// Close implements call.Recorder.
func (p *patientRecording) Close() error {
	return p.records.inTime(p.Name(), p.Recording.Close, func() {})
}

// inTime waits for what a disk is asked for, as long as that may take. What is done later
// than that is followed by tooLate.
func (r *records) inTime(name string, ask func() error, tooLate func()) error {
	done := make(chan error, 1)
	go func() { done <- ask() }()
	select {
	case err := <-done:
		return err
	case <-time.After(diskPatience):
	}
	r.hung.Add(1)
	go func() {
		<-done
		tooLate()
		r.hung.Add(-1)
	}()
	return diskHangs(name)
}

func diskHangs(name string) error {
	return &device.Error{
		Spec: name, Err: fmt.Errorf("the disk has not answered for %v", diskPatience),
		Hint: "nothing more is recorded until it does; calls go on", File: true,
	}
}
