package judge

import (
	"encoding/binary"
	"fmt"
	"os"

	"securecall/audio"
)

// Load strings the files together, each cut to whole frames, until there are
// most samples.
func Load(files []string, most int) ([]int16, error) {
	var pcm []int16
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		data, err := samples(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pcm = append(pcm, data[:len(data)-len(data)%frame]...)
		if len(pcm) >= most {
			return pcm[:most-most%frame], nil
		}
	}
	return pcm, nil
}

// samples reads a RIFF WAVE file of 16 bits, mono, at 8 kHz; others are refused.
func samples(b []byte) ([]int16, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fmt.Errorf("no WAV file")
	}
	fits := false
	for b = b[12:]; len(b) >= 8; {
		id, n := string(b[:4]), min(int(binary.LittleEndian.Uint32(b[4:])), len(b)-8)
		chunk := b[8 : 8+n]
		switch {
		case id == "fmt " && n >= 16:
			fits = binary.LittleEndian.Uint16(chunk) == 1 &&
				binary.LittleEndian.Uint16(chunk[2:]) == 1 &&
				binary.LittleEndian.Uint32(chunk[4:]) == audio.SampleRate &&
				binary.LittleEndian.Uint16(chunk[14:]) == 16
		case id == "data" && fits:
			pcm := make([]int16, n/2)
			for i := range pcm {
				pcm[i] = int16(binary.LittleEndian.Uint16(chunk[2*i:]))
			}
			return pcm, nil
		}
		b = b[min(8+n+n%2, len(b)):]
	}
	return nil, fmt.Errorf("no samples of 16 bits, mono, at 8 kHz")
}

// Fractions gives samples as fractions of full scale.
func Fractions(pcm []int16) []float64 {
	x := make([]float64, len(pcm))
	for i, s := range pcm {
		x[i] = float64(s) / 32768
	}
	return x
}
