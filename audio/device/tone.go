package device

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"securecall/audio"
)

// toneLevel is the level of a tone: an amplitude of -12 dBFS.
const toneLevel = -12

// openTone opens tone:HZ, a sine.
func openTone(spec string, o Options) (audio.Source, error) {
	hz, err := strconv.ParseFloat(strings.TrimPrefix(spec, "tone:"), 64)
	if err != nil || !(hz >= 1 && hz <= audio.SampleRate/2-1) {
		return nil, &Error{
			Spec: spec,
			Err:  errors.New("not a tone of 1 to 3999 Hz"),
			Hint: "try tone:440",
		}
	}
	amplitude := math.MaxInt16 * math.Pow(10, toneLevel/20.0)
	turn := hz / audio.SampleRate // of the circle, a sample
	at := 0.0
	return newPacedSource(func(f audio.Frame) error {
		for i := range f {
			f[i] = int16(math.Round(amplitude * math.Sin(2*math.Pi*at)))
			if at += turn; at >= 1 {
				at--
			}
		}
		return nil
	}, nil, o), nil
}
