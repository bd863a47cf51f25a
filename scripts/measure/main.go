// Measure compares what was said with what was heard, for the scripts.
//
//	measure speech OUT.wav TIMES   write the program's own speech, a second of silence after each time
//	measure part OUT.wav FROM TO [FILE.wav...]
//	                               write seconds FROM to TO of the FILEs in a row, over and
//	                               over, or else of the program's own speech
//	measure alike SAID HEARD       print how alike they are, how much later HEARD is, and for how
//	                               long what is loud in SAID is hardly there
//	measure level SOUND [FROM [TO]]
//	                               print how loud it is, all in all and in its loudest 100 ms, in
//	                               dBov: decibels beside a square wave of full scale (RFC 6464,
//	                               Section 3); of seconds FROM to TO
//
// Sound is mono at 8 kHz: FILE.wav (16 bit), FILE.raw (16 bit little-endian),
// FILE.hex (µ-law in hexadecimal, as tshark prints payloads). FILE.raw:N/M is
// channel N, from 0, of M that alternate.
package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"securecall/audio"
	"securecall/audio/speech"
	"securecall/scripts/judge"
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
	case len(args) >= 4 && args[0] == "part":
		from, to, err := span(args[2:4], math.MaxInt)
		if err != nil {
			return err
		}
		once, err := judge.Load(args[4:], to)
		if err != nil {
			return err
		}
		if len(once) == 0 {
			once = speech.Samples()
		}
		var pcm []int16
		for i := from; i < to; i++ {
			pcm = append(pcm, once[i%len(once)])
		}
		return writeWAV(args[1], pcm)
	case len(args) >= 2 && len(args) <= 4 && args[0] == "level":
		sound, err := read(args[1])
		if err != nil {
			return err
		}
		from, to, err := span(args[2:], len(sound))
		if err != nil {
			return err
		}
		sound = sound[:min(to, len(sound))]
		all, loudest := level(sound[min(from, len(sound)):])
		fmt.Printf("level_dBov %.1f loudest_dBov %.1f\n", all, loudest)
		return nil
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
		fmt.Printf("correlation %.3f delay_ms %.1f from_ms %.1f to_ms %.1f windows %d missing_ms %.0f\n",
			m.correlation, ms(m.delay), ms(m.least), ms(m.most), m.windows, ms(m.missing))
		return nil
	}
	return fmt.Errorf("usage: measure speech OUT.wav TIMES | measure part OUT.wav FROM TO [FILE.wav...] | measure alike SAID HEARD | measure level SOUND [FROM [TO]]")
}

// span reads FROM and TO, in seconds, where they are given.
func span(args []string, end int) (from, to int, err error) {
	to = end
	for i, at := range []*int{&from, &to} {
		if i < len(args) {
			seconds, err := strconv.ParseFloat(args[i], 64)
			if err != nil || seconds < 0 {
				return 0, 0, fmt.Errorf("%s: not a number of seconds", args[i])
			}
			*at = int(seconds * audio.SampleRate)
		}
	}
	return from, to, nil
}

func ms(samples int) float64 { return float64(samples) / 8 }
