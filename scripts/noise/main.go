// Noise measures noise suppression offline: recorded speech with backgrounds of
// several kinds goes through securecall's suppressor and through speexdsp's, both of
// which are to make a background 15 dB weaker.
//
//	noise DENOISE FILE.wav...
//
// DENOISE is the program of speexdsp/denoise.c, which is forgiven its own delay. It
// exits with status 1 if securecall's makes a steady background less than 12 dB weaker
// in pauses, or less than speexdsp's does; if what is said beside one is further from
// what it was, or has a worse weighted signal-to-noise ratio, than with speexdsp's; or
// if anything is changed where there is no background. Others than steady ones it only
// shows. The signal-to-noise ratio of waveforms is not compared: a filter that delays
// nothing has to turn phases (docs/notes/noise.md).
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"

	"securecall/audio"
	"securecall/audio/noise"
	"securecall/scripts/judge"
)

const (
	frame  = audio.FrameSamples
	second = audio.SampleRate
	length = 60 * second // of a recording
	talk   = 4 * second  // of speech, then a pause
	pause  = 3 * second / 2
	learnt = 4 * second // the background is known
	fades  = second / 4 // after speech, until a pause is measured
	level  = -26.0      // dB of full scale, of speech while it lasts
	least  = 12.0       // dB
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: noise DENOISE FILE.wav...")
		os.Exit(2)
	}
	failed, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "noise:", err)
		os.Exit(2)
	}
	if failed > 0 {
		fmt.Printf("FAIL  in %d of them\n", failed)
		os.Exit(1)
	}
	fmt.Printf("PASS  steady backgrounds are %.0f dB and more weaker, and speech beside them nearer than with speexdsp\n", least)
}

func run(denoise string, files []string) (failed int, err error) {
	said, err := judge.Load(files, 4*length)
	if err != nil {
		return 0, err
	}
	if len(said) < 2*length {
		return 0, fmt.Errorf("%d s of speech are too little", len(said)/second)
	}
	clean, paused := script(said)

	fmt.Printf("%-15s %4s  %-22s %-31s %s\n", "", "", "weaker in pauses, dB", "distance of the speech, dB", "weighted SNR of the speech, dB")
	fmt.Printf("%-15s %4s", "background", "SNR")
	fmt.Printf(" %11s %9s", "securecall", "speexdsp")
	for range 2 {
		fmt.Printf(" %9s %11s %9s", "before", "securecall", "speexdsp")
	}
	fmt.Println()
	for _, b := range backgrounds {
		for _, snr := range []float64{20, 15, 10, 5} {
			heard := mix(clean, b.make(len(clean), said[length:]), snr)
			theirs, err := speexdsp(denoise, heard)
			if err != nil {
				return 0, err
			}
			before := measure(clean, heard, heard, paused)
			a, t := measure(clean, heard, suppress(heard), paused), measure(clean, heard, align(heard, theirs), paused)
			fmt.Printf("%-15s %4.0f %11.1f %9.1f %9.2f %11.2f %9.2f %9.2f %11.2f %9.2f\n", b.name, snr, a.weaker, t.weaker,
				before.distance, a.distance, t.distance, before.snr, a.snr, t.snr)
			if b.steady && (a.weaker < max(least, t.weaker) || a.distance > t.distance || a.snr < t.snr) {
				failed++
			}
		}
	}
	ours := suppress(clean)
	theirs, err := speexdsp(denoise, clean)
	if err != nil {
		return 0, err
	}
	fmt.Printf("%-15s changed samples: securecall %d, speexdsp %d of %d\n", "none", changed(clean, ours), changed(clean, align(clean, theirs)), len(clean))
	if changed(clean, ours) > 0 {
		failed++
	}
	return failed, nil
}

// script is what is said, at level, with pauses, and where those are.
func script(said []int16) (clean []int16, paused []bool) {
	clean, paused = make([]int16, length), make([]bool, length)
	for at := range clean {
		turn, in := at/(talk+pause), at%(talk+pause)
		if in < talk {
			clean[at] = said[turn*talk+in]
		}
		paused[at] = in >= talk+fades && at > learnt
	}
	gain := math.Pow(10, (level-active(clean))/20)
	for i, v := range clean {
		clean[i] = round(gain * float64(v))
	}
	return clean, paused
}

// active is the level of speech while it lasts, in dB of full scale: of frames
// within 30 dB of the loudest.
func active(pcm []int16) float64 {
	var powers []float64
	for i := 0; i+frame <= len(pcm); i += frame {
		powers = append(powers, power(pcm[i:i+frame]))
	}
	most, sum, n := slices.Max(powers), 0.0, 0.0
	for _, p := range powers {
		if p > most/1000 {
			sum += p
			n++
		}
	}
	return 10 * math.Log10(sum/n/(1<<30))
}

func power(pcm []int16) (sum float64) {
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(pcm))
}

// mix adds a background, so many dB below the speech.
func mix(clean []int16, background []float64, snr float64) []int16 {
	sum := 0.0
	for _, v := range background {
		sum += v * v
	}
	gain := math.Pow(10, (level-snr)/20) * 32768 / math.Sqrt(sum/float64(len(background)))
	pcm := make([]int16, len(clean))
	for i, v := range clean {
		pcm[i] = round(float64(v) + gain*background[i])
	}
	return pcm
}

func round(v float64) int16 { return int16(max(-32768, min(32767, math.Round(v)))) }

// figures is how well a background was suppressed.
type figures struct {
	weaker        float64 // dB, in pauses
	distance, snr float64 // of the speech
}

func measure(clean, heard, out []int16, paused []bool) (f figures) {
	before, after := 1e-9, 1e-9
	for i, yes := range paused {
		if yes {
			before += float64(heard[i]) * float64(heard[i])
			after += float64(out[i]) * float64(out[i])
		}
	}
	f.weaker = 10 * math.Log10(before/after)
	said, got := judge.Fractions(clean[learnt:]), judge.Fractions(out[learnt:])
	spectra := judge.NewSpectra(said, said)
	f.distance, f.snr = spectra.LogSpectral(got), spectra.WeightedSNR(got)
	return f
}

func changed(a, b []int16) (n int) {
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// suppress is what securecall makes of what a microphone heard.
func suppress(heard []int16) []int16 {
	s, out := noise.New(), slices.Clone(heard)
	for i := 0; i+frame <= len(out); i += frame {
		s.Near(out[i : i+frame])
	}
	return out
}

func speexdsp(denoise string, heard []int16) ([]int16, error) {
	var in []byte
	for _, v := range heard {
		in = binary.NativeEndian.AppendUint16(in, uint16(v))
	}
	cmd := exec.Command(denoise)
	cmd.Stdin = bytes.NewReader(in)
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("speexdsp: %w", err)
	}
	out := make([]int16, len(b)/2)
	for i := range out {
		out[i] = int16(binary.NativeEndian.Uint16(b[2*i:]))
	}
	if len(out) != len(heard) {
		return nil, fmt.Errorf("speexdsp: %d samples for %d", len(out), len(heard))
	}
	return out, nil
}

// align takes out the delay of overlapping windows, which is not what is to be
// compared.
func align(heard, out []int16) []int16 {
	at, best := 0, math.Inf(-1)
	for shift := range 2 * frame {
		sum := 0.0
		for i, v := range heard[:len(heard)-shift] {
			sum += float64(v) * float64(out[i+shift])
		}
		if sum > best {
			at, best = shift, sum
		}
	}
	return append(slices.Clone(out[at:]), make([]int16, at)...)
}
