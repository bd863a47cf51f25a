package cli

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

// An outlet is an output that others read, a pipe or a file. Who reads it too slowly, or stops
// and keeps it open, must not hold up a call: what finds no room waits here, and a goroutine
// writes it. As long as there is room each line is written at once, so that what goes to stdout
// and to stderr keeps its order.
type outlet struct {
	w    io.Writer
	room func() bool // for so many octets as pipeRoom

	mu      sync.Mutex
	waiting []byte
	unread  bool          // the rest was not read, when we were to end
	idle    chan struct{} // closed when nothing waits any more; nil: nothing does
	err     error
}

const (
	mostWaiting = 1 << 20 // octets: hours of a call's own events
	farBehind   = mostWaiting / 16
	lastRead    = time.Second
)

// pipeRoom is how many octets go into a pipe at once where any do: PIPE_BUF.
func pipeRoom() int {
	if runtime.GOOS == "linux" {
		return 4096
	}
	return 512 // the least (POSIX)
}

func newOutlet(f *os.File) *outlet {
	return &outlet{w: f, room: func() bool { return hasRoom(f) }}
}

// Write implements io.Writer. The error is that of the output, which is final, or errStdoutGone
// where too much waits: then b is left out.
func (o *outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for o.idle == nil && o.err == nil && n < len(b) && o.room() {
		var m int
		m, o.err = o.w.Write(b[n:min(len(b), n+pipeRoom())])
		n += m
	}
	switch {
	case o.err != nil:
		return n, o.err
	case n == len(b):
		return n, nil
	case len(o.waiting)+len(b)-n > mostWaiting:
		return n, errStdoutGone
	}
	o.waiting = append(o.waiting, b[n:]...)
	if o.idle == nil {
		o.idle = make(chan struct{})
		go o.drain()
	}
	return len(b), nil
}

// behind tells whether so much waits that what is of no account is better left out.
func (o *outlet) behind() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting) > farBehind
}

// drain writes what waits, a line at a time: others may write to the same pipe.
func (o *outlet) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) > 0 && o.err == nil {
		line := o.waiting
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		o.waiting = o.waiting[len(line):]
		o.mu.Unlock()
		_, err := o.w.Write(line)
		o.mu.Lock()
		o.err = err
	}
	close(o.idle)
	o.idle = nil
}

// flush gives a reader a moment for the rest, when we are to end, and tells whether all has gone.
func (o *outlet) flush(patience time.Duration) bool {
	o.mu.Lock()
	idle, unread := o.idle, o.unread
	o.mu.Unlock()
	if idle != nil && !unread {
		select {
		case <-idle:
		case <-time.After(patience):
			unread = true
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unread = unread
	return o.err == nil && !unread
}
