package ctl

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A hostile line is answered or dropped, and the next connection is served.
func TestBadRequest(t *testing.T) {
	dir := folder(t)
	start(t, dir, func(_ context.Context, r Request) (string, error) {
		if r.Verb != "sas" {
			t.Errorf("%q was asked", r.Verb)
		}
		return "tissue disbelief", nil
	})
	for line, word := range map[string]string{
		"\n":                                     "no request",
		"GET / HTTP/1.1\r\n":                     "no request",
		`{"v":1}` + "\n":                         "no verb",
		`{"v":9,"verb":"sas"}`:                   "", // and no newline
		"":                                       "",
		`{"v":9,"verb":"sas"}` + "\n":            "version",
		strings.Repeat(" ", maxRequest-1) + "\n": "no request",
		strings.Repeat("x", maxRequest):          "longer than",
		strings.Repeat("x", 1<<20):               "longer than",
	} {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socketPath(dir, os.Getpid()), Net: "unix"})
		do(t, err)
		io.WriteString(conn, line) // it may close before all is written
		conn.CloseWrite()
		answer, _ := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if word == "" && answer != "" {
			t.Errorf("%.40q was answered: %s", line, answer)
		}
		if r, err := parseReply([]byte(answer)); word != "" && (err != nil || r.OK || !strings.Contains(r.Message, word)) {
			t.Errorf("%.40q was answered: %q", line, answer)
		}
	}
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); text != "tissue disbelief" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// piped is answer at one end of a pipe, in virtual time.
func piped(handle Handler) (conn net.Conn, stop func(), answered <-chan struct{}) {
	s := &Server{handle: handle}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		s.answer(theirs)
		s.running.Wait()
		close(done)
	}()
	return ours, s.cancel, done
}

// A request takes five seconds at most, however busily it trickles.
func TestSlowRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		conn, stop, answered := piped(nobodyAsks(t))
		defer stop()
		for {
			if _, err := conn.Write([]byte{' '}); err != nil {
				break
			}
			time.Sleep(time.Second / 10)
		}
		<-answered
		if took := time.Since(begin); took < requestTime || took > requestTime+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The reply may take longer than that; to pick it up may not.
func TestSlowReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const thought = time.Hour
		begin := time.Now()
		conn, stop, answered := piped(func(ctx context.Context, _ Request) (string, error) {
			select {
			case <-time.After(thought):
			case <-ctx.Done():
				t.Error("the handler was hurried")
			}
			return "", nil
		})
		defer stop()
		conn.Write([]byte(`{"v":1,"verb":"sas"}` + "\n"))
		<-answered // and nobody reads
		if took := time.Since(begin); took != thought+replyTime {
			t.Errorf("it took %v", took)
		}
	})
}

// Close does not wait for a request that is still to come.
func TestCloseWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		conn, stop, answered := piped(nobodyAsks(t))
		conn.Write([]byte("{"))
		stop()
		<-answered
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Whoever asked to hang up is still told that it was done; Close waits for that.
func TestCloseReplies(t *testing.T) {
	dir := folder(t)
	asked, closed := make(chan struct{}), make(chan struct{})
	s := start(t, dir, func(ctx context.Context, _ Request) (string, error) {
		close(asked)
		<-ctx.Done()
		select {
		case <-closed:
			t.Error("Close did not wait")
		case <-time.After(20 * time.Millisecond):
		}
		return "hung up", nil
	})
	go func() {
		<-asked
		s.Close()
		close(closed)
	}()
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "hangup"}); text != "hung up" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	<-closed
}

// The handler learns that nobody waits for it any more.
func TestAskerLeaves(t *testing.T) {
	dir := folder(t)
	asked, left := make(chan struct{}), make(chan struct{})
	start(t, dir, func(ctx context.Context, _ Request) (string, error) {
		close(asked)
		<-ctx.Done()
		close(left)
		return "", ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := Ask(ctx, dir, 0, Request{Verb: "sas"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-left
}

// Eight are answered at once. The ninth waits for one of them to end.
func TestLimit(t *testing.T) {
	dir := folder(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	start(t, dir, func(_ context.Context, r Request) (string, error) {
		if r.Verb == "wait" {
			entered <- struct{}{}
			<-leave
		}
		return r.Verb, nil
	})
	ended := make(chan error)
	for range maxConns {
		go func() {
			_, err := Ask(context.Background(), dir, 0, Request{Verb: "wait"})
			ended <- err
		}()
	}
	for range maxConns {
		<-entered
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, dir, 0, Request{Verb: "sas"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the ninth: %v", err)
	}
	leave <- struct{}{}
	if text, err := Ask(context.Background(), dir, 0, Request{Verb: "sas"}); text != "sas" || err != nil {
		t.Errorf("after one ended: %q, %v", text, err)
	}
	close(leave)
	for range maxConns {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
