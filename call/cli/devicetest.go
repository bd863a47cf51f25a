package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"securecall/audio"
	"securecall/audio/device"
)

const (
	testTone   = "tone:440"
	testPlays  = 50  // frames: 1 s
	testHears  = 150 // frames: 3 s
	testRedraw = 5   // frames: ten times a second
	testSilent = -66 // dBFS, less than which a microphone that works never gives

	silenceHint = "look whether the microphone is muted, or whether it is another one (securecall devices)"
)

// A deviceTest plays a tone on a speaker, and then shows how loud it is at a
// microphone.
type deviceTest struct {
	mic, speaker string
	json         bool
	out          io.Writer
	live         bool // out is a terminal
}

// jsonPlayed and jsonHeard are the lines of devices --test --json.
type jsonPlayed struct {
	V      int     `json:"v"`
	Kind   string  `json:"kind"` // speaker
	Name   string  `json:"name"`
	Played float64 `json:"played_s"`
}

type jsonHeard struct {
	V     int     `json:"v"`
	Kind  string  `json:"kind"` // mic
	Name  string  `json:"name"`
	Peak  float64 `json:"peak_dbfs"`
	Level float64 `json:"level_dbfs"` // root mean square
}

func (d deviceTest) run() error {
	o := device.Options{Stdin: os.Stdin, Stdout: os.Stdout, KernelTimers: true}
	if err := d.play(o); err != nil {
		return err
	}
	return d.hear(o)
}

func (d deviceTest) play(o device.Options) error {
	if !d.json {
		fmt.Fprintf(d.out, "playing a tone for a second on the speaker %q\n", printable(d.speaker))
	}
	tone, err := device.OpenSource(testTone, device.Options{})
	if err != nil {
		return err
	}
	defer tone.Close()
	sink, err := device.OpenSink(d.speaker, o)
	if err != nil {
		return err
	}
	f := make(audio.Frame, audio.FrameSamples)
	for range testPlays {
		if err = tone.ReadFrame(f); err == nil {
			err = sink.WriteFrame(f)
		}
		if err != nil {
			sink.Close()
			return err
		}
	}
	if err := sink.Close(); err != nil || !d.json {
		return err
	}
	return d.line(jsonPlayed{jsonVersion, "speaker", printable(d.speaker), (testPlays * audio.FrameDuration).Seconds()})
}

func (d deviceTest) hear(o device.Options) error {
	if !d.json {
		fmt.Fprintf(d.out, "listening for three seconds to the microphone %q: say something\n", printable(d.mic))
	}
	source, err := device.OpenSource(d.mic, o)
	if err != nil {
		return err
	}
	defer source.Close()
	var all, recent loudness
	f := make(audio.Frame, audio.FrameSamples)
	for n := range testHears {
		if err := source.ReadFrame(f); err != nil {
			if err == io.EOF {
				break
			}
			return err
		}
		all.add(f)
		recent.add(f)
		if d.live && !d.json && n%testRedraw == testRedraw-1 {
			fmt.Fprintf(d.out, "\r  %s %4.0f dBFS ", bar(recent.peakDB()), recent.peakDB())
			recent = loudness{}
		}
	}
	if d.json {
		return d.line(jsonHeard{jsonVersion, "mic", printable(d.mic), tenth(all.peakDB()), tenth(all.meanDB())})
	}
	if d.live {
		fmt.Fprint(d.out, "\r")
	}
	fmt.Fprintf(d.out, "  %s %4.0f dBFS at most, %.0f on average\n", bar(all.peakDB()), all.peakDB(), all.meanDB())
	if all.peakDB() < testSilent {
		fmt.Fprintln(d.out, "that is silence: "+silenceHint)
	}
	return nil
}

func (d deviceTest) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = d.out.Write(append(b, '\n'))
	return err
}

// A loudness is that of the frames added, full scale being 1.
type loudness struct {
	peak, sum float64
	n         int
}

func (l *loudness) add(f audio.Frame) {
	for _, s := range f {
		v := math.Abs(float64(s)) / 32768
		l.peak = max(l.peak, v)
		l.sum += v * v
	}
	l.n += len(f)
}

// decibels of full scale; what G.711 cannot tell from silence is -96.
func decibels(x float64) float64 { return max(-96, 20*math.Log10(x)) }

func (l *loudness) peakDB() float64 { return decibels(l.peak) }
func (l *loudness) meanDB() float64 { return decibels(math.Sqrt(l.sum / float64(max(1, l.n)))) }

func tenth(x float64) float64 { return math.Round(10*x) / 10 }

// bar shows 3 dB a sign, from -60 dBFS.
func bar(db float64) string {
	const signs = 20
	n := min(signs, max(0, int(math.Round(signs+db/3))))
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", signs-n) + "]"
}
