package cli

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/call"
)

const (
	aloneFrames = 50 // of the microphone alone: 1 s
	leadFrames  = 25 // of silence before the sweep: a device that was just opened settles
	afterFrames = 50 // of silence after it: what comes back within 1 s is found

	sweepTime           = 300 * time.Millisecond
	sweepLow, sweepHigh = 400, 3400 // Hz
	sweepPeak           = 0.25      // of full scale: -12 dBFS

	// alikeEcho is the least correlation of what was heard with the sweep at which it is
	// one. That of a sweep with noise has a deviation of 1 in 40, the root of twice its
	// time times its width, and in 8000 places does not reach five of them.
	alikeEcho = 0.2

	// slowSound is what the devices may take there and back. Their share of the way from mouth
	// to ear is as much, and ITU-T G.114 has 400 ms as the most for all of it.
	slowSound = 300 * time.Millisecond
)

func isDevice(spec string) bool { return device.KindOf(spec) == device.KindDevice }

// sound tries both ends of the sound.
func (d *checkup) sound() error {
	mic, speaker := isDevice(d.mic), isDevice(d.speaker)
	if mic || speaker {
		var infos []device.Info
		var err error
		if e := d.during("the list of sound devices", func(context.Context) { infos, err = device.List() }); e != nil {
			return e
		}
		d.tell(devicesCheck(infos, err, mic, speaker))
	}
	var source audio.Source
	if mic {
		var k check
		if err := d.during("the microphone, to hear it for a second", func(ctx context.Context) { source, k = d.tryMic(ctx) }); err != nil {
			return err
		}
		d.tell(k)
		if source != nil {
			defer source.Close()
		}
	} else {
		d.tell(elseCheck("microphone", d.mic, checkMic(d.mic)))
	}
	if !speaker {
		d.tell(elseCheck("speaker", d.speaker, checkSpeaker(d.speaker)))
		return nil
	}
	var found []check
	if err := d.during("the speaker, to play a tone", func(ctx context.Context) { found = d.trySpeaker(ctx, source) }); err != nil {
		return err
	}
	d.tell(found...)
	return nil
}

// devicesCheck is about the list alone: what is missing fails when it is opened.
func devicesCheck(infos []device.Info, err error, mic, speaker bool) check {
	const label = "sound devices"
	if err != nil {
		return check{label: label, what: err.Error(), hint: "start the sound server (PipeWire, PulseAudio) anew", status: int(call.ReasonDevice)}
	}
	mics, speakers := 0, 0
	for _, i := range infos {
		if i.Input {
			mics++
		} else {
			speakers++
		}
	}
	k := check{label: label, what: fmt.Sprintf("microphones: %d, speakers: %d", mics, speakers)}
	if mic && mics == 0 || speaker && speakers == 0 {
		k.doubt, k.hint = true, "connect one, or start the sound server (PipeWire, PulseAudio); securecall devices lists what there is"
	}
	return k
}

// elseCheck is about what is no device.
func elseCheck(label, spec string, err error) check {
	switch kind := device.KindOf(spec); {
	case err != nil:
		k := failure(label, err)
		if k.hint == "" {
			k.hint = "securecall help dial says what --mic and --speaker take"
		}
		return k
	case kind == device.KindNone:
		return check{label: label, what: "none: silence"}
	case kind == device.KindStdio, kind == device.KindExec:
		return check{label: label, what: spec + ": to be tried only in a call"}
	}
	return check{label: label, what: spec + ": can be used"}
}

var soundOptions = device.Options{KernelTimers: true}

// tryMic hears the microphone for a second, and returns it open.
func (d *checkup) tryMic(ctx context.Context) (audio.Source, check) {
	source, err := device.OpenSource(d.mic, soundOptions)
	if err != nil {
		return nil, failure("microphone", err)
	}
	stop := context.AfterFunc(ctx, func() { source.Close() })
	defer stop()
	var l loudness
	f := make(audio.Frame, audio.FrameSamples)
	for range aloneFrames {
		if err := source.ReadFrame(f); err != nil {
			source.Close()
			return nil, soundFailure(ctx, "microphone", d.mic, err)
		}
		l.add(f)
	}
	k := check{label: "microphone", what: fmt.Sprintf("%s: heard at up to %.0f dBFS, %.0f on average", d.mic, l.peakDB(), l.meanDB())}
	if l.peakDB() < testSilent {
		k.doubt, k.what, k.hint = true, d.mic+": gives silence", silenceHint
	}
	return source, k
}

