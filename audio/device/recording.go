package device

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"securecall/audio"
)

// A Recording is a stereo WAV file of a call: on the left what was said here, on the
// right what was heard. It is a call.Recorder.
//
// Said and Heard come from two goroutines with a clock each, a microphone's and a
// speaker's. The file follows a third, the system's: a side whose sound is more than
// slack behind it gets silence, and one that is more than slack ahead loses a frame. So
// the two stay together for as long as a call lasts, and a device that has stopped for a
// while goes on at its place.
//
// Neither waits for the disk: both write into a ring, which a goroutine empties into the
// file. What finds no room there, since the disk has stopped for seconds, is silence in
// the file. The header says at any time, but for the last second, how much sound there
// is: a process that is killed leaves a file that can be played.
type Recording struct {
	path string
	file *os.File
	wake chan struct{} // there is something to write
	done chan struct{} // closed when writing has ended

	mu      sync.Mutex
	begun   time.Time // when the first sample came
	ring    [2 * recordingRing]int16
	sides   [2]int64 // how many samples each has, those without room too
	written int64    // samples of each that were taken from the ring
	closed  bool
	lost    int64 // samples that found no room
	failed  error
	told    bool // somebody knows of failed

	// The writing goroutine alone:
	pcm    []int16
	raw    []byte
	size   int64 // octets in the file
	unsaid int64 // of them, since the header was written
	named  bool  // it had a name at first: not all file systems count them
}

const (
	said = iota // the left
	heard

	recordingRing = 4 * audio.SampleRate // samples of each side
	slack         = audio.SampleRate / 5 // 200 ms, also the length of a piece that is written
	stereoRefresh = 4 * audio.SampleRate // octets, a second
	stereoSample  = 4                    // octets of both sides
)

// CreateRecording begins a recording in a new file, which nobody else may read. It takes
// no file that is there, whatever that is: a recording that is written over is gone for
// good. A failure is an *Error.
func CreateRecording(path string) (*Recording, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, cannotRecord(path, err)
	}
	header := wavHeader(2, 0)
	if _, err := file.Write(header[:]); err != nil {
		file.Close()
		os.Remove(path)
		return nil, diskFailed(path, err)
	}
	r := &Recording{path: path, file: file, wake: make(chan struct{}, 1), done: make(chan struct{}), named: !removed(file)}
	go r.write()
	return r, nil
}

// cannotRecord says why there is no new file.
func cannotRecord(path string, err error) error {
	e := &Error{Spec: path, Err: cause(err), Hint: "choose a file that can be written", File: true}
	if !errors.Is(err, fs.ErrExist) {
		return e
	}
	e.Err, e.Hint = errors.New("it exists, and a recording never replaces a file"), "choose another name, or move the file away"
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		e.Err, e.Hint = errors.New("it is no regular file"), "choose the name of a new file"
	}
	return e
}

// errRemoved is a file that somebody has deleted, or the folder around it.
var errRemoved = errors.New("the file was removed while it was being written")

func diskFailed(path string, err error) error {
	e := &Error{Spec: path, Err: cause(err), Hint: writeHint(err), File: true}
	if errors.Is(err, errRemoved) {
		e.Hint = "leave a recording where it is until it has ended"
	}
	return e
}

// Name is the path that it was created with.
func (r *Recording) Name() string { return r.path }

// Said takes in what was sent. It neither waits nor keeps f.
func (r *Recording) Said(f audio.Frame) { r.add(said, f) }

// Heard takes in what was played. It neither waits nor keeps f.
func (r *Recording) Heard(f audio.Frame) { r.add(heard, f) }

func (r *Recording) add(side int, f audio.Frame) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.failed != nil {
		return
	}
	if r.begun.IsZero() {
		r.begun = now
	}
	// The frame ends now.
	due := audio.SampleAt(now.Sub(r.begun))
	switch at := r.sides[side]; {
	case at < due-slack:
		r.sides[side] = due // in the ring there is silence
	case at > due+slack:
		return
	}
	r.store(side, f)
	if r.ready(due)-r.written >= slack {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// store puts a frame in its place, as far as there is room.
func (r *Recording) store(side int, f audio.Frame) {
	at := r.sides[side]
	r.sides[side] += int64(len(f))
	if at < r.written || at+int64(len(f)) > r.written+recordingRing {
		r.lost += int64(len(f))
		return
	}
	for i, x := range f {
		r.ring[2*((at+int64(i))%recordingRing)+int64(side)] = x
	}
}

// ready is up to where nothing more will come: both sides are past it, or one is so far
// behind that it will go on later.
func (r *Recording) ready(due int64) int64 {
	return max(min(r.sides[said], r.sides[heard]), min(due-slack, max(r.sides[said], r.sides[heard])))
}

// Failed is why nothing is written any more, if so.
func (r *Recording) Failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = r.failed != nil
	return r.failed
}

// Lost is how many samples are silence in the file, since the disk could not keep up.
func (r *Recording) Lost() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}

// Close completes the file. Its error is one that Failed has not told.
func (r *Recording) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.wake)
	r.mu.Unlock()
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		return nil
	}
	return r.failed
}

// write is the goroutine that empties the ring into the file.
func (r *Recording) write() {
	defer close(r.done)
	for range r.wake {
		r.empty(false)
	}
	r.empty(true)
	err := r.refresh()
	if closing := r.file.Close(); err == nil {
		err = closing
	}
	r.fail(err)
}

// empty writes what is ready, at the end of a recording all there is.
func (r *Recording) empty(all bool) {
	for r.take(all) {
		if r.append() != nil {
			return
		}
	}
}

// take takes the next piece out of the ring and leaves silence there.
func (r *Recording) take(all bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := max(r.sides[said], r.sides[heard])
	if !all {
		end = r.ready(audio.SampleAt(time.Since(r.begun)))
	}
	n := min(end-r.written, slack)
	if n <= 0 || r.failed != nil {
		return false
	}
	r.pcm = r.pcm[:0]
	for at := r.written; at < r.written+n; at++ {
		pair := r.ring[2*(at%recordingRing):][:2]
		r.pcm = append(r.pcm, pair...)
		clear(pair)
	}
	r.written += n
	return true
}

// append writes a piece to the file, and once a second the header.
func (r *Recording) append() error {
	r.raw = r.raw[:0]
	for _, x := range r.pcm {
		r.raw = binary.LittleEndian.AppendUint16(r.raw, uint16(x))
	}
	n, err := r.file.Write(r.raw)
	r.size += int64(n)
	r.unsaid += int64(n)
	if err == nil && r.unsaid >= stereoRefresh {
		err = r.refresh()
	}
	r.fail(err)
	return err
}

// refresh makes the header say how much sound follows, if the file is still there.
func (r *Recording) refresh() error {
	r.unsaid = 0
	header := wavHeader(2, r.size-r.size%stereoSample)
	if r.named && removed(r.file) {
		return errRemoved
	}
	_, err := r.file.WriteAt(header[:], 0)
	return err
}

// fail notes the first failure.
func (r *Recording) fail(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = diskFailed(r.path, err)
	}
}
