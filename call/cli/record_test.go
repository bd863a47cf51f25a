package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
)

// Each recording has a name that nothing else has.
func TestRecordingNames(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("calls", 0o700); err != nil {
		t.Fatal(err)
	}
	touch := func(name string) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		r                    *records
		first, second, third string
	}{
		{&records{}, "securecall-20260304-050607.wav", "securecall-20260304-050607-2.wav", "securecall-20260304-050607-3.wav"},
		{&records{given: "a.b.wav"}, "a.b.wav", "a.b-2.wav", "a.b-3.wav"},
		{
			&records{given: "calls/", folder: true}, filepath.Join("calls", "securecall-20260304-050607-call-4.wav"),
			filepath.Join("calls", "securecall-20260304-050607-call-4-2.wav"), filepath.Join("calls", "securecall-20260304-050607-call-4-3.wav"),
		},
	} {
		for _, want := range []string{c.first, c.second, c.third} {
			if got := c.r.next(answeredAt, 4); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			touch(want)
		}
	}
}

// Whether --record can be done is known before the call, and the question
// leaves nothing behind.
func TestRecordCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "call.wav")
	if err := (&records{given: file}).check(); err != nil {
		t.Fatal(err)
	}
	if there(file) {
		t.Error("a file was left")
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link.wav")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{file, filepath.Join(dir, "link.wav"), filepath.Join(dir, "none", "call.wav"), filepath.Join(file, "call.wav")} {
		var e *device.Error
		if err := (&records{given: given}).check(); !errors.As(err, &e) || !e.File || e.Hint == "" {
			t.Errorf("%s: %v", given, err)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file that was there holds %q", b)
	}
	if err := (&records{}).check(); err != nil {
		t.Error(err)
	}
}

func TestRecordFlags(t *testing.T) {
	for in, want := range map[string]string{
		"--record call.wav":                         "",
		"--record CALL.WAV --record-untold":         "",
		"--record-untold":                           "",
		"--record call.mp3":                         "a recording is a WAV file",
		"--record=":                                 "a recording is a WAV file",
		"--record calls/":                           "",
		"--record .":                                "",
		"--record calls":                            "a recording is a WAV file",
		"--record ./x.wav --speaker x.wav":          "would both write to",
		"--record x.wav --speaker y.wav --mic none": "",
	} {
		app := &ucli.App{Flags: callFlags(""), Action: func(c *ucli.Context) error {
			_, err := readSettings(c)
			return err
		}}
		err := app.Run(append([]string{"sc"}, strings.Fields(in)...))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", in, err, want)
		}
	}
}

// A folder is made for us alone and left empty; one that cannot be written is known before
// the call.
func TestRecordFolder(t *testing.T) {
	dir := t.TempDir()
	made := filepath.Join(dir, "new", "calls") + "/"
	if err := (&records{given: made, folder: true}).check(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(made)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		t.Errorf("its mode is %v", info.Mode())
	}
	if files, err := os.ReadDir(made); len(files) > 0 || err != nil {
		t.Errorf("it holds %v, %v", files, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var e *device.Error
	if err := (&records{given: filepath.Join(file, "calls"), folder: true}).check(); !errors.As(err, &e) || !e.File || e.Hint == "" {
		t.Errorf("a folder in a file: %v", err)
	}
}

// Two calls of one moment, and a second recording of one of them, have a file each; and a
// folder that has gone is no recording, and no more than that.
func TestRecordingsOfSeveralCalls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "calls")
	r := &records{given: dir, folder: true}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, id := range []int{1, 2, 2} {
		tape, err := r.open(id)
		if err != nil {
			t.Fatal(err)
		}
		defer tape.Close()
		name := tape.(interface{ Name() string }).Name()
		if filepath.Dir(name) != dir || !strings.Contains(name, fmt.Sprintf("-call-%d", id)) || names[name] {
			t.Errorf("the recording of call %d is %s", id, name)
		}
		names[name] = true
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Skip("a file that is open cannot be removed here: ", err)
	}
	var e *device.Error
	if tape, err := r.open(3); tape != nil || !errors.As(err, &e) || !e.File {
		t.Errorf("in no folder: %v, %v", tape, err)
	}
}

// A disk that hangs holds up no call for longer than its time. While it does nothing more
// is asked of it; when it is back, so are recordings.
func TestHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &records{given: t.TempDir(), folder: true}
		begun, back, cleaned := time.Now(), make(chan struct{}), false
		err := r.inTime("calls", func() error { <-back; return nil }, func() { cleaned = true })
		var e *device.Error
		if took := time.Since(begun); took != diskPatience || !errors.As(err, &e) || !e.File || e.Hint == "" {
			t.Errorf("after %v: %v", took, err)
		}
		if tape, err := r.open(1); tape != nil || err == nil || time.Since(begun) != diskPatience {
			t.Errorf("while it hangs: %v, %v", tape, err)
		}
		close(back)
		synctest.Wait()
		if !cleaned {
			t.Error("what came too late was left")
		}
		tape, err := r.open(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := tape.Close(); err != nil || time.Since(begun) != diskPatience {
			t.Errorf("when it is back: %v, after %v", err, time.Since(begun))
		}
	})
}
