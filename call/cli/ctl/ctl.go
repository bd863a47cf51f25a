// Package ctl is how securecall ctl reaches the listen or dial that the same
// user runs on the same machine: a Unix socket for each process, PID.sock, 0600
// in a folder of 0700.
//
// Who may speak: the folder and the socket keep other users out, and where the
// system tells the uid behind a connection (Linux, macOS) both sides compare it
// with their own. So root is refused as well: it would have to become the user.
// Windows has no such modes; there the folder, in the user's own profile, is
// what guards.
//
// A connection carries one request and one reply, each a line with a JSON
// object (protocol.go). It is used by the command line alone; it touches the
// file system, opens sockets and starts goroutines.
package ctl

import (
	"errors"
	"strings"
)

// ErrNobody means that no process answers in the folder.
var ErrNobody = errors.New("no listen or dial is running here")

// An Error is what went wrong in the words for the user. One that a Handler
// returns arrives unchanged at whoever asked, but that bytes which are no UTF-8
// become U+FFFD.
type Error struct {
	Status  int    // the exit status, 1 to 255; 1 stands in for any other
	Message string // what happened
	Hint    string // what to do next, or empty
}

func (e *Error) Error() string { return e.Message }

// asError puts err in the words of an Error that can be carried.
func asError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Message: err.Error()}
	}
	status := e.Status
	if !isStatus(status) {
		status = 1
	}
	return &Error{status, strings.ToValidUTF8(e.Message, "\uFFFD"), strings.ToValidUTF8(e.Hint, "\uFFFD")}
}

// isStatus tells whether status ends a process as a failure: the system keeps
// eight bits, and 256 would look like success.
func isStatus(status int) bool { return status > 0 && status < 256 }

// The exit statuses of the package's own errors.
const (
	statusUsage       = 2
	statusNotPossible = 31
)
