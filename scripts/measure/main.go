// Measure compares what was said with what was heard, for the scripts.
//
//	measure speech OUT.wav         write the program's own speech
//	measure alike SAID HEARD       print how alike they are and how much later HEARD is
//
// Sound is mono at 8 kHz: FILE.wav (16 bit), FILE.raw (16 bit little-endian),
// FILE.hex (µ-law in hexadecimal, as tshark prints payloads). FILE.raw:N/M is
// channel N, from 0, of M that alternate.
package main

import (
	"fmt"
	"os"

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
	case len(args) == 2 && args[0] == "speech":
		return writeWAV(args[1], speech.Samples())
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
	return fmt.Errorf("usage: measure speech OUT.wav | measure alike SAID HEARD")
}

func ms(samples int) float64 { return float64(samples) / 8 }
