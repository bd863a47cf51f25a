package cli

import (
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// A console is one of our output streams. While the terminal is raw it turns
// each end of line into what a raw terminal needs.
type console struct {
	w        io.Writer
	file     *os.File // nil in tests
	outlet   *outlet  // w, of a patient one that is no terminal
	terminal bool
	raw      *atomic.Bool // of the terminal that keys are read from; nil: never
	err      error        // the first failure to write
}

func newConsole(f *os.File) *console {
	return &console{w: f, file: f, terminal: isTerminal(f)}
}

// patient has what is no terminal hold nobody up, and makes flush necessary.
func (c *console) patient() *console {
	if !c.terminal {
		c.outlet = newOutlet(c.file)
		c.w = c.outlet
	}
	return c
}

// flush is for when we are about to end. It tells whether all that was written has gone.
func (c *console) flush() bool { return c.outlet == nil || c.outlet.flush(lastRead) }

// behind tells whether who reads is so far behind that some can be left out.
func (c *console) behind() bool { return c.outlet != nil && c.outlet.behind() }

// Write implements io.Writer.
func (c *console) Write(b []byte) (int, error) {
	s := string(b)
	if c.terminal && c.raw != nil && c.raw.Load() {
		s = strings.ReplaceAll(s, "\n", "\r\n")
	}
	if _, err := io.WriteString(c.w, s); err != nil {
		if c.err == nil {
			c.err = err
		}
		return 0, err
	}
	return len(b), nil
}

// width is that of the terminal in columns.
func (c *console) width() int {
	if c.file != nil {
		if w, _, err := term.GetSize(int(c.file.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// A keyboard is a terminal in raw mode, one key at a time.
type keyboard struct {
	file  *os.File
	saved *term.State
	once  sync.Once
	mode  sync.Mutex // held while the terminal's mode is changed
	raw   atomic.Bool
	keys  chan byte // never closed: a terminal that goes away sends SIGHUP
}

// findTerminal returns the terminal that a person sits at, or nil. That is
// stdin, and /dev/tty where stdin or stdout carries sound. A program in the
// background gets none: to read would stop it.
func findTerminal(s *settings) *os.File {
	f := os.Stdin
	if s.audioOnStdin || s.audioOnStdout {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return nil
		}
		f = tty
	}
	if !s.input || !isTerminal(f) || !inForeground(f) {
		return nil
	}
	return f
}

// openKeyboard puts the terminal into raw mode and begins to read keys.
// restore must be called however the program ends.
func openKeyboard(f *os.File) (*keyboard, error) {
	saved, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	k := &keyboard{file: f, saved: saved, keys: make(chan byte, 16)}
	k.raw.Store(true)
	go k.read()
	return k, nil
}

// restore gives the terminal back as it was. It may be called from anywhere,
// any number of times.
func (k *keyboard) restore() {
	k.once.Do(func() {
		k.mode.Lock()
		defer k.mode.Unlock()
		k.raw.Store(false)
		_ = term.Restore(int(k.file.Fd()), k.saved)
	})
}

// rawAgain makes the terminal raw again, if it was.
func (k *keyboard) rawAgain() {
	if k == nil {
		return
	}
	k.mode.Lock()
	defer k.mode.Unlock()
	if k.raw.Load() {
		_, _ = term.MakeRaw(int(k.file.Fd()))
	}
}

// read ends with the program: nothing can interrupt a read of a terminal.
func (k *keyboard) read() {
	chunks := make(chan []byte)
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, 64)
			n, err := k.file.Read(b)
			if err != nil {
				return
			}
			chunks <- b[:n]
		}
	}()
	var s sequences
	for {
		var alone <-chan time.Time
		if s != outside {
			alone = time.After(escapeTime)
		}
		select {
		case b, ok := <-chunks:
			if !ok {
				return
			}
			for _, key := range s.keys(b) {
				k.keys <- key
			}
		case <-alone:
			if s == afterEscape {
				k.keys <- keyEscape
			}
			s = outside
		}
	}
}

// escapeTime is after which an escape is the key itself, and not the beginning of a sequence
// whose rest is on its way over a slow line.
const escapeTime = 50 * time.Millisecond

// sequences is how far what is typed is into an escape sequence (ECMA-48, Section 5.4).
type sequences uint8

const (
	outside sequences = iota
	afterEscape
	inside // behind the introducer, up to a final byte
)

// keys is b without escape sequences: the one of an arrow key ends in D, and is no wish to
// decline. A sequence may come in pieces.
func (s *sequences) keys(b []byte) (keys []byte) {
	for _, key := range b {
		switch {
		case key == keyEscape:
			*s = afterEscape
		case *s == outside, key < ' ': // Ctrl-C is heard whatever was typed before
			*s = outside
			keys = append(keys, key)
		case *s == afterEscape && (key == '[' || key == 'O'):
			*s = inside
		case *s == afterEscape || key >= 0x40:
			*s = outside
		}
	}
	return keys
}
