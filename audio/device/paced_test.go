package device

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
)

func TestSourcesKeepTime(t *testing.T) {
	wav := writeFile(t, "in.wav", wavOf(wavPCM, 1, 8000, 16, make([]byte, 1000*2*audio.FrameSamples)))
	for _, name := range []string{"none", "tone:440", wav, "Samples"} {
		synctest.Test(t, func(t *testing.T) {
			source := Samples(make([]int16, 1000*audio.FrameSamples))
			if name != "Samples" {
				var err error
				if source, err = OpenSource(name, Options{}); err != nil {
					t.Fatal(err)
				}
			}
			defer source.Close()
			begin := time.Now()
			f := make(audio.Frame, audio.FrameSamples)
			for i := range 500 {
				if err := source.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
				if at, due := time.Since(begin), time.Duration(i)*audio.FrameDuration; at != due {
					t.Fatalf("%s: frame %d came at %v, and not at %v", name, i, at, due)
				}
				// What a reader does takes time; that must not add up.
				time.Sleep(time.Duration(i%15) * time.Millisecond)
			}
		})
	}
}

func TestSinksKeepTime(t *testing.T) {
	path := t.TempDir() + "/out.wav"
	for _, spec := range []string{"none", path, "-"} {
		synctest.Test(t, func(t *testing.T) {
			sink, err := OpenSink(spec, Options{Stdout: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			f := make(audio.Frame, audio.FrameSamples)
			for i := range 500 {
				if err := sink.WriteFrame(f); err != nil {
					t.Fatal(err)
				}
				if at, due := time.Since(begin), time.Duration(i+1)*audio.FrameDuration; at != due {
					t.Fatalf("%s: frame %d was taken at %v, and not at %v", spec, i, at, due)
				}
				time.Sleep(time.Duration(i%15) * time.Millisecond)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A reader that was stopped for long gets a few frames at once, and no more.
func TestClockForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newNoneSource(Options{})
		f := make(audio.Frame, audio.FrameSamples)
		source.ReadFrame(f)
		for _, late := range []struct {
			by   time.Duration
			most int
		}{{time.Minute, 1}, {90 * time.Millisecond, 4}} {
			time.Sleep(late.by)
			begin, at := time.Now(), 0
			for time.Since(begin) == 0 {
				if err := source.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
				at++
			}
			if at-1 != late.most {
				t.Errorf("%v late: %d frames at once, want %d", late.by, at-1, late.most)
			}
		}
	})
}

func TestCloseEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, sink := newNoneSource(Options{}), newNoneSink(Options{})
		ended := make(chan error, 2)
		go func() {
			f := make(audio.Frame, audio.FrameSamples)
			source.ReadFrame(f)
			ended <- source.ReadFrame(f)
		}()
		go func() {
			f := make(audio.Frame, audio.FrameSamples)
			ended <- sink.WriteFrame(f)
		}()
		synctest.Wait()
		source.Close()
		source.Close()
		sink.Close()
		sink.Close()
		begin := time.Now()
		for range 2 {
			if err := <-ended; !errors.Is(err, os.ErrClosed) {
				t.Errorf("it ended with %v", err)
			}
		}
		if time.Since(begin) != 0 {
			t.Error("it waited on")
		}
	})
}

// The last frame is filled up with silence; after it there is io.EOF, at once.
func TestSamplesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pcm := make([]int16, audio.FrameSamples+1)
		for i := range pcm {
			pcm[i] = int16(i + 1)
		}
		source := Samples(pcm)
		first, second := make(audio.Frame, audio.FrameSamples), make(audio.Frame, audio.FrameSamples)
		for _, f := range []audio.Frame{first, second} {
			if err := source.ReadFrame(f); err != nil {
				t.Fatal(err)
			}
		}
		if first[159] != 160 || second[0] != 161 || second[1] != 0 {
			t.Errorf("got … %d | %d %d …", first[159], second[0], second[1])
		}
		before := slices.Clone(second)
		for i := range 3 {
			begin := time.Now()
			if err := source.ReadFrame(second); !errors.Is(err, io.EOF) || !slices.Equal(second, before) {
				t.Errorf("the end is %v, or touches the frame", err)
			}
			if i > 0 && time.Since(begin) > 0 {
				t.Error("it waits after the end")
			}
		}
	})
}

func TestTone(t *testing.T) {
	source, err := OpenSource("tone:1000", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f := make(audio.Frame, audio.FrameSamples)
	sum, crossings, last := 0.0, 0, int16(-1)
	for range 5 {
		if err := source.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		for _, x := range f {
			sum += float64(x) * float64(x)
			if last < 0 && x >= 0 {
				crossings++
			}
			last = x
		}
	}
	if crossings != 100 {
		t.Errorf("%d periods in 100 ms", crossings)
	}
	// The level of a sine of -12 dBFS is 3 dB below its amplitude.
	if dB := 10 * math.Log10(sum/800/(1<<30)); math.Abs(dB+15.01) > 0.1 {
		t.Errorf("its level is %.2f dBFS", dB)
	}
}

func TestSpecs(t *testing.T) {
	for spec, want := range map[string]Kind{
		"default": KindDevice, "alsa_input.pci-0000": KindDevice, ".wav": KindDevice, "": KindDevice, "a.wave": KindDevice,
		"a.wav": KindFile, "/tmp/B.WAV": KindFile, "-": KindStdio, "exec:": KindExec, "exec:cat a.wav": KindExec,
		"tone:440": KindTone, "tone": KindDevice, "none": KindNone,
	} {
		if got := KindOf(spec); got != want {
			t.Errorf("%q is of kind %d, want %d", spec, got, want)
		}
	}
}

// Every failure to open is an *Error with a next step, and knows whether it is
// about a file.
func TestOpenFails(t *testing.T) {
	notWAV := writeFile(t, "not.wav", []byte("ID3 this is something else altogether"))
	dir := t.TempDir()
	source := func(spec string) error { _, err := OpenSource(spec, Options{}); return err }
	sink := func(spec string) error { _, err := OpenSink(spec, Options{}); return err }
	for _, c := range []struct {
		open func(string) error
		spec string
		file bool
	}{
		{source, "tone:0", false},
		{source, "tone:4000", false},
		{source, "tone:NaN", false},
		{source, "tone:loud", false},
		{sink, "tone:440", false},
		{source, dir + "/missing.wav", true},
		{source, notWAV, true},
		{sink, dir + "/missing/out.wav", true},
		{sink, dir + "/.wav/", false},
		{source, "exec:", false},
		{source, "exec:'cat", false},
		{source, "exec:/no/such/program --flag", false},
		{sink, "exec:no-such-program", false},
	} {
		err := c.open(c.spec)
		var e *Error
		if !errors.As(err, &e) || e.Spec != c.spec || e.Hint == "" || e.File != c.file {
			t.Errorf("%s: %#v", c.spec, err)
		}
	}
}

// frameOf is a frame of 20 ms that begins with pcm and is silent from there on.
func frameOf(pcm ...int16) audio.Frame {
	return append(pcm, make(audio.Frame, audio.FrameSamples-len(pcm))...)
}
