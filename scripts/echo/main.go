// Echo measures acoustic echo cancellation offline: recorded speech is played
// into simulated rooms, and what a microphone there hears goes through
// securecall's canceller and through speexdsp's.
//
//	echo AEC FILE.wav...
//
// AEC is the program of speexdsp/aec.c, which is told the delay of the echo, has
// its best of two lengths of filter, and is forgiven its own delay. It exits with
// status 1 if securecall's takes out less than 30 dB while only the far end speaks
// (less than speexdsp, where the loudspeaker distorts), leaves a worse segmental
// signal-to-noise ratio than speexdsp while both do, or changes anything where
// there is no echo. The log-spectral distance it only shows: speexdsp's
// suppressor, which works on 40 ms and delays by half of that, has the better of it in
// rooms whose reverberation is longer than our filter.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"securecall/audio"
	"securecall/audio/echo"
	"securecall/scripts/judge"
)

const (
	frame  = audio.FrameSamples
	second = audio.SampleRate
	length = 40 * second // of a recording
	learnt = 10 * second // the room is known
	both   = 20 * second // and from here on both speak
	least  = 30.0        // dB
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: echo AEC FILE.wav...")
		os.Exit(2)
	}
	failed, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(2)
	}
	if failed > 0 {
		fmt.Printf("FAIL  in %d rooms\n", failed)
		os.Exit(1)
	}
	fmt.Printf("PASS  %.0f dB and more of the far end alone, and less noise than speexdsp while both speak\n", least)
}

func run(aec string, files []string) (failed int, err error) {
	said, err := judge.Load(files, 2*length)
	if err != nil {
		return 0, err
	}
	if len(said) < 2*length {
		return 0, fmt.Errorf("%d s of speech are too little", len(said)/second)
	}
	far, near := said[:length], slices.Clone(said[length:2*length])
	clear(near[:both])

	fmt.Printf("%-24s %-24s %-32s %s\n", "", "far end alone, dB", "both: near end's distance, dB", "both: segmental SNR, dB")
	fmt.Printf("%-24s", "room")
	for range 3 {
		fmt.Printf(" %11s %11s", "securecall", "speexdsp")
	}
	fmt.Println()
	behind := 0
	for _, r := range rooms {
		heard := r.microphone(far, near)
		ours := cancel(far, heard)
		theirs, err := r.speexdsp(aec, far, heard, near)
		if err != nil {
			return 0, err
		}
		a, b := measure(near, heard, ours), measure(near, heard, theirs)
		fmt.Printf("%-24s %11.1f %11.1f %11.2f %11.2f %11.2f %11.2f\n", r.name, a.erle, b.erle, a.distance, b.distance, a.snr, b.snr)
		if a.distance > b.distance {
			behind++
		}
		if a.erle < min(least, r.most(b.erle)) || a.snr < b.snr {
			failed++
		}
	}
	fmt.Printf("the near end's distance is larger than speexdsp's in %d of %d rooms\n", behind, len(rooms))

	// Without an echo, both speak all the time.
	near = said[length : 2*length]
	ours := cancel(far, near)
	theirs, err := speexdsp(aec, 1024, 0, far, near)
	if err != nil {
		return 0, err
	}
	fmt.Printf("%-24s %s\n", "headset (no echo)", fmt.Sprintf("changed samples: securecall %d, speexdsp %d of %d", changed(near, ours), changed(near, theirs), len(near)))
	if changed(near, ours) > 0 {
		failed++
	}
	return failed, nil
}

// figures is how well an echo was cancelled.
type figures struct {
	erle          float64 // while only the far end speaks and the room is known
	distance, snr float64 // of the near end while both speak
}

func measure(near, heard, out []int16) (f figures) {
	f.erle = level(heard[learnt:both]) - level(out[learnt:both])
	said, got := judge.Fractions(near[both:]), judge.Fractions(out[both:])
	f.distance = judge.NewSpectra(said, said).LogSpectral(got)
	f.snr = judge.SegmentalSNR(said, got)
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

// cancel is what securecall makes of what a microphone heard.
func cancel(far, heard []int16) []int16 {
	c, out := echo.New(), slices.Clone(heard)
	for i := 0; i+frame <= len(out); i += frame {
		c.Far(far[i : i+frame])
		c.Near(out[i : i+frame])
	}
	return out
}

// speexdsp is the best that its canceller makes of it, in the sum of decibels.
func (r room) speexdsp(aec string, far, heard, near []int16) (best []int16, err error) {
	most := math.Inf(-1)
	for _, tail := range []int{1024, 2048} {
		out, err := speexdsp(aec, tail, max(0, r.delay-40), far, heard)
		if err != nil {
			return nil, err
		}
		out = align(near[both:], out)
		if m := measure(near, heard, out); m.snr-m.distance > most {
			best, most = out, m.snr-m.distance
		}
	}
	return best, nil
}

// align takes out by how much the preprocessor's overlapping windows delay, which
// is not what is to be compared.
func align(near, out []int16) []int16 {
	at, best := 0, math.Inf(-1)
	for shift := range 2 * frame {
		sum := 0.0
		for i, v := range near[:len(near)-shift] {
			sum += float64(v) * float64(out[both+i+shift])
		}
		if sum > best {
			at, best = shift, sum
		}
	}
	return append(slices.Clone(out[at:]), make([]int16, at)...)
}

func speexdsp(aec string, tail, delay int, far, heard []int16) ([]int16, error) {
	var in []byte
	for i := 0; i+frame <= len(heard); i += frame {
		for _, pcm := range [][]int16{far, heard} {
			for _, v := range pcm[i : i+frame] {
				in = binary.NativeEndian.AppendUint16(in, uint16(v))
			}
		}
	}
	cmd := exec.Command(aec, strconv.Itoa(tail), strconv.Itoa(delay))
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

// level is the power of pcm in dB.
func level(pcm []int16) float64 {
	sum := 1e-9
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm)))
}
