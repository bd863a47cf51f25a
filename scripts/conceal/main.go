// Conceal measures packet loss concealment offline: it codes recorded speech
// by G.711, loses 20 ms frames of it, and prints how far what is then heard is
// from what was said, for securecall's concealment, for spandsp's and for
// plain silence.
//
//	conceal [-seconds N] PLC FILE.wav...
//
// PLC is the program of spandsp/plc.c. Files are mono, 16 bit, 8 kHz, and are
// strung together. It exits with status 1 if securecall's is worse than
// spandsp's in any row.
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"securecall/audio"
	"securecall/audio/conceal"
	"securecall/scripts/judge"
)

const (
	frame = audio.FrameSamples
	law   = audio.PCMU
	seeds = 5
)

func main() {
	seconds := flag.Int("seconds", 300, "how much `speech` to use at most")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: conceal [-seconds N] PLC FILE.wav...")
		os.Exit(2)
	}
	worse, err := run(*seconds, flag.Arg(0), flag.Args()[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "conceal:", err)
		os.Exit(2)
	}
	if worse > 0 {
		fmt.Printf("FAIL  worse than spandsp in %d of %d figures\n", worse, 2*len(conditions))
		os.Exit(1)
	}
	fmt.Printf("PASS  no worse than spandsp in any of %d figures\n", 2*len(conditions))
}

// A method stands in for the lost frames of pcm.
type method struct {
	name string
	run  func(pcm []int16, lost []bool) ([]int16, error)
}

// run prints the table and returns in how many of its figures the first
// method is worse than the second.
func run(seconds int, plc string, files []string) (worse int, err error) {
	said, err := judge.Load(files, seconds*audio.SampleRate)
	if err != nil {
		return 0, err
	}
	coded := make([]byte, len(said))
	clean := make([]int16, len(said))
	law.Encode(coded, said)
	law.Decode(clean, coded)

	reference := judge.NewSpectra(judge.Fractions(said), judge.Fractions(clean))
	methods := []method{
		{"securecall", ours},
		{"spandsp", func(pcm []int16, lost []bool) ([]int16, error) { return spandsp(plc, pcm, lost) }},
		{"silence", silence},
	}

	fmt.Printf("%d s of speech; medians of %d seeds\n", len(said)/audio.SampleRate, seeds)
	fmt.Printf("%-16s %-32s  %s\n", "", "log-spectral distance, dB", "segmental SNR, dB")
	fmt.Printf("%-16s", "loss")
	for range 2 {
		for _, m := range methods {
			fmt.Printf("%11s", m.name)
		}
	}
	fmt.Println()
	for _, c := range conditions {
		var distance, snr [3][seeds]float64
		for seed := range seeds {
			lost := c.losses(len(clean)/frame, uint64(seed))
			for i, m := range methods {
				pcm, err := m.run(clean, lost)
				if err != nil {
					return 0, fmt.Errorf("%s: %w", m.name, err)
				}
				heard := judge.Fractions(pcm)
				distance[i][seed] = reference.LogSpectral(heard)
				snr[i][seed] = judge.SegmentalSNR(judge.Fractions(said), heard)
			}
		}
		fmt.Printf("%-16s", c.name)
		for i := range methods {
			fmt.Printf("%11.3f", median(distance[i]))
		}
		for i := range methods {
			fmt.Printf("%11.2f", median(snr[i]))
		}
		fmt.Println()
		if median(distance[0]) > median(distance[1]) {
			worse++
		}
		if median(snr[0]) < median(snr[1]) {
			worse++
		}
	}
	return worse, nil
}

func median(x [seeds]float64) float64 {
	slices.Sort(x[:])
	return x[seeds/2]
}

// ours is what securecall plays.
func ours(pcm []int16, lost []bool) ([]int16, error) {
	var c conceal.Concealer
	heard := slices.Clone(pcm)
	for i, l := range lost {
		f := heard[i*frame : (i+1)*frame]
		if l {
			c.Missing(f)
		} else {
			c.Heard(f)
		}
	}
	return heard, nil
}

// spandsp is what its program plc plays.
func spandsp(plc string, pcm []int16, lost []bool) ([]int16, error) {
	in := make([]byte, 0, 2*(len(pcm)+len(lost)))
	for i, l := range lost {
		flag, f := uint16(0), pcm[i*frame:(i+1)*frame]
		if l {
			flag, f = 1, make([]int16, frame)
		}
		in = binary.NativeEndian.AppendUint16(in, flag)
		for _, s := range f {
			in = binary.NativeEndian.AppendUint16(in, uint16(s))
		}
	}
	cmd := exec.Command(plc)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	if len(out) != 2*len(pcm) {
		return nil, fmt.Errorf("%d samples came back for %d", len(out)/2, len(pcm))
	}
	heard := make([]int16, len(pcm))
	for i := range heard {
		heard[i] = int16(binary.NativeEndian.Uint16(out[2*i:]))
	}
	return heard, nil
}

// silence is nothing in place of what is missing.
func silence(pcm []int16, lost []bool) ([]int16, error) {
	heard := slices.Clone(pcm)
	for i, l := range lost {
		if l {
			clear(heard[i*frame : (i+1)*frame])
		}
	}
	return heard, nil
}
