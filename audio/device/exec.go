package device

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"securecall/audio"
)

// notice is how long a program has to end after it was asked to.
const notice = time.Second

// trailing is how long what it has left running may still write to its errors.
const trailing = 100 * time.Millisecond

// A program is at the other end of a pipe. It has its own process group, so
// that whatever it started ends with it, and Ctrl-C does not reach it.
type program struct {
	cmd    *exec.Cmd
	pipe   io.Closer
	once   sync.Once
	exited chan struct{}
}

// openExecSource finds exec:COMMAND, whose output will be read.
func openExecSource(spec string, opts Options) (audio.Source, error) {
	cmd, err := command(spec, opts)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(cmd.Args[0]); err != nil {
		return nil, notStarted(spec, err)
	}
	o := &output{spec: spec, cmd: cmd}
	return newPipeSource(spec, o, o.close, opts), nil
}

// An output is what a program writes. The program starts with the first Read:
// one that records would else have filled the pipe while the phone rang, and
// what was said then would be sent after the answer, and all else behind it.
type output struct {
	spec string
	cmd  *exec.Cmd

	came bool // something has; the reader's alone

	mu      sync.Mutex // close comes from elsewhere
	closed  bool
	program *program // nil before the first Read
	pipe    *os.File
}

func (o *output) Read(p []byte) (int, error) {
	pipe, err := o.open()
	if err != nil {
		return 0, err
	}
	n, err := pipe.Read(p)
	o.came = o.came || n > 0
	// One that has delivered nothing and failed was no microphone.
	if err == io.EOF && !o.came && o.program.exitsWithin(notice) {
		if state := o.program.cmd.ProcessState; state != nil && !state.Success() {
			return 0, &Error{Spec: o.spec, Err: errors.New(state.String()), Hint: "try the command by itself"}
		}
	}
	return n, err
}

func (o *output) open() (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, os.ErrClosed
	}
	if o.program != nil {
		return o.pipe, nil
	}
	// Not cmd.StdoutPipe: Wait would close it before all was read.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, &Error{Spec: o.spec, Err: err}
	}
	defer w.Close() // the program has its own
	o.cmd.Stdout = w
	o.program, err = start(o.spec, o.cmd, r)
	o.pipe = r
	return r, err
}

func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.program == nil {
		return nil
	}
	return o.program.end(0)
}

// openExecSink starts exec:COMMAND and writes what it reads.
func openExecSink(spec string, o Options) (audio.Sink, error) {
	cmd, err := command(spec, o)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, &Error{Spec: spec, Err: err}
	}
	cmd.Stdin = r
	p, err := start(spec, cmd, w)
	r.Close()
	if err != nil {
		return nil, err
	}
	// It sees the end of the pipe first, and may have a file to complete.
	return newPipeSink(spec, w, func() error { return p.end(notice) }, o), nil
}

// command is what spec names, not started.
func command(spec string, o Options) (*exec.Cmd, error) {
	words, err := SplitWords(strings.TrimPrefix(spec, "exec:"))
	if err != nil {
		return nil, &Error{Spec: spec, Err: err, Hint: "a command is split at spaces, but for those between '…' or \"…\""}
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	if o.Stderr != nil {
		cmd.Stderr = o.Stderr()
		cmd.WaitDelay = trailing
	}
	Apart(cmd)
	return cmd, nil
}

// start starts cmd; pipe is our end of its pipe, closed if that fails.
func start(spec string, cmd *exec.Cmd, pipe io.Closer) (*program, error) {
	if err := cmd.Start(); err != nil {
		pipe.Close()
		return nil, notStarted(spec, err)
	}
	p := &program{cmd: cmd, pipe: pipe, exited: make(chan struct{})}
	go func() {
		// How it ended is its own affair: what matters is the pipe.
		_ = cmd.Wait()
		if c, ok := cmd.Stderr.(io.Closer); ok && cmd.Stderr != io.Writer(os.Stderr) {
			_ = c.Close()
		}
		close(p.exited)
	}()
	return p, nil
}

// notStarted says why a program was not found or does not start.
func notStarted(spec string, err error) error {
	var search *exec.Error
	if errors.As(err, &search) {
		err = search.Err
	}
	return &Error{Spec: spec, Err: cause(err), Hint: "exec: takes a program and its arguments, without a shell"}
}

// end closes the pipe, gives the program grace to end by itself, and returns
// when it has.
func (p *program) end(grace time.Duration) error {
	p.once.Do(func() {
		p.pipe.Close()
		if p.exitsWithin(grace) {
			return
		}
		Terminate(p.cmd)
		if !p.exitsWithin(notice) {
			Kill(p.cmd)
			<-p.exited
		}
	})
	return nil
}

func (p *program) exitsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// SplitWords splits a command at spaces, but for those between quotes. There
// is no other rule: no escapes, variables or patterns.
func SplitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	for _, c := range s {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			inWord, quote = true, c
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			inWord = true
			word.WriteRune(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("a quotation mark is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no command is named")
	}
	return words, nil
}