// trySpeaker plays the sweep, and finds it in what source hears; nil: nobody hears.
func (d *checkup) trySpeaker(ctx context.Context, source audio.Source) []check {
	sink, err := device.OpenSink(d.speaker, soundOptions)
	if err != nil {
		return []check{failure("speaker", err)}
	}
	defer sink.Close()
	stop := context.AfterFunc(ctx, func() {
		sink.Close()
		if source != nil {
			source.Close()
		}
	})
	defer stop()
	played := sweep()
	heard, before, micErr, err := playAndHear(sink, source, played)
	if err != nil {
		return []check{soundFailure(ctx, "speaker", d.speaker, err)}
	}
	found := []check{{label: "speaker", what: d.speaker + ": plays"}}
	switch {
	case micErr != nil:
		found = append(found, soundFailure(ctx, "microphone", d.mic, micErr))
	case source != nil:
		found = append(found, echoCheck(findEcho(heard, before, played)))
	}
	return found
}

// soundFailure is that of a device that was open.
func soundFailure(ctx context.Context, label, spec string, err error) check {
	if ctx.Err() != nil {
		err = &device.Error{Spec: spec, Err: late(ctx, err), Hint: "unplug it and connect it again, or start the sound server anew"}
	}
	k := failure(label, err)
	k.status = int(call.ReasonDevice)
	return k
}

// sweep is a tone that rises through what a telephone carries: it is like no sound but itself,
// so that one can tell when it comes.
func sweep() []int16 {
	pcm := make([]int16, audio.Samples(sweepTime))
	fade := float64(len(pcm) / 10)
	for i := range pcm {
		t := float64(i) / audio.SampleRate
		turns := sweepLow*t + (sweepHigh-sweepLow)*t*t/(2*sweepTime.Seconds())
		edge := min(1, float64(min(i, len(pcm)-1-i))/fade)
		pcm[i] = int16(math.Round(sweepPeak * edge * math.MaxInt16 * math.Sin(2*math.Pi*turns)))
	}
	return pcm
}

// playAndHear plays pcm, of whole frames, and returns what source, unless it is nil, heard, and
// how many samples of that come before the moment when the first of pcm was handed to sink. When
// they were recorded the frames from then on tell: of all, the one that came with the least delay.
func playAndHear(sink audio.Sink, source audio.Source, pcm []int16) (heard []int16, before int, micErr, err error) {
	var (
		mu       sync.Mutex
		written  time.Time // the first of pcm
		begun    time.Time // heard
		over     bool
		recorder sync.WaitGroup
	)
	if source != nil {
		recorder.Go(func() {
			f := make(audio.Frame, audio.FrameSamples)
			for {
				err := source.ReadFrame(f)
				now := time.Now()
				mu.Lock()
				if over || err != nil {
					micErr = err
					mu.Unlock()
					return
				}
				heard = append(heard, f...)
				if b := now.Add(-audio.Duration(len(heard))); !written.IsZero() && (begun.IsZero() || b.Before(begun)) {
					begun = b
				}
				mu.Unlock()
			}
		})
	}
	play := func(pcm []int16) {
		for ; len(pcm) > 0 && err == nil; pcm = pcm[audio.FrameSamples:] {
			err = sink.WriteFrame(pcm[:audio.FrameSamples])
		}
	}
	play(make([]int16, leadFrames*audio.FrameSamples))
	mu.Lock()
	written = time.Now()
	mu.Unlock()
	play(pcm)
	play(make([]int16, afterFrames*audio.FrameSamples))
	mu.Lock()
	over = true
	mu.Unlock()
	recorder.Wait()
	if !begun.IsZero() {
		before = audio.Samples(written.Sub(begun))
	}
	return heard, before, micErr, err
}

// An echo is what comes back of the sweep.
type echo struct {
	found bool
	after time.Duration
	gain  float64 // in dB, of all that was heard in its time
}

// findEcho looks where heard is most like played, which was handed over after so many samples.
func findEcho(heard []int16, before int, played []int16) (e echo) {
	energy := 0.0
	for _, p := range played {
		energy += float64(p) * float64(p)
	}
	best := alikeEcho * alikeEcho
	for i := range max(0, len(heard)-len(played)+1) {
		var same, window float64
		for j, p := range played {
			h := float64(heard[i+j])
			same += float64(p) * h
			window += h * h
		}
		if window > 0 && same*same > best*energy*window {
			best = same * same / (energy * window)
			// A sound server may record what it is yet to play.
			e = echo{true, audio.Duration(max(0, i-before)), 10 * math.Log10(window/energy)}
		}
	}
	return e
}

func echoCheck(e echo) check {
	const label = "echo"
	if !e.found {
		return check{label: label, what: "the microphone does not hear the speaker: a headset, or one of the two is turned down"}
	}
	level := "as loud"
	switch {
	case e.gain < -0.5:
		level = fmt.Sprintf("%.0f dB softer", -e.gain)
	case e.gain > 0.5:
		level = fmt.Sprintf("%.0f dB louder", e.gain)
	}
	k := check{label: label, what: fmt.Sprintf("the microphone hears the speaker after %d ms, %s (which --echo-cancel takes out)", e.after.Milliseconds(), level)}
	if e.after > slowSound {
		k.doubt = true
		k.hint = "that is a pause before each answer: try a headset with a cable instead of Bluetooth, or another device"
	}
	return k
}
