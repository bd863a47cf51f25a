package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"securecall/audio/device"
)

// How a command of --on-… runs: in a process group of its own, within its time, with
// nothing to read and a bounded amount to say.

// hookNews is a line that a command has printed, or (over) how it has ended.
type hookNews struct {
	hookJob
	line      string
	over      bool
	status    int    // its exit status; -1: it has none
	why       string // what has gone wrong; empty: nothing
	dismissed bool   // it was ended, since nothing depends on it any more
	unrun     bool   // it was never to run
}

// run runs a command and tells news of it.
func (h *hooks) run(ctx context.Context, j hookJob, limit time.Duration) {
	out := &hookOutput{tell: func(line string) { h.news <- hookNews{hookJob: j, line: line} }}
	cut := false // we have ended it
	cmd := exec.CommandContext(ctx, j.command[0], j.command[1:]...)
	cmd.Env = j.env
	cmd.Stdout, cmd.Stderr = out, out // one pipe, and one goroutine that writes to out
	cmd.WaitDelay = h.grace
	cmd.Cancel = func() error {
		cut = true
		device.Terminate(cmd)
		return nil
	}
	device.Apart(cmd)
	err := cmd.Run()
	if cut {
		device.Kill(cmd) // what it has started and did not heed the first request
	}
	out.flush()

	cut = cut || cmd.Process == nil && ctx.Err() != nil // before it could start
	n := hookNews{hookJob: j, over: true, status: -1}
	switch {
	case cut && errors.Is(context.Cause(ctx), errLast):
		n.why = fmt.Sprintf("%s was ended: %v", printable(j.command[0]), errLast)
	case cut && errors.Is(ctx.Err(), context.Canceled):
		n.dismissed = true
	case cut:
		n.why = fmt.Sprintf("it had not ended after %v", limit)
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // what it leaves running may have the pipe still
		n.status = 0
	default:
		n.why = printable(err.Error())
		if s := cmd.ProcessState; s != nil {
			n.status = s.ExitCode()
		}
	}
	h.news <- n
}

const (
	maxHookOutput = 64 << 10
	maxHookLine   = 1 << 10
	hookOverflow  = "(more than 64 KB: the rest is left out)"
	cutPause      = 10 * time.Millisecond
)

// A hookOutput tells what a command prints, line by line, as far as that goes.
type hookOutput struct {
	tell func(line string)
	line []byte // not whole yet
	n    int    // octets so far
}

// Write implements io.Writer. What is too much is read slowly: it must not cost a call its
// processor.
func (o *hookOutput) Write(b []byte) (int, error) {
	taken := len(b)
	if o.n > maxHookOutput {
		time.Sleep(cutPause)
		return taken, nil
	}
	o.n += taken
	over := o.n - maxHookOutput
	if over > 0 {
		b = b[:taken-over]
	}
	o.line = append(o.line, b...)
	for {
		line, rest, whole := bytes.Cut(o.line, []byte{'\n'})
		if len(line) > maxHookLine {
			line, rest = o.line[:maxHookLine], o.line[maxHookLine:]
		} else if !whole {
			break
		}
		o.say(line)
		o.line = rest
	}
	if over > 0 {
		o.flush()
		o.tell(hookOverflow)
	}
	return taken, nil
}

// flush tells a last line without an end.
func (o *hookOutput) flush() {
	o.say(o.line)
	o.line = nil
}

// Close implements io.Closer.
func (o *hookOutput) Close() error {
	o.flush()
	return nil
}

func (o *hookOutput) say(line []byte) {
	if text := printable(string(line)); text != "" {
		o.tell(text)
	}
}
