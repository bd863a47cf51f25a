package device

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

// stereo reads a recording as it is on the disk, finished or not. A header that promises
// more than there is fails.
func stereo(t *testing.T, path string) (left, right []int16) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	format, size, err := readWAVHeader(bufio.NewReader(bytes.NewReader(file)))
	if err != nil || format != (wavFormat{coding: wavPCM, channels: 2, rate: audio.SampleRate, octets: 2}) {
		t.Fatalf("%+v, %v", format, err)
	}
	sound := file[wavHeaderSize:]
	if size > int64(len(sound)) || size%stereoSample != 0 {
		t.Fatalf("the header says %d octets, and there are %d", size, len(sound))
	}
	for sound = sound[:size]; len(sound) > 0; sound = sound[stereoSample:] {
		left = append(left, int16(binary.LittleEndian.Uint16(sound)))
		right = append(right, int16(binary.LittleEndian.Uint16(sound[2:])))
	}
	return left, right
}

// marked is a frame whose samples all say which it is.
func marked(n int16) audio.Frame {
	f := make(audio.Frame, audio.FrameSamples)
	for i := range f {
		f[i] = n
	}
	return f
}

func newRecording(t *testing.T) (*Recording, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "call.wav")
	r, err := CreateRecording(path)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

// Left is what was said and right what was heard, sample for sample; and at any time the
// file on the disk can be played, up to a second and a piece ago.
func TestRecordingHoldsBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := newRecording(t)
		var said, heard []int16
		for n := range int16(250) {
			r.Said(marked(n))
			r.Heard(marked(-n))
			said, heard = append(said, marked(n)...), append(heard, marked(-n)...)
			time.Sleep(audio.FrameDuration)
			synctest.Wait()
			left, right := stereo(t, path)
			if !slices.Equal(left, said[:len(left)]) || !slices.Equal(right, heard[:len(right)]) {
				t.Fatalf("after %d frames the file holds something else", n)
			}
			if late := len(said) - len(left); late > audio.SampleRate+2*slack {
				t.Fatalf("after %d frames the file lacks %d samples", n, late)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		left, right := stereo(t, path)
		if !slices.Equal(left, said) || !slices.Equal(right, heard) {
			t.Errorf("finished, it holds %d samples of %d", len(left), len(said))
		}
		r.Said(marked(1)) // nothing panics
		if err := r.Close(); err != nil || r.Lost() != 0 {
			t.Errorf("closed twice: %v; %d lost", err, r.Lost())
		}
	})
}

// Each side has a clock of its own, too fast, too slow, or standing for a while and then
// making up for it at once. Whatever is in the file is there within 250 ms of when it was
// said or heard, and the file is as long as the call.
func TestRecordingFollowsTime(t *testing.T) {
	for name, period := range map[string]time.Duration{
		"slow":      audio.FrameDuration + 100*time.Microsecond,
		"fast":      audio.FrameDuration - 100*time.Microsecond,
		"very fast": audio.FrameDuration / 2,
		"very slow": 3 * audio.FrameDuration,
		"stands":    0,
		"in lumps":  -1,
	} {
		synctest.Test(t, func(t *testing.T) {
			const length = 100 * time.Second
			r, path := newRecording(t)
			begun := time.Now()
			at := []time.Time{begun} // when each frame was heard; the value 0 is silence
			hear := func(frames int) {
				for range frames {
					r.Heard(marked(int16(len(at))))
					at = append(at, time.Now())
				}
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for time.Since(begun) < length {
					switch {
					case period > 0:
						hear(1)
						time.Sleep(period)
					case period == 0: // ten seconds of sound, five of nothing
						hear(1)
						if time.Sleep(audio.FrameDuration); len(at)%500 == 0 {
							time.Sleep(5 * time.Second)
						}
					default:
						time.Sleep(time.Second)
						hear(50)
					}
				}
			}()
			for time.Since(begun) < length {
				r.Said(marked(1))
				time.Sleep(audio.FrameDuration)
			}
			<-done
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			left, right := stereo(t, path)
			if off := audio.Duration(len(left)) - length; off < -slackTime || off > slackTime {
				t.Errorf("%s: the file lasts %v longer than the call", name, off)
			}
			if silent := count(left, 0); silent > 2*slack {
				t.Errorf("%s: %d samples of what was said are silence", name, silent)
			}
			heard := 0
			for i, n := range right {
				if n == 0 {
					continue
				}
				heard++
				// A second in one lump cannot be all of it where it was heard.
				if off := audio.Duration(i) - at[n].Sub(begun); off < -slackTime || off > slackTime {
					t.Fatalf("%s: frame %d is %v off", name, n, off)
				}
			}
			if heard < audio.SampleRate*20 {
				t.Errorf("%s: only %d samples of what was heard", name, heard)
			}
			if r.Lost() > 0 {
				t.Errorf("%s: %d samples had no room", name, r.Lost())
			}
		})
	}
}

