package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
)

// Each recording has a name that nothing else has.
func TestRecordingNames(t *testing.T) {
	t.Chdir(t.TempDir())
	touch := func(name string) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ given, first, second, third string }{
		{"", "securecall-20260304-050607.wav", "securecall-20260304-050607-2.wav", "securecall-20260304-050607-3.wav"},
		{"a.b.wav", "a.b.wav", "a.b-2.wav", "a.b-3.wav"},
	} {
		r := &records{given: c.given}
		for _, want := range []string{c.first, c.second, c.third} {
			if got := r.next(answeredAt); got != want {
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
