//go:build pulse && linux && cgo

// These tests hear what they play, through a sound server of their own:
//
//	go test -tags pulse ./audio/device
//
// They need pulseaudio, and for Oto ALSA's pulse plugin (libasound2-plugins).

package device

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"securecall/audio"
)

// startServer runs a PulseAudio server with two speakers that nobody hears,
// and makes it the one that we and ALSA find: we by PULSE_SERVER, and ALSA by
// its own configuration.
func startServer(t *testing.T) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("", "pulse") // short: it becomes a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "native")
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	if err := os.WriteFile(filepath.Join(dir, ".asoundrc"), []byte(fmt.Sprintf("pcm.!default { type pulse server %q }\n", "unix:"+socket)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=0",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+socket,
		"-L", "module-null-sink sink_name=one",
		"-L", "module-null-sink sink_name=two")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Setenv("PULSE_SERVER", "unix:"+socket)
	for deadline := time.Now().Add(10 * time.Second); ; {
		infos, err := listPulse()
		if err == nil && len(infos) == 4 {
			return cmd
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server has not come up: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func mustSource(t *testing.T, spec string) audio.Source {
	t.Helper()
	s, err := OpenSource(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustSink(t *testing.T, spec string) audio.Sink {
	t.Helper()
	s, err := OpenSink(spec, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestList(t *testing.T) {
	startServer(t)
	infos, err := List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, fmt.Sprint(i.Name, " ", i.Input, " ", i.Default))
	}
	want := []string{"one.monitor true true", "two.monitor true false", "one false true", "two false false"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// A burst in silence is heard once, as loud as it was played, and soon.
func TestHearWhatIsPlayed(t *testing.T) {
	for name, end := range map[string]struct{ speaker, mic string }{
		"by name": {"two", "two.monitor"},
		"default": {"default", "default"}, // Oto plays to the default sink
	} {
		t.Run(name, func(t *testing.T) {
			startServer(t)
			speaker, mic := mustSink(t, end.speaker), mustSource(t, end.mic)
			_, isOto := speaker.(interface{ Read([]byte) (int, error) })
			if isOto != (end.speaker == "default") {
				t.Fatalf("%s is a %T", end.speaker, speaker)
			}
			first := awake(t, speaker, mic)
			written := make(chan time.Time, 1)
			done := make(chan struct{})
			go func() {
				defer close(done)
				burst, silence := tone(1000), frameOf()
				for i := range 140 {
					f := silence
					if i >= 75 && i < 85 {
						f = burst
					}
					if i == 75 {
						written <- time.Now()
					}
					if err := speaker.WriteFrame(f); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			var heard time.Time
			loud, loudest := 0, 0.0
			begin := time.Now()
			frames := 0
			for time.Since(begin) < 3*time.Second {
				f := make(audio.Frame, audio.FrameSamples)
				if err := mic.ReadFrame(f); err != nil {
					t.Fatal(err)
				}
				frames++
				if l := level(f); l > 1000 {
					if loud++; loud == 1 {
						heard = time.Now()
					}
					loudest = max(loudest, l)
				}
			}
			<-done
			t.Logf("sound flows %v after opening", first.Round(time.Millisecond))
			if frames < 140 || frames > 155 {
				t.Errorf("%d frames in 3 s", frames)
			}
			if loud < 9 || loud > 12 {
				t.Fatalf("%d frames were loud, of 10", loud)
			}
			if want := 8000 / math.Sqrt2; math.Abs(loudest-want) > want/10 {
				t.Errorf("it was heard at a level of %.0f, and played at %.0f", loudest, want)
			}
			took := heard.Sub(<-written)
			t.Logf("heard %v after it was written", took.Round(time.Millisecond))
			if took > 300*time.Millisecond {
				t.Error("that is late")
			}
		})
	}
}

// awake plays silence until the microphone has delivered for a while: a null
// sink without a stream is idle, and thinks in pieces of two seconds.
func awake(t *testing.T, speaker audio.Sink, mic audio.Source) time.Duration {
	t.Helper()
	begin := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		f := make(audio.Frame, audio.FrameSamples)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := speaker.WriteFrame(f); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	// Until the device itself has given sound, a capture gives silence.
	var first time.Duration
	for real := 0; real < 25; {
		f := make(audio.Frame, audio.FrameSamples)
		if err := mic.ReadFrame(f); err != nil {
			t.Error(err)
			break
		}
		if !!mic.(*capture).silent {
			continue
		}
		if real++; real == 1 {
			first = time.Since(begin)
		}
	}
	close(stop)
	<-stopped
	return first
}

// Between two calls the default speaker rests; in the second it is heard again.
func TestSpeakerRestsBetweenCalls(t *testing.T) {
	startServer(t)
	for call := range 3 {
		mic := mustSource(t, "default")
		speaker, err := OpenSink("default", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, isOto := speaker.(interface{ Read([]byte) (int, error) }); !isOto {
			t.Fatalf("the default speaker is a %T", speaker)
		}
		awake(t, speaker, mic)
		loud := 0
		for range 100 {
			f := tone(1000)
			if err := speaker.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
			if err := mic.ReadFrame(f); err != nil {
				t.Fatal(err)
			}
			if level(f) > 5000 {
				loud++
			}
		}
		if loud < 25 { // it takes up to a second to get here
			t.Errorf("call %d: %d frames were loud, of 100", call, loud)
		}
		if err := speaker.Close(); err != nil {
			t.Fatal(err)
		}
		mic.Close()
		// One that does not rest takes 60 ms of each second.
		before := processorTime(t)
		<-time.After(2 * time.Second)
		if used := processorTime(t) - before; used > 50*time.Millisecond {
			t.Errorf("after call %d: %v of processor time in two seconds", call, used)
		}
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A microphone that was open for a second, unread, is not a second behind.
func TestUnreadMicrophoneIsNotBehind(t *testing.T) {
	startServer(t)
	mic := mustSource(t, "default")
	f := make(audio.Frame, audio.FrameSamples)
	if err := mic.ReadFrame(f); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second)
	begin := time.Now()
	for range 10 {
		if err := mic.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	// Two frames, and the last piece delivered, may be there at once.
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("ten frames came within %v", took)
	}
}

// A server that dies, or that hangs, ends the call's ends soon.
func TestServerIsLost(t *testing.T) {
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		for _, spec := range []string{"default", "two"} {
			t.Run(fmt.Sprint(how, " ", spec), func(t *testing.T) {
				server := startServer(t)
				speaker := mustSink(t, spec)
				mic := mustSource(t, strings.Replace(spec, "two", "two.monitor", 1))
				micErr, speakerErr := make(chan error, 1), make(chan error, 1)
				go func() {
					f := make(audio.Frame, audio.FrameSamples)
					var err error
					for err == nil {
						err = mic.ReadFrame(f)
					}
					micErr <- err
				}()
				go func() {
					f := make(audio.Frame, audio.FrameSamples)
					var err error
					for err == nil {
						err = speaker.WriteFrame(f)
					}
					speakerErr <- err
				}()
				<-time.After(300 * time.Millisecond)
				if err := server.Process.Signal(how); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				for what, c := range map[string]chan error{"microphone": micErr, "speaker": speakerErr} {
					select {
					case err := <-c:
						var lost *Error
						if !errors.As(err, &lost) || lost.File {
							t.Errorf("%s: %v", what, err)
						}
					case <-time.After(stall + 2*time.Second):
						t.Errorf("the %s has not noticed", what)
					}
				}
				t.Logf("noticed after %v", time.Since(begin).Round(time.Millisecond))
				begin = time.Now()
				mic.Close()
				speaker.Close()
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("closing took %v", took)
				}
			})
		}
	}
}

// Where we find no server there is miniaudio, on ALSA.
func TestMiniaudio(t *testing.T) {
	server := startServer(t)
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(t.TempDir(), "none"))
	infos, err := List()
	if err != nil || !slices.ContainsFunc(infos, func(i Info) bool { return i.Driver == "miniaudio" && i.Default }) {
		t.Errorf("it lists %+v, %v", infos, err)
	}
	speaker, mic := mustSink(t, "default"), mustSource(t, "default")
	awake(t, speaker, mic)
	loud := 0
	for i := range 100 {
		f := tone(1000)
		if err := speaker.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
		if err := mic.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		if i > 25 && level(f) > 5000 {
			loud++
		}
	}
	if loud < 60 {
		t.Errorf("%d frames were loud, of 74", loud)
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var lost *Error
	for err == nil {
		f := make(audio.Frame, audio.FrameSamples)
		err = mic.ReadFrame(f)
	}
	if !errors.As(err, &lost) {
		t.Errorf("the server has died: %v", err)
	}
	begin := time.Now()
	mic.Close()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("closing took %v", took)
	}
	if _, err := OpenSource("nosuch", Options{}); !errors.Is(err, errNoDevice) && !errors.Is(err, errNoSound) {
		t.Errorf("no such microphone: %v", err)
	}
}

func TestNoSuchDevice(t *testing.T) {
	startServer(t)
	_, err := OpenSource("nosuch", Options{})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, errNoDevice) {
		t.Errorf("microphone: %v", err)
	}
	if _, err = OpenSink("nosuch", Options{}); !errors.Is(err, errNoDevice) {
		t.Errorf("speaker: %v", err)
	}
}

func TestNoServer(t *testing.T) {
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(t.TempDir(), "none"))
	var e *Error
	if _, err := OpenSource("default", Options{}); !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("microphone: %v", err)
	}
	if _, err := OpenSink("two", Options{}); !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("speaker: %v", err)
	}
}

// tone is a frame of a sine of an amplitude of 8000; hz is a multiple of 50.
func tone(hz float64) audio.Frame {
	f := make(audio.Frame, audio.FrameSamples)
	for i := range f {
		f[i] = int16(math.Round(8000 * math.Sin(2*math.Pi*hz*float64(i)/audio.SampleRate)))
	}
	return f
}

// level is the root of the mean square.
func level(f audio.Frame) float64 {
	sum := 0.0
	for _, x := range f {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum / float64(len(f)))
}