const slackTime = 250 * time.Millisecond

func count(pcm []int16, x int16) (n int) {
	for _, y := range pcm {
		if x == y {
			n++
		}
	}
	return n
}

// A disk that stands still for longer than the ring lasts holds nobody up; what had no
// room is counted and is silence.
func TestRecordingWaitsForNoDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "call.wav")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		header := wavHeader(2, 0)
		if _, err := file.Write(header[:]); err != nil {
			t.Fatal(err)
		}
		r := &Recording{path: path, file: file, wake: make(chan struct{}, 1), done: make(chan struct{})}
		frames := 0
		talk := func(n int) {
			for range n {
				r.Said(marked(7))
				r.Heard(marked(8))
				frames++
				time.Sleep(audio.FrameDuration)
			}
		}
		talk(300) // six seconds, and the ring has four
		go r.write()
		synctest.Wait()
		talk(50)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		left, right := stereo(t, path)
		if len(left) != frames*audio.FrameSamples || count(left, 0) != 2*audio.SampleRate || count(right, 0) != 2*audio.SampleRate {
			t.Errorf("%d samples, %d and %d of them silence", len(left), count(left, 0), count(right, 0))
		}
		if left[recordingRing-1] != 7 || left[recordingRing] != 0 || left[len(left)-1] != 7 {
			t.Error("the silence is not where the room ended")
		}
		if r.Lost() != 4*audio.SampleRate {
			t.Errorf("%d samples are counted as lost", r.Lost())
		}
	})
}

// A recording replaces nothing, and says which file is in its way.
func TestRecordingReplacesNothing(t *testing.T) {
	folder := t.TempDir()
	there := writeFile(t, "there.wav", []byte("an interview"))
	dangling := filepath.Join(folder, "dangling.wav")
	if err := os.Symlink(filepath.Join(folder, "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{there, folder, dangling, filepath.Join(folder, "none", "x.wav")} {
		r, err := CreateRecording(path)
		var e *Error
		if r != nil || !errors.As(err, &e) || !e.File || e.Hint == "" || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "an interview" {
		t.Errorf("it now holds %q, %v", b, err)
	}
}

// What was said in confidence is nobody else's to hear.
func TestRecordingIsPrivate(t *testing.T) {
	r, path := newRecording(t)
	defer r.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

// A disk that fails in between, as a full one does, is told once, and what was written
// can be played.
func TestRecordingTellsOfItsDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, path := newRecording(t)
		talk := func() {
			for range 100 {
				r.Said(marked(1))
				r.Heard(marked(2))
				time.Sleep(audio.FrameDuration)
				synctest.Wait()
			}
		}
		talk()
		if err := r.Failed(); err != nil {
			t.Fatal(err)
		}
		r.file.Close()
		talk()
		var e *Error
		if err := r.Failed(); !errors.As(err, &e) || e.Spec != path || e.Hint == "" {
			t.Errorf("it tells %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("told twice: %v", err)
		}
		if left, _ := stereo(t, path); len(left) < audio.SampleRate {
			t.Errorf("%d samples can be played", len(left))
		}
	})
}

// The packet path does not allocate.
func TestRecordingDoesNotAllocate(t *testing.T) {
	r, _ := newRecording(t)
	defer r.Close()
	f := marked(1)
	if n := testing.AllocsPerRun(100, func() { r.Said(f); r.Heard(f) }); n > 0 {
		t.Errorf("%.1f allocations a frame", n)
	}
}

// A process that is killed in mid-call leaves a file that can be played, but for a bit
// more than the last second.
func TestRecordingOutlivesItsProcess(t *testing.T) {
	if path := os.Getenv("SECURECALL_TEST_RECORD"); path != "" {
		synctest.Test(t, func(t *testing.T) { recordAndDie(t, path) })
	}
	path := filepath.Join(t.TempDir(), "call.wav")
	child := exec.Command(os.Args[0], "-test.run=^TestRecordingOutlivesItsProcess$")
	child.Env = append(os.Environ(), "SECURECALL_TEST_RECORD="+path)
	out, err := child.CombinedOutput()
	if child.ProcessState == nil || child.ProcessState.Success() || bytes.Contains(out, []byte("FAIL")) {
		t.Fatalf("the child was not killed: %v\n%s", err, out)
	}
	left, right := stereo(t, path)
	if len(left) < 2*audio.SampleRate || len(left) > 4*audio.SampleRate || count(left, 5) != len(left) || count(right, 6) != len(right) {
		t.Errorf("%d samples are left, %d and %d as they were", len(left), count(left, 5), count(right, 6))
	}
}

func recordAndDie(t *testing.T, path string) {
	r, err := CreateRecording(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 175 { // three seconds and a half
		r.Said(marked(5))
		r.Heard(marked(6))
		time.Sleep(audio.FrameDuration)
		synctest.Wait()
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Kill(); err != nil {
		t.Fatal(err)
	}
	select {} // not for long
}
