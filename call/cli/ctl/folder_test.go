package ctl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestDir(t *testing.T) {
	run, tmp := t.TempDir(), t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp) // Windows
	name := "securecall"
	if runtime.GOOS != "windows" {
		name += "-" + strconv.Itoa(os.Geteuid())
	}
	last := filepath.Join(tmp, name)

	expect := func(state, want string) {
		t.Helper()
		if dir, err := Dir(state); dir != want || err != nil {
			t.Errorf("Dir(%q) = %q, %v; want %q", state, dir, err, want)
		}
	}
	expect("/some/state", "/some/state")
	expect("", filepath.Join(run, "securecall"))
	t.Setenv("XDG_RUNTIME_DIR", "not/absolute")
	expect("", last)
	t.Setenv("XDG_RUNTIME_DIR", "")
	expect("", last)
	if _, err := os.Lstat(last); err == nil {
		t.Error("Dir made the folder")
	}

	expectRefused := func(word string) {
		t.Helper()
		dir, err := Dir("")
		var e *Error
		if !errors.As(err, &e) || e.Status != 31 || !strings.Contains(e.Message, word) || e.Hint == "" || dir != "" {
			t.Errorf("%q, %+v; want word of %q", dir, err, word)
		}
	}
	write(t, last)
	expectRefused("no folder")
	if runtime.GOOS == "windows" {
		return // neither modes nor links for everybody
	}
	do(t, os.Remove(last), os.Symlink(run, last))
	expectRefused("no folder")
	do(t, os.Remove(last), os.Mkdir(last, 0o700))
	expect("", last)
	do(t, os.Chmod(last, 0o710))
	expectRefused("other users")
}

// "The directory MUST be owned by the user" (XDG Base Directory Specification).
func TestOthersRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where nobody is known to own anything
	}
	run := "/"
	if os.Geteuid() == 0 {
		run = t.TempDir()
		do(t, os.Chown(run, 65534, 65534))
	}
	tmp := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	t.Setenv("TMPDIR", tmp)
	if dir, err := Dir(""); err != nil || filepath.Dir(dir) != tmp {
		t.Errorf("%s, %v", dir, err)
	}
}

// Neither side uses a folder that others can get at, or that is too long.
func TestRefusedFolder(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", maxPath))
	file := filepath.Join(t.TempDir(), "file")
	write(t, file)
	folders := map[string]string{long: "bytes", file: ""}
	if hasModes {
		open := filepath.Join(t.TempDir(), "open")
		do(t, os.Mkdir(open, 0o700), os.Chmod(open, 0o705))
		folders[open] = "other users"
	}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(t.TempDir(), "foreign")
		do(t, os.Mkdir(foreign, 0o700), os.Chown(foreign, 65534, 65534))
		folders[foreign] = "another user"
	}
	for dir, word := range folders {
		s, err := Serve(dir, nobodyAsks(t))
		if err == nil {
			s.Close()
		}
		_, askErr := Ask(context.Background(), dir, 0, Request{Verb: "sas"})
		for _, err := range []error{err, askErr} {
			var e *Error
			switch {
			case err == nil || errors.Is(err, ErrNobody):
				t.Errorf("%s: %v", dir, err)
			case word != "" && (!errors.As(err, &e) || !strings.Contains(e.Message, word) || e.Hint == ""):
				t.Errorf("%s: %v; want word of %q", dir, err, word)
			}
		}
	}
	if e := checkFolder(long).(*Error); !strings.Contains(e.Hint, "--state") {
		t.Errorf("the hint for a folder that is too long is %q", e.Hint)
	}
}

// The longest folder that is allowed holds the longest name.
func TestLongest(t *testing.T) {
	dir := t.TempDir()
	dir = filepath.Join(dir, strings.Repeat("x", maxPath-len(longestName)-1-len(dir)-1))
	do(t, os.Mkdir(dir, 0o700))
	if err := checkFolder(dir); err != nil {
		t.Fatal(err)
	}
	path := socketPath(dir, 4294967295)
	if len(path) != maxPath {
		t.Errorf("%d bytes of %d", len(path), maxPath)
	}
	listenAt(t, path)
	var e *Error
	if err := checkFolder(dir + "x"); !errors.As(err, &e) || !strings.Contains(e.Message, "bytes") {
		t.Errorf("one more: %v", err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	do(t, os.WriteFile(path, nil, 0o600))
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
