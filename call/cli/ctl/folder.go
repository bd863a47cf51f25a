package ctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Dir is the folder of the sockets: state if it is given (the value of
// --state), else $XDG_RUNTIME_DIR/securecall, else one of the user alone under
// os.TempDir(). It makes none. The error is an *Error: somebody else made that
// last one, or others have rights to it.
func Dir(state string) (string, error) {
	if state != "" {
		return state, nil
	}
	// "The directory MUST be owned by the user" (XDG Base Directory
	// Specification); after sudo or su it is another's, and a path that is not
	// absolute is to be ignored.
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		if info, err := os.Stat(run); err != nil || owned(info) {
			return filepath.Join(run, "securecall"), nil
		}
	}
	name := "securecall"
	if uid := os.Geteuid(); uid >= 0 { // Windows has none; its folder is each user's own
		name += "-" + strconv.Itoa(uid)
	}
	dir := filepath.Join(os.TempDir(), name)
	// Everybody may write there: a link could lead anywhere, so it is not
	// followed.
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", notPossible(err.Error(), "--state DIR, given to both, chooses another folder")
	}
	if err := private(info, dir); err != nil {
		return "", err
	}
	return dir, nil
}

// private refuses what is no folder, belongs to another or is open to others.
func private(info fs.FileInfo, dir string) error {
	switch perm := info.Mode().Perm(); {
	case !info.IsDir():
		return notPossible(dir+" is no folder", "move it away, or choose another with --state DIR, given to both")
	case !owned(info):
		return notPossible(dir+" belongs to another user", "--state DIR, given to both, chooses a folder of your own")
	case hasModes && perm&0o077 != 0:
		return notPossible(fmt.Sprintf("other users have rights to %s (%04o)", dir, perm), "chmod 700 "+dir)
	}
	return nil
}

func notPossible(message, hint string) *Error { return &Error{statusNotPossible, message, hint} }

// maxPath is the longest path that fits in a socket's address with the zero
// byte at its end: 107 bytes on Linux, 103 on macOS.
const maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// longestName is the longest of a socket: whether a folder will do does not
// depend on the process id.
const longestName = "4294967295.sock"

// checkFolder refuses a folder that cannot hold sockets, or is not ours alone.
func checkFolder(dir string) error {
	if most := maxPath - len(longestName) - 1; len(dir) > most {
		return notPossible(
			fmt.Sprintf("the system allows a folder of sockets %d bytes, and %s has %d", most, dir, len(dir)),
			"--state DIR, given to both, chooses a shorter one")
	}
	info, err := os.Stat(dir) // whoever names a folder may name a link to it
	if err != nil {
		return err
	}
	return private(info, dir)
}

func socketPath(dir string, pid int) string {
	return filepath.Join(dir, strconv.Itoa(pid)+".sock")
}

// sockets are the processes that have a socket in dir, alive or not.
func sockets(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sock")
		if !ok || e.Type() != fs.ModeSocket {
			continue
		}
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 && strconv.Itoa(pid) == name {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
