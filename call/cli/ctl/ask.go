package ctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Ask sends one request to the process pid that serves in dir and returns its
// reply; pid 0 is the only one there is. The reply is as the other process gave
// it: whoever prints it removes what a terminal would obey. The errors are
// ErrNobody; an *Error, of the other process or about dir, the request or
// several processes to choose from; and those of ctx and the system.
func Ask(ctx context.Context, dir string, pid int, what Request) (string, error) {
	return ask(ctx, dir, os.Geteuid(), pid, what)
}

func ask(ctx context.Context, dir string, uid, pid int, what Request) (string, error) {
	line, err := requestLine(what)
	if err != nil {
		return "", err
	}
	if err := checkFolder(dir); errors.Is(err, fs.ErrNotExist) {
		return "", ErrNobody
	} else if err != nil {
		return "", err
	}
	conn, pid, err := connect(ctx, dir, pid)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := checkPeer(conn, uid); err != nil {
		return "", notPossible(fmt.Sprintf("%s: %v", socketPath(dir, pid), err), "nothing was said to it; --state DIR, given to both, chooses a folder of your own")
	}
	_ = conn.SetDeadline(time.Now().Add(longestAnswer))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	r, err := exchange(conn, line)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", notPossible(fmt.Sprintf("process %d gave no answer: %v", pid, err), "try again; --pid N chooses another")
	case !r.OK:
		return "", &Error{r.Status, r.Message, r.Hint}
	}
	return r.Text, nil
}

// longestAnswer is more than a securecall takes that is not stopped: 10 s for keys, and then
// 5 for a peer.
const longestAnswer = 30 * time.Second

// requestLine refuses what would not arrive as it is.
func requestLine(what Request) ([]byte, error) {
	for _, s := range append([]string{what.Verb}, what.Args...) {
		if !utf8.ValidString(s) {
			return nil, &Error{Status: statusUsage, Message: "the request is not UTF-8"}
		}
	}
	line := appendLine(nil, request{version, what})
	if len(line) > maxRequest {
		return nil, tooLong()
	}
	return line, nil
}

// connect finds the process to ask. Only one that takes connections counts: a
// killed process leaves its socket behind.
func connect(ctx context.Context, dir string, pid int) (*net.UnixConn, int, error) {
	pids := []int{pid}
	if pid == 0 {
		var err error
		if pids, err = sockets(dir); err != nil {
			return nil, 0, fmt.Errorf("ctl: %w", err)
		}
	}
	var found net.Conn
	var alive []string
	for _, p := range pids {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socketPath(dir, p))
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case err == nil:
		case refused(err):
			continue
		default:
			err = fmt.Errorf("ctl: %w", err)
		}
		if found != nil {
			found.Close()
		}
		if err != nil {
			if conn != nil {
				conn.Close()
			}
			return nil, 0, err
		}
		found, pid, alive = conn, p, append(alive, strconv.Itoa(p))
	}
	switch len(alive) {
	case 1:
		return found.(*net.UnixConn), pid, nil
	case 0:
		if pid != 0 {
			return nil, 0, fmt.Errorf("%w with the process id %d", ErrNobody, pid)
		}
		return nil, 0, ErrNobody
	}
	found.Close()
	return nil, 0, &Error{
		Status:  statusUsage,
		Message: "several are running here: the process ids are " + strings.Join(alive, ", "),
		Hint:    "say which with --pid " + alive[0],
	}
}

// exchange sends line and reads the reply.
func exchange(conn net.Conn, line []byte) (reply, error) {
	// A side that refuses the request may have answered and closed before it
	// was all written: what it said counts.
	_, writeErr := conn.Write(line)
	answer, err := bufio.NewReaderSize(conn, maxReply).ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return reply{}, fmt.Errorf("its reply is longer than %d bytes", maxReply)
	case err != nil && writeErr != nil:
		return reply{}, writeErr
	case err != nil:
		return reply{}, err
	}
	return parseReply(answer)
}
