package ctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	maxConns    = 8               // answered at once; further ones wait
	requestTime = 5 * time.Second // for a request to arrive
	replyTime   = 5 * time.Second // for a reply to be taken
)

// A Handler answers one request: it returns what to print, or an error, which
// an *Error gives an exit status and a hint. It is called from several goroutines,
// with a verb that is not empty and a call that is not negative; all else is as it
// came: check it. It has to return soon after ctx ended: the one who asked has gone,
// or the Server closes.
type Handler func(ctx context.Context, r Request) (string, error)

// A Server answers on one socket.
type Server struct {
	listener *net.UnixListener
	handle   Handler
	uid      int // who may ask
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// Serve answers at a new socket in dir, which it makes if need be, until Close.
// It removes what dead processes left there. The errors are an *Error (dir is
// not the user's alone, or its name is too long; this process serves there
// already) and those of the system.
func Serve(dir string, handle Handler) (*Server, error) {
	return serve(dir, os.Geteuid(), handle)
}

func serve(dir string, uid int, handle Handler) (*Server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("ctl: %w", err)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	if err := removeStale(dir); err != nil {
		return nil, err
	}
	path := socketPath(dir, os.Getpid())
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("ctl: %w", err)
	}
	// Until here the folder alone kept others out: the mode at birth comes from
	// the umask, which is the whole process's.
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("ctl: %w", err)
	}
	s := &Server{listener: listener, handle: handle, uid: uid}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// removeStale removes the sockets of processes that were killed. One that
// refuses could be about to listen, so its process has to be gone as well.
func removeStale(dir string) error {
	pids, err := sockets(dir)
	if err != nil {
		return fmt.Errorf("ctl: %w", err)
	}
	for _, pid := range pids {
		path, ours := socketPath(dir, pid), pid == os.Getpid()
		conn, err := net.Dial("unix", path)
		switch {
		case err == nil:
			conn.Close()
			if ours {
				return notPossible("this process answers to ctl already in "+dir, "")
			}
		case ours || refused(err) && gone(pid):
			os.Remove(path) // or another did; if it stays, listening says so
		}
	}
	return nil
}

// refused tells whether nobody listens there any more.
func refused(err error) bool {
	const windows = syscall.Errno(10061) // WSAECONNREFUSED; ECONNREFUSED is invented there
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windows) || errors.Is(err, os.ErrNotExist)
}

// gone tells whether there is no such process.
func gone(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return true // Windows
	}
	defer p.Release()
	return errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// Lost tells whether the socket is not there any more: the folder of a session goes when its
// user has left (XDG Base Directory Specification), and processes may stay. Close then leaves
// alone what another Serve has put into its place.
func (s *Server) Lost() bool {
	_, err := os.Lstat(s.listener.Addr().String())
	lost := errors.Is(err, fs.ErrNotExist)
	if lost {
		s.listener.SetUnlinkOnClose(false)
	}
	return lost
}

// Close removes the socket, ends the context of what is being answered, and
// waits until those replies have been sent. A second Close does nothing.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close() // removes the socket
	s.running.Wait()
}

func (s *Server) accept() {
	slots := make(chan struct{}, maxConns)
	for {
		select {
		case slots <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := s.listener.AcceptUnix()
		if s.ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			// Out of file descriptors, or the one who asked went away: not for
			// good, and no reason to spin.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.ctx.Done():
			}
			<-slots
			continue
		}
		s.running.Go(func() {
			defer func() { <-slots }()
			if checkPeer(conn, s.uid) != nil {
				conn.Close() // and no word to a stranger
				return
			}
			s.answer(conn)
		})
	}
}

// answer reads a request, has it answered, and closes conn.
func (s *Server) answer(conn net.Conn) {
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(requestTime))
	stop := context.AfterFunc(s.ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	r := bufio.NewReaderSize(conn, maxRequest)
	line, err := r.ReadSlice('\n')
	stop()
	var req request
	switch {
	case err == nil:
		req, err = parseRequest(line)
	case errors.Is(err, bufio.ErrBufferFull):
		err = tooLong()
	default:
		return // it left, or it was too slow
	}
	if err != nil {
		sendReply(conn, "", err)
		return
	}

	ctx, cancel := context.WithCancel(s.ctx)
	conn.SetReadDeadline(time.Time{})
	s.running.Go(func() {
		r.ReadByte() // until the end of the connection: nothing more is to come
		cancel()
	})
	text, err := s.handle(ctx, req.Request)
	sendReply(conn, text, err)
}

func sendReply(conn net.Conn, text string, err error) {
	conn.SetWriteDeadline(time.Now().Add(replyTime))
	conn.Write(replyLine(text, err)) // if it has gone, there is nobody to tell
}
