//go:build unix

package zidcache

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childJob names what a test binary that was started by a test has to do.
const childJob = "SECURECALL_ZIDCACHE_JOB"

func TestMain(m *testing.M) {
	job, given := os.LookupEnv(childJob)
	if !given {
		os.Exit(m.Run())
	}
	f := strings.Fields(job)
	if err := jobs[f[0]](f[1], f[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// child is this test binary, to do one of jobs in dir.
func child(t *testing.T, job, dir string, args ...any) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childJob+"="+job+" "+dir+" "+fmt.Sprint(args...))
	return cmd
}

// jobs are what the processes of these tests do.
var jobs = map[string]func(dir string, args []string) error{
	// update N SIZE: add peer 3, and be killed before the step numbered N, with
	// SIZE thousandths of what was written on disk.
	"update": func(dir string, args []string) error {
		c, err := open(dir, tell, nil)
		if err != nil {
			return err
		}
		c.step = killer(c.path, args)
		return c.Update(peer(3), func(r *Record) error { *r = full(3); return nil })
	},
	// open N SIZE: the same while a state is made.
	"open": func(dir string, args []string) error {
		_, err := open(dir, tell, killer(filepath.Join(dir, "zids"), args))
		return err
	},
	// count: 200 times, say so when it is written.
	"count": func(dir string, _ []string) error {
		c, err := open(dir, tell, nil)
		if err != nil {
			return err
		}
		for n := range 200 {
			err := c.Update(peer(3), func(r *Record) error {
				r.Last = noon.Add(time.Duration(n) * time.Second)
				r.RS1 = secret(n)
				return nil
			})
			if err != nil {
				return err
			}
			fmt.Println(n)
		}
		return nil
	},
	// add: 25 times, one second more.
	"add": func(dir string, _ []string) error {
		c, err := open(dir, tell, nil)
		if err != nil {
			return err
		}
		for range 25 {
			err := c.Update(peer(3), func(r *Record) error { r.Last = r.Last.Add(time.Second); return nil })
			if err != nil {
				return err
			}
		}
		return nil
	},
	// full: no file may have more than 400 bytes.
	"full": func(dir string, _ []string) error {
		c, err := open(dir, tell, nil)
		if err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 400, Max: 400}); err != nil {
			return err
		}
		return c.Update(peer(3), func(r *Record) error { *r = full(3); return nil })
	},
	// readonly: nothing can be made in the folder. Root may do that anywhere,
	// and so becomes nobody.
	"readonly": func(dir string, _ []string) error {
		c, err := open(dir, tell, nil)
		if err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			const nobody = 65534
			for _, path := range []string{dir, c.path, c.lock.Path} {
				if err := os.Chown(path, nobody, nobody); err != nil {
					return err
				}
			}
			if err := syscall.Setuid(nobody); err != nil {
				return err
			}
		}
		return c.Update(peer(3), func(r *Record) error { *r = full(3); return nil })
	},
}

func tell(aside string, why error) { fmt.Println("told", aside, why) }

// killer ends this process before a step, and before the sync leaves on disk
// what a system that lost its power might.
func killer(path string, args []string) func(string) error {
	last, _ := strconv.Atoi(args[0])
	share, _ := strconv.ParseInt(args[1], 10, 64)
	n := 0
	return func(step string) error {
		if n++; n < last {
			return nil
		}
		if step == "sync" {
			info, err := os.Stat(path + ".new")
			if err != nil {
				return err
			}
			if err := os.Truncate(path+".new", info.Size()*share/1000); err != nil {
				return err
			}
		}
		fmt.Println("killed before", step)
		return errors.Join(syscall.Kill(os.Getpid(), syscall.SIGKILL), errors.New("alive"))
	}
}

// killedAt runs a job for each step until one run is not killed any more, and
// after each gives what it printed to check. prepare makes the state before.
func killedAt(t *testing.T, job string, prepare func(dir string), check func(dir, printed string)) {
	var steps []string
	for n := 1; ; n++ {
		for _, share := range []int{0, 500, 999, 1000} {
			dir := fresh(t)
			prepare(dir)
			out, err := child(t, job, dir, n, share).Output()
			check(dir, string(out))
			if err == nil {
				want := []string{"create", "write", "sync", "close", "prepare", "rename", "sync folder", "end"}
				if !slices.Equal(steps, want) {
					t.Errorf("killed before %q, want %q", steps, want)
				}
				return
			}
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%v: %s", err, out)
			}
			_, step, _ := strings.Cut(strings.TrimSpace(string(out)), "killed before ")
			if len(steps) < n {
				steps = append(steps, step)
			}
			if step != "sync" {
				break // nothing is cut off there
			}
		}
	}
}

