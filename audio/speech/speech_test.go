package speech_test

import (
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"securecall/audio"
	"securecall/audio/speech"
)

func TestSpeechIsAudible(t *testing.T) {
	pcm := speech.Samples()
	if length := time.Duration(len(pcm)) * time.Second / audio.SampleRate; length < 4*time.Second || length > 5500*time.Millisecond {
		t.Errorf("it is %v long", length)
	}
	power := 0.0
	for _, x := range pcm {
		power += float64(x) * float64(x)
	}
	if dB := 10 * math.Log10(power/float64(len(pcm))/(1<<30)); dB < -40 || dB > -10 {
		t.Errorf("its level is %.1f dBFS", dB)
	}
}

func TestSourceGivesTheSamplesInRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := speech.Samples()
		begin := time.Now()
		source := speech.Source()
		var heard []int16
		for {
			f := make(audio.Frame, audio.FrameSamples)
			err := source.ReadFrame(f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, f[:]...)
		}
		if len(heard) < len(want) || !slices.Equal(heard[:len(want)], want) {
			t.Error("what it gave is not what Samples holds")
		}
		if took, due := time.Since(begin), time.Duration(len(heard))*time.Second/audio.SampleRate; took != due {
			t.Errorf("it took %v to give %v", took, due)
		}
	})
}
