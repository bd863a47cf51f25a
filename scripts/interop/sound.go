package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"securecall/audio"
)

// inOrder counts the frames of ulaw that were played sample for sample, one
// after the other.
func inOrder(played, ulaw []byte) (n int) {
	for frame := range slices.Chunk(ulaw, audio.FrameSamples) {
		pcm := decoded(frame)
		if i := bytes.Index(played, pcm); i >= 0 {
			n++
			played = played[i+len(pcm):]
		}
	}
	return n
}

// speech is random µ-law octets, but not 0x7f, the zero that no encoder makes.
func speech() []byte {
	b := make([]byte, frames*audio.FrameSamples)
	for i := range b {
		b[i] = byte(rand.IntN(255))
		if b[i] >= 0x7f {
			b[i]++
		}
	}
	return b
}

// wav is a µ-law WAV file (format 7).
func wav(ulaw []byte) []byte {
	var b []byte
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+len(ulaw)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	for _, v := range []uint16{7, 1, 8000, 0, 8000, 0, 1, 8} { // rates are 32 bits wide
		b = le.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(ulaw)))
	return append(b, ulaw...)
}

// decoded is 16-bit little-endian sound.
func decoded(ulaw []byte) []byte {
	pcm := make([]int16, len(ulaw))
	audio.PCMU.Decode(pcm, ulaw)
	var b []byte
	for _, s := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}

// frameNumbers finds the frames of said among those that were heard, in which
// nothing else may be but silence.
func frameNumbers(heard, said []byte) (numbers []int, err error) {
	silence := bytes.Repeat([]byte{0xff}, audio.FrameSamples)
	next := 0
	for at, frame := range slices.Collect(slices.Chunk(heard, audio.FrameSamples)) {
		if bytes.Equal(frame, silence) {
			continue
		}
		i := next
		for i < frames && !bytes.Equal(frame, said[i*audio.FrameSamples:][:audio.FrameSamples]) {
			i++
		}
		if i == frames {
			return nil, fmt.Errorf("in packet %d something that we did not say after frame %d", at, next-1)
		}
		numbers = append(numbers, i)
		next = i + 1
	}
	return numbers, nil
}
