package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"securecall/audio"
)

// read reads FILE.wav, FILE.raw, FILE.raw:N/M or FILE.hex.
func read(spec string) ([]float64, error) {
	name, channels, found := strings.Cut(spec, ":")
	channel, of := 0, 1
	if found {
		if _, err := fmt.Sscanf(channels, "%d/%d", &channel, &of); err != nil || of < 1 || channel < 0 || channel >= of {
			return nil, fmt.Errorf("%s: no channel", spec)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var pcm []int16
	switch {
	case strings.HasSuffix(name, ".wav"):
		if b, err = wavData(b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pcm = linear(b)
	case strings.HasSuffix(name, ".raw"):
		pcm = linear(b)
	case strings.HasSuffix(name, ".hex"):
		octets, err := hex.DecodeString(strings.Join(strings.Fields(string(b)), ""))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pcm = make([]int16, len(octets))
		audio.PCMU.Decode(pcm, octets)
	default:
		return nil, fmt.Errorf("%s: neither .wav nor .raw nor .hex", name)
	}
	var out []float64
	for i := channel; i < len(pcm); i += of {
		out = append(out, float64(pcm[i]))
	}
	return out, nil
}

func linear(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

// wavHeader is all that precedes the samples in the files that we write.
type wavHeader struct {
	RIFF     [4]byte
	Size     uint32
	WAVE     [4]byte
	Fmt      [4]byte
	FmtSize  uint32
	Format   uint16
	Channels uint16
	Rate     uint32
	Octets   uint32 // a second
	Block    uint16
	Bits     uint16
	Data     [4]byte
	DataSize uint32
}

func writeWAV(name string, pcm []int16) error {
	var b bytes.Buffer
	n := uint32(2 * len(pcm))
	err := binary.Write(&b, binary.LittleEndian, wavHeader{
		[4]byte{'R', 'I', 'F', 'F'},
		36 + n,
		[4]byte{'W', 'A', 'V', 'E'},
		[4]byte{'f', 'm', 't', ' '},
		16, 1, 1, audio.SampleRate, 2 * audio.SampleRate, 2, 16,
		[4]byte{'d', 'a', 't', 'a'},
		n,
	})
	if err == nil {
		err = binary.Write(&b, binary.LittleEndian, pcm)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

// wavData returns the samples of 16-bit mono at 8 kHz; other files are refused.
func wavData(b []byte) ([]byte, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fmt.Errorf("no WAV file")
	}
	fits := false
	for b = b[12:]; len(b) >= 8; {
		id, n := string(b[:4]), min(int(binary.LittleEndian.Uint32(b[4:])), len(b)-8)
		chunk := b[8 : 8+n]
		switch {
		case id == "fmt " && n >= 16:
			fits = binary.LittleEndian.Uint16(chunk[2:]) == 1 &&
				binary.LittleEndian.Uint32(chunk[4:]) == audio.SampleRate &&
				binary.LittleEndian.Uint16(chunk[14:]) == 16
		case id == "data" && fits:
			return chunk, nil
		}
		b = b[min(8+n+n%2, len(b)):]
	}
	return nil, fmt.Errorf("no samples of 16 bits, mono, at 8 kHz")
}
