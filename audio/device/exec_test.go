//go:build unix

package device

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"securecall/audio"
)

func TestSplitWords(t *testing.T) {
	for s, want := range map[string][]string{
		"cat":                         {"cat"},
		"  sox  -t raw\t- ":           {"sox", "-t", "raw", "-"},
		`play "my file" 'a "b" c' d`:  {"play", "my file", `a "b" c`, "d"},
		`x --name="two words"tail ''`: {"x", "--name=two wordstail", ""},
		`x \n $HOME * ; | &`:          {"x", `\n`, "$HOME", "*", ";", "|", "&"},
		`x "it's"`:                    {"x", "it's"},
		"x 'Grüße' y":                 {"x", "Grüße", "y"},
		"":                            nil,
		"   ":                         nil,
		"'' x":                        nil,
		"x 'open":                     nil,
		`x "open`:                     nil,
	} {
		got, err := SplitWords(s)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v, want %q", s, got, err, want)
		}
	}
}

func FuzzSplitWords(f *testing.F) {
	f.Add(`play "my file" 'x'`)
	f.Fuzz(func(t *testing.T, s string) {
		words, err := SplitWords(s)
		if err != nil {
			return
		}
		// Each word in quotes that it does not contain is that word again.
		var quoted []string
		for _, w := range words {
			q := `'`
			if strings.Contains(w, q) {
				q = `"`
			}
			if strings.Contains(w, q) {
				return
			}
			quoted = append(quoted, q+w+q)
		}
		again, err := SplitWords(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Fatalf("%q: %q, and again %q, %v", s, words, again, err)
		}
	})
}

// A lines keeps what a program says, and that it was closed.
type lines struct {
	bytes.Buffer
	closed chan struct{}
}

func (l *lines) Close() error {
	close(l.closed)
	return nil
}

// What a program says goes where it is wanted, also what it says last.
func TestExecStderr(t *testing.T) {
	said := &lines{closed: make(chan struct{})}
	source, err := OpenSource("exec:sh -c 'echo why >&2'", Options{Stderr: func() io.WriteCloser { return said }})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f := make(audio.Frame, audio.FrameSamples)
	for source.ReadFrame(f) == nil {
	}
	<-said.closed
	if said.String() != "why\n" {
		t.Errorf("it said %q", said)
	}
}

// What a program writes is heard, with silence until it comes, and then it
// has ended.
func TestExecSource(t *testing.T) {
	var raw []byte
	for i := 1; i <= 5; i++ {
		raw = append(raw, rawOf(numbered(i))...)
	}
	path := writeFile(t, "five frames.raw", raw)
	source, err := OpenSource(fmt.Sprintf("exec:cat '%s'", path), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		f := make(audio.Frame, audio.FrameSamples)
		err := source.ReadFrame(f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f, frameOf()) {
			got = append(got, rawOf(f)...)
		}
	}
	if !bytes.Equal(got, raw) {
		t.Errorf("%d octets came, of %d", len(got), len(raw))
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
}

// A program that records must not record before the call is answered, since
// all that it writes is sent.
func TestExecSourceStartsWithTheFirstFrame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not there yet")
	source, err := OpenSource(fmt.Sprintf("exec:cat '%s'", path), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := numbered(1)
	if err := os.WriteFile(path, rawOf(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f := make(audio.Frame, audio.FrameSamples)
	for err == nil && slices.Equal(f, frameOf()) {
		err = source.ReadFrame(f)
	}
	if err != nil || !slices.Equal(f, want) {
		t.Errorf("heard %v, %v", f[:3], err)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}

	path = filepath.Join(t.TempDir(), "begun")
	if source, err = OpenSource("exec:touch "+path, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	if err := source.ReadFrame(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a program that nobody listened to was started")
	}
}

// What shows only when a program starts is said as if it had shown before.
func TestExecSourceDoesNotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(path, []byte("\x00\x01 no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	source, err := OpenSource("exec:"+path, Options{})
	for err == nil {
		f := make(audio.Frame, audio.FrameSamples)
		err = source.ReadFrame(f)
	}
	var e *Error
	if !errors.As(err, &e) || e.Spec != "exec:"+path || e.Hint == "" {
		t.Errorf("it failed with %v", err)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
}

// A program sees the end of its input before it is asked to end, so that it
// can complete what it writes.
func TestExecSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.raw")
	sink, err := OpenSink(fmt.Sprintf(`exec:sh -c 'cat > "$0"' %s`, path), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := range 5 {
		f := numbered(i)
		want = append(want, rawOf(f)...)
		if err := sink.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, err := os.Stat(path); err == nil {
			break // it reads now, or soon will
		}
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets came, of %d, %v", len(got), len(want), err)
	}
}

// A program that has ended takes no more sound.
func TestExecSinkEnds(t *testing.T) {
	sink, err := OpenSink("exec:true", Options{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		f := make(audio.Frame, audio.FrameSamples)
		err = sink.WriteFrame(f)
	}
	var e *Error
	if !errors.As(err, &e) || e.Spec != "exec:true" {
		t.Errorf("it ended with %v", err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

// Close ends a program that will not end by itself, and what it started.
func TestExecIsEnded(t *testing.T) {
	for name, script := range map[string]string{
		"asked":  `sleep 1000 & echo $! > "$0"; wait`,
		"forced": `trap "" TERM; sleep 1000 & echo $! > "$0"; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "pid")
			source, err := OpenSource(fmt.Sprintf("exec:sh -c '%s' %s", script, path), Options{})
			if err != nil {
				t.Fatal(err)
			}
			pid := 0
			for deadline := time.Now().Add(10 * time.Second); pid == 0; {
				f := make(audio.Frame, audio.FrameSamples)
				if err := source.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
				b, _ := os.ReadFile(path)
				pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
				if time.Now().After(deadline) {
					t.Fatal("the program has not begun")
				}
			}
			begin := time.Now()
			if err := source.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 3*time.Second || name == "asked" && took > 2*notice {
				t.Errorf("it took %v", took)
			}
			for deadline := time.Now().Add(2 * time.Second); running(pid); {
				if time.Now().After(deadline) {
					t.Fatal("what the program started still runs")
				}
			}
		})
	}
}

// running tells whether there is such a process, but for one that has ended
// and was not yet taken note of by its parent.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

// A FIFO whose other end nobody opens is no speaker and no microphone, and holds nobody up for long.
func TestFIFOThatNobodyOpens(t *testing.T) {
	for name, open := range map[string]func(path string) error{
		"out": func(path string) error { _, err := OpenSink(path, Options{}); return err },
		"in":  func(path string) error { _, err := OpenSource(path, Options{}); return err },
	} {
		path := filepath.Join(t.TempDir(), name+".wav")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		err := open(path)
		var e *Error
		if !errors.As(err, &e) || !e.File || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
		// Who still waits for it is let go.
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
			f.Close()
		}
	}
}

// Who reads a FIFO may stop: that holds up no end of a call.
func TestFIFOThatIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	sink, err := OpenSink(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil { // until it is full
		_ = reader.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = reader.Write(make([]byte, 4096))
	}
	full := make(chan struct{})
	w := sink.(*wavSink)
	go func() {
		defer close(full)
		var f audio.Frame = make([]int16, audio.FrameSamples)
		for w.write(f) == nil {
		}
	}()
	for w.mu.TryLock() { // until it waits for the reader
		w.mu.Unlock()
		runtime.Gosched()
	}
	done := make(chan error, 1)
	go func() { done <- sink.Close() }()
	select {
	case <-done:
		<-full
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for the reader")
	}
}