// clean checks that the state opens, that a killed process keeps no lock, and
// that nothing lies about.
func clean(t *testing.T, dir string) *Cache {
	t.Helper()
	c := reopen(t, dir)
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(found, []string{c.path, c.lock.Path}) {
		t.Errorf("in the folder: %q, %v", found, err)
	}
	put(t, c, full(4))
	if err := c.Forget(peer(4)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKilledWhileUpdating(t *testing.T) {
	var before, after []byte
	killedAt(t, "update", func(dir string) {
		c := reopen(t, dir)
		put(t, c, full(1))
		put(t, c, full(2))
		var err error
		if before, err = os.ReadFile(c.path); err != nil {
			t.Fatal(err)
		}
		s, err := parse(before)
		if err != nil {
			t.Fatal(err)
		}
		r := full(3)
		after = fileWith(s, nil, r.append(nil), false)
	}, func(dir, printed string) {
		got, err := os.ReadFile(filepath.Join(dir, "zids"))
		want := before
		if !strings.Contains(printed, "killed") || strings.Contains(printed, "killed before sync folder") || strings.Contains(printed, "killed before end") {
			want = after
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %v\n%s\nwant:\n%s", printed, err, got, want)
		}
		clean(t, dir)
	})
}

func TestKilledAtFirstStart(t *testing.T) {
	killedAt(t, "open", func(string) {}, func(dir, printed string) {
		if strings.Contains(printed, "told") {
			t.Errorf("cried wolf: %s", printed)
		}
		clean(t, dir)
	})
}

// What was damaged is kept, and told by the process that is killed or by the
// next one.
func TestKilledWhileSettingAside(t *testing.T) {
	const broken = "securecall zids 1\nbroken\n"
	killedAt(t, "open", func(dir string) {
		reopen(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "zids"), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
	}, func(dir, printed string) {
		var d told
		if _, err := Open(dir, d.damaged); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(printed, "told") && len(d) == 0 {
			t.Errorf("nobody was told: %s", printed)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "zids.damaged-*"))
		if err != nil || len(kept) == 0 {
			t.Fatalf("%s: %q, %v", printed, kept, err)
		}
		for _, path := range kept {
			if b, err := os.ReadFile(path); err != nil || string(b) != broken {
				t.Errorf("%s: %q, %v", printed, b, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		clean(t, dir)
	})
}

// Killed from outside, at any instant: what was said to be written is there.
func TestKilledAtAnyInstant(t *testing.T) {
	for n := range 10 {
		dir := fresh(t)
		reopen(t, dir)
		cmd := child(t, "count", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + 3*n {
			lines.Scan()
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		said := lines.Text()
		for lines.Scan() {
			said = lines.Text()
		}
		_ = cmd.Wait() // killed
		count, err := strconv.Atoi(said)
		if err != nil {
			t.Fatal(err)
		}
		r := lookup(t, clean(t, dir), peer(3))
		got := int(r.Last.Sub(noon).Seconds())
		if got != count && got != count+1 || !bytes.Equal(r.RS1, secret(got)) {
			t.Errorf("%d was said to be written, and %d is there, with %x", count, got, r.RS1[:1])
		}
	}
}

func TestProcessesLoseNoUpdate(t *testing.T) {
	dir := fresh(t)
	put(t, reopen(t, dir), Record{ZID: peer(3), Last: noon})
	var all []*exec.Cmd
	var said [4]bytes.Buffer
	for n := range said {
		cmd := child(t, "add", dir)
		cmd.Stdout = &said[n]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for n, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &said[n])
		}
	}
	if r := lookup(t, reopen(t, dir), peer(3)); !r.Last.Equal(noon.Add(100 * time.Second)) {
		t.Errorf("%v of 100 changes are there", r.Last.Sub(noon).Seconds())
	}
}

// A full disk or a folder that is read-only: an error, and the old state.
func TestWhatCannotBeWritten(t *testing.T) {
	for job, why := range map[string]string{"full": "file too large", "readonly": "permission denied"} {
		dir := fresh(t)
		c := reopen(t, dir)
		put(t, c, full(1))
		before, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		out, err := child(t, job, dir).Output()
		if err == nil || !strings.Contains(string(out), why) || !strings.HasPrefix(string(out), "zid cache: ") {
			t.Errorf("%s: %v: %s", job, err, out)
		}
		after, err := os.ReadFile(c.path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: %v\n%s", job, err, after)
		}
		if entries, err := os.ReadDir(dir); len(entries) != 2 || err != nil {
			t.Errorf("%s: %v, %v", job, entries, err)
		}
	}
}

// Each step may fail by itself.
func TestEveryStepMayFail(t *testing.T) {
	dir := fresh(t)
	c := reopen(t, dir)
	put(t, c, full(1))
	for n := range 7 {
		before, err := os.ReadFile(c.path)
		if err != nil {
			t.Fatal(err)
		}
		left, failed := n, ""
		c.step = func(step string) error {
			if left--; left >= 0 {
				return nil
			}
			failed = step
			return syscall.EIO
		}
		err = c.Forget(peer(1))
		c.step = nil
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("before %s: %v", failed, err)
		}
		after, err := os.ReadFile(c.path)
		if old := bytes.Equal(before, after); err != nil || old != (failed != "sync folder") {
			t.Errorf("before %s: the old state %t, %v", failed, old, err)
		}
		if _, err := os.Lstat(c.temporary()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("before %s: %v", failed, err)
		}
	}
}

func TestOthersMayNotLookIn(t *testing.T) {
	for name, spoil := range map[string]func(c *Cache, dir string) error{
		"chmod 700": func(_ *Cache, dir string) error { return os.Chmod(dir, 0o710) },
		"chmod 600": func(c *Cache, _ string) error { return os.Chmod(c.path, 0o604) },
		"symbolic link; put the file itself there": func(c *Cache, _ string) error {
			return errors.Join(os.Rename(c.path, c.path+"-real"), os.Symlink(c.path+"-real", c.path))
		},
		"zids.lock is not private: it is a symbolic link": func(c *Cache, _ string) error {
			return errors.Join(os.Remove(c.lock.Path), os.Symlink(c.path, c.lock.Path))
		},
		"no regular file": func(c *Cache, _ string) error {
			return errors.Join(os.Remove(c.path), syscall.Mkfifo(c.path, 0o600))
		},
		"no regular file; move it away": func(c *Cache, _ string) error {
			return errors.Join(os.Remove(c.path), os.Mkdir(c.path, 0o700))
		},
	} {
		dir := fresh(t)
		c := reopen(t, dir)
		if err := spoil(c, dir); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, func(aside string, why error) { t.Errorf("%s: told %s: %v", name, aside, why) })
		if !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A link to a folder is somebody's own choice.
	dir := fresh(t)
	c := reopen(t, dir)
	if err := os.Symlink(dir, dir+"-link"); err != nil {
		t.Fatal(err)
	}
	if reopen(t, dir+"-link").ZID() != c.ZID() {
		t.Error("another ZID by way of a link")
	}
}

func TestFolderOfAnotherUser(t *testing.T) {
	dir := "/" // for everybody but root
	if os.Geteuid() == 0 {
		dir = fresh(t)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(dir, nil); !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), "another user") {
		t.Error(err)
	}
}

func TestRightsOfWhatIsMade(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := fresh(t)
	c := reopen(t, dir)
	put(t, c, full(1))
	for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, c.path: 0o600, c.lock.Path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// A link in the temporary file's place is removed, and what it points to is
// not written to.
func TestTemporaryLinkIsNotFollowed(t *testing.T) {
	dir := fresh(t)
	c := reopen(t, dir)
	precious := filepath.Join(dir, "precious")
	if err := errors.Join(os.WriteFile(precious, []byte("mine"), 0o600), os.Symlink(precious, c.temporary())); err != nil {
		t.Fatal(err)
	}
	put(t, c, full(1))
	if b, err := os.ReadFile(precious); string(b) != "mine" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	lookup(t, c, peer(1))
}

// No secret stays in memory that the package was done with: the whole file is
// wiped after each read. (What a reader gets is the reader's.)
func TestBuffersAreWiped(t *testing.T) {
	c := reopen(t, fresh(t))
	put(t, c, full(1))
	var kept []byte
	err := c.view(func(s *state) error { kept = s.records; return nil })
	if err != nil || len(kept) == 0 || len(bytes.Trim(kept, "\x00")) > 0 {
		t.Errorf("%v, still there: %q", err, kept)
	}
	r := full(1)
	line := r.append(make([]byte, 0, maxLine))
	data := appendState(nil, c.ZID())
	s, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	data = fileWith(s, nil, line, false)
	if err := c.write(data); err != nil || bytes.Contains(data, hex.AppendEncode(nil, r.RS1)) {
		t.Errorf("%v, still there: %q", err, data)
	}
}
