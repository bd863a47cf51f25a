// Measure compares what was said with what was heard, for the scripts.
//
//	measure speech OUT.wav TIMES   write the program's own speech, a second of silence after each time
//	measure alike SAID HEARD       print how alike they are and how much later HEARD is
//
// Sound is mono at 8 kHz: FILE.wav (16 bit), FILE.raw (16 bit little-endian),
// FILE.hex (µ-law in hexadecimal, as tshark prints payloads). FILE.raw:N/M is
// channel N, from 0, of M that alternate.
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"securecall/audio"
	"securecall/audio/speech"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "speech":
		times, err := strconv.Atoi(args[2])
		if err != nil || times < 1 {
			return fmt.Errorf("%s: not a number of times", args[2])
		}
		once := append(speech.Samples(), make([]int16, audio.SampleRate)...)
		return writeWAV(args[1], slices.Repeat(once, times))
	case len(args) == 3 && args[0] == "alike":
		said, err := read(args[1])
		if err != nil {
			return err
		}
		heard, err := read(args[2])
		if err != nil {
			return err
		}
		m, err := compare(said, heard)
		if err != nil {
			return err
		}
		fmt.Printf("correlation %.3f delay_ms %.1f from_ms %.1f to_ms %.1f windows %d\n",
			m.correlation, ms(m.delay), ms(m.least), ms(m.most), m.windows)
		return nil
	}
	return fmt.Errorf("usage: measure speech OUT.wav TIMES | measure alike SAID HEARD")
}

func ms(samples int) float64 { return float64(samples) / 8 }
