package device

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

func mustPipeSource(t *testing.T, r io.Reader) audio.Source {
	t.Helper()
	s, err := OpenSource("-", Options{Stdin: r})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustPipeSink(t *testing.T, w io.Writer) audio.Sink {
	t.Helper()
	s, err := OpenSink("-", Options{Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// numbered is frame i of a row in which every sample differs from the next.
func numbered(i int) audio.Frame {
	f := make(audio.Frame, audio.FrameSamples)
	for j := range f {
		f[j] = int16(i*len(f) + j)
	}
	return f
}

func rawOf(f audio.Frame) []byte {
	return appendFrame(nil, f)
}

// A whole file on standard input is given out in real time and complete; its
// odd end is filled up with silence.
func TestPipeSourceGivesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames = 250
		var raw []byte
		for i := range frames {
			raw = append(raw, rawOf(numbered(i))...)
		}
		source := mustPipeSource(t, bytes.NewReader(append(raw, 7, 0, 9))) // a sample and a half
		begin := time.Now()
		f := make(audio.Frame, audio.FrameSamples)
		for i := range frames {
			if err := source.ReadFrame(f); err != nil || !slices.Equal(f, numbered(i)) {
				t.Fatalf("frame %d: %d …, %v", i, f[0], err)
			}
			if at, due := time.Since(begin), time.Duration(i+1)*audio.FrameDuration; at != due {
				t.Fatalf("frame %d came at %v, and not at %v", i, at, due)
			}
		}
		if err := source.ReadFrame(f); err != nil || !slices.Equal(f, frameOf(7)) {
			t.Errorf("the end is %v, %v", f[:3], err)
		}
		for range 2 {
			if err := source.ReadFrame(f); !errors.Is(err, io.EOF) || !slices.Equal(f, frameOf(7)) {
				t.Errorf("after the end: %v", err)
			}
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A pipe is read only once the call wants sound, and then only so far ahead.
func TestPipeSourceReadsLittleAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		written := 0
		go func() {
			f := numbered(1)
			for {
				if _, err := w.Write(rawOf(f)); err != nil {
					return
				}
				written++
			}
		}()
		source := mustPipeSource(t, r)
		time.Sleep(time.Hour)
		synctest.Wait()
		if written != 0 {
			t.Errorf("%d frames were read before the call", written)
		}
		f := make(audio.Frame, audio.FrameSamples)
		if err := source.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ahead := int(readAhead / audio.FrameDuration); written < ahead || written > ahead+2 {
			t.Errorf("%d frames were read ahead", written)
		}
		source.Close()
		r.Close()
	})
}

func TestPipeSourceFillsGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		source := mustPipeSource(t, r)
		f := make(audio.Frame, audio.FrameSamples)
		for range 3 {
			if err := source.ReadFrame(f); err != nil || !slices.Equal(f, frameOf()) {
				t.Fatalf("with nothing in the pipe: %v", err)
			}
		}
		go w.Write(rawOf(numbered(1)))
		synctest.Wait()
		if err := source.ReadFrame(f); err != nil || !slices.Equal(f, numbered(1)) {
			t.Errorf("then: %d …, %v", f[0], err)
		}
		w.CloseWithError(syscall.EIO)
		synctest.Wait()
		var e *Error
		if err := source.ReadFrame(f); !errors.As(err, &e) || e.File {
			t.Errorf("a pipe that fails: %v", err)
		}
		source.Close()
	})
}

// Close does not wait for a Read that nothing ends, as on a terminal.
func TestPipeSourceClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		source := mustPipeSource(t, r)
		f := make(audio.Frame, audio.FrameSamples)
		if err := source.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		source.Close()
		if err := source.ReadFrame(f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if time.Since(begin) != 0 {
			t.Error("Close waited")
		}
		w.Close() // in the end even that Read returns
	})
}

func TestPipeSinkWritesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		sink := mustPipeSink(t, &got)
		var want []byte
		for i := range 50 {
			f := numbered(i)
			want = append(want, rawOf(f)...)
			if err := sink.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d octets came out, of %d", got.Len(), len(want))
		}
		f := make(audio.Frame, audio.FrameSamples)
		if err := sink.WriteFrame(f); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A pipe of the system's that nobody reads holds less than half a second: what was said last is
// heard no later by more than that.
func TestPipeOfTheSystemKeepsLittle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets a program choose what a pipe holds")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sink := newPipeSink("-", w, w.Close, Options{})
	const frames = 100
	for i := range frames {
		f := numbered(i)
		if err := sink.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(r)
		read <- all
	}()
	for len(sink.frames) > 0 {
		time.Sleep(time.Millisecond)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	all := <-read
	// A page, what was being written, and the queue.
	if most := os.Getpagesize() + 2*audio.FrameSamples*(2+int(writeBehind/audio.FrameDuration)); len(all) > most {
		t.Errorf("%d octets waited for a reader, at most %d may", len(all), most)
	}
	if last := rawOf(numbered(frames - 1)); !bytes.HasSuffix(all, last) {
		t.Error("what was said last is missing")
	}
}

// A pipe that nobody reads does not hold up the call; whoever reads it later
// gets what is new.
func TestPipeSinkDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		sink := mustPipeSink(t, w)
		begin := time.Now()
		const frames = 100
		for i := range frames {
			f := numbered(i)
			if err := sink.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != frames*audio.FrameDuration {
			t.Errorf("%d frames took %v", frames, took)
		}
		var starts []int16
		const behind = int(writeBehind / audio.FrameDuration)
		for range 1 + behind {
			raw := make([]byte, 2*audio.FrameSamples)
			if _, err := io.ReadFull(r, raw); err != nil {
				t.Fatal(err)
			}
			f := make(audio.Frame, audio.FrameSamples)
			takeFrame(f, raw)
			starts = append(starts, f[0])
		}
		want := []int16{0} // it was being written
		for i := frames - behind; i < frames; i++ {
			want = append(want, numbered(i)[0])
		}
		if !slices.Equal(starts, want) {
			t.Errorf("the frames that came begin with %v, want %v", starts, want)
		}

		f := make(audio.Frame, audio.FrameSamples)
		if err := sink.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		sink.Close()
		if took := time.Since(begin); took > lastWords {
			t.Errorf("Close took %v", took)
		}
		r.Close()
	})
}

func TestPipeSinkReaderIsGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	sink := mustPipeSink(t, w)
	defer sink.Close()
	for err == nil {
		f := make(audio.Frame, audio.FrameSamples)
		err = sink.WriteFrame(f)
	}
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, syscall.EPIPE) || e.File || e.Hint == "" {
		t.Errorf("it ended with %v", err)
	}
}

func TestNoStandardStreams(t *testing.T) {
	if _, err := OpenSource("-", Options{}); err == nil {
		t.Error("there is a standard input")
	}
	if _, err := OpenSink("-", Options{}); err == nil {
		t.Error("there is a standard output")
	}
}

func TestPathOfFramesDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		sink := mustPipeSink(t, w)
		source := newNoneSource(Options{})
		f := make(audio.Frame, audio.FrameSamples)
		if n := testing.AllocsPerRun(100, func() {
			if source.ReadFrame(f) != nil || sink.WriteFrame(f) != nil {
				t.Fatal("it fails")
			}
		}); n != 0 {
			t.Errorf("%v allocations a frame", n)
		}
		r.Close()
		sink.Close()
	})
	c := newCapture("default")
	c.release = func() {}
	defer c.Close()
	f := make(audio.Frame, audio.FrameSamples)
	raw := make([]byte, 2*audio.FrameSamples)
	if n := testing.AllocsPerRun(100, func() {
		c.push(raw)
		if c.ReadFrame(f) != nil {
			t.Fatal("it fails")
		}
	}); n != 0 {
		t.Errorf("%v allocations a captured frame", n)
	}
}
