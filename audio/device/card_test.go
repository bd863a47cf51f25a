//go:build pulse && linux && cgo

package device

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"securecall/audio"
)

// These tests have a sound card that runs at one rate only: ALSA's plug layer in
// front of a fixed one, behind which is PulseAudio at the same rate, so that
// nothing converts but ALSA, if we let it, and we.

// cardTone is a tone of an amplitude of 8000, in dB of one of 24000.
const cardTone = -9.54

func TestCardOf48kHz(t *testing.T) { testCard(t, 48000) }
func TestCardOf44kHz(t *testing.T) { testCard(t, 44100) }

// startCard makes it ALSA's default, and its microphone that of ALSA's name card,
// and returns the server's address; we ourselves do not find that.
func startCard(t *testing.T, rate int) (server string) {
	t.Helper()
	startServerBehind(t, fmt.Sprintf(`pcm.card { type plug slave { pcm { type pulse server %%q } rate %d } }
pcm.!default { type plug slave.pcm "card" }
`, rate), rate)
	server = os.Getenv("PULSE_SERVER")
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(t.TempDir(), "none"))
	return server
}

func testCard(t *testing.T, rate int) {
	server := startCard(t, rate)
	infos, err := List()
	for _, want := range []Info{
		{Name: "default", Driver: "miniaudio", Input: true, Default: true},
		{Name: "default", Driver: "oto", Default: true},
	} {
		if !slices.ContainsFunc(infos, func(i Info) bool { i.Label = ""; return i == want }) {
			t.Errorf("it lists %+v, %v, and not %+v", infos, err, want)
		}
	}
	t.Run("speaker", func(t *testing.T) { testCardSpeaker(t, server, rate) })
	t.Run("microphone", func(t *testing.T) { testCardMicrophone(t, server, rate) })
}

// A tone is played at its pitch, and none of its images with it.
func testCardSpeaker(t *testing.T, server string, rate int) {
	speaker := mustSink(t, "default")
	if got := otoShared.rate; got != rate {
		t.Errorf("a card of %d Hz is opened at %d", rate, got)
	}
	heard := pacat(t, "--record", server, "--device=one.monitor", fmt.Sprint("--rate=", rate))
	recorded := make(chan []float64)
	go func() { recorded <- samples(t, heard, 3*rate) }()
	const hz = 3000
	var x []float64
	for x == nil {
		if err := speaker.WriteFrame(tone(hz)); err != nil {
			t.Fatal(err)
		}
		select {
		case x = <-recorded:
		default:
		}
	}
	// A machine that is late breaks a tone off here and there: the best piece of all.
	best, pitch := 0.0, -100.0
	for piece := rate / 5; len(x) >= piece; x = x[piece:] {
		worst := -100.0
		for n := 8000; n < rate/2+hz; n += 8000 {
			for _, image := range []float64{float64(n) - hz, float64(n) + hz} {
				if image < float64(rate)/2 {
					worst = max(worst, loudness(x[:piece], rate, image))
				}
			}
		}
		if here := loudness(x[:piece], rate, hz); here > cardTone-0.5 && worst < best {
			best, pitch = worst, here
		}
	}
	t.Logf("%d Hz at %.1f dB, its images at %.1f dB and less", hz, pitch, best)
	if math.Abs(pitch-cardTone) > 0.5 {
		t.Errorf("%d Hz was played at %.1f dB and heard at %.1f", hz, cardTone, pitch)
	}
	if best > -75 {
		t.Errorf("%d Hz has an image of %.1f dB", hz, best)
	}
}

// What the microphone hears above the band of speech is not heard in it.
func testCardMicrophone(t *testing.T, server string, rate int) {
	played := map[float64]bool{1000: true, 5000: false, 12600: false, 21500: false}
	raw := make([]byte, 0, 4*2*rate)
	for n := range 4 * rate {
		sum := 0.0
		for hz := range played {
			sum += 8000 * math.Sin(2*math.Pi*hz*float64(n)/float64(rate))
		}
		raw = binary.LittleEndian.AppendUint16(raw, uint16(round(sum)))
	}
	file := filepath.Join(t.TempDir(), "played.raw")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	mic := mustSource(t, "card")
	pacat(t, "--playback", server, "--device=one", fmt.Sprint("--rate=", rate), file)
	best, heard := 0.0, -100.0
	x := make([]float64, 0, audio.SampleRate/5)
	f := make(audio.Frame, audio.FrameSamples)
	for range 4 * 50 {
		if err := mic.ReadFrame(f); err != nil {
			t.Fatal(err)
		}
		for _, v := range f {
			x = append(x, float64(v))
		}
		if len(x) < cap(x) {
			continue
		}
		worst := -100.0
		for hz, speech := range played {
			if !speech {
				worst = max(worst, loudness(x, audio.SampleRate, fold(hz, audio.SampleRate)))
			}
		}
		if here := loudness(x, audio.SampleRate, 1000); here > cardTone-0.5 && worst < best {
			best, heard = worst, here
		}
		x = x[:0]
	}
	t.Logf("1000 Hz at %.1f dB, what folds at %.1f dB and less", heard, best)
	if math.Abs(heard-cardTone) > 0.5 {
		t.Errorf("1000 Hz was played at %.1f dB and heard at %.1f", cardTone, heard)
	}
	if best > -75 {
		t.Errorf("there is an alias of %.1f dB", best)
	}
}

// pacat runs PulseAudio's own program until the test ends, and returns what it
// writes.
func pacat(t *testing.T, how, server string, args ...string) io.Reader {
	t.Helper()
	cmd := exec.Command("pacat", append([]string{
		how, "--server=" + server, "--raw", "--format=s16le", "--channels=1", "--latency-msec=50",
	}, args...)...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return out
}

// samples reads so many.
func samples(t *testing.T, r io.Reader, count int) []float64 {
	raw := make([]byte, 2*count)
	if _, err := io.ReadFull(r, raw); err != nil {
		t.Error(err)
	}
	x := make([]float64, count)
	for i := range x {
		x[i] = float64(int16(binary.LittleEndian.Uint16(raw[2*i:])))
	}
	return x
}
