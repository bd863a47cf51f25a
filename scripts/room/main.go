// Room is a room with a loudspeaker and a microphone in it, for room.sh: what the one
// plays, on stdin, the other hears, on stdout: 16-bit samples of the machine's order, mono
// at 8 kHz. Between them are the way through the air and the devices, reverberation, and
// the noise of the microphone itself.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"

	"securecall/audio"
)

const (
	delay  = 45 * audio.SampleRate / 1000  // beside what the sound server has of its own
	reverb = 200 * audio.SampleRate / 1000 // until it is 60 dB weaker: a small office
	gain   = 0.5                           // of the echo: -6 dB
	noise  = 3.0                           // RMS in the microphone: -81 dBov
)

func main() {
	fmt.Fprintln(os.Stderr, "room:", run(os.Stdin, os.Stdout))
	os.Exit(1)
}

// run returns why it ended.
func run(in io.Reader, out io.Writer) error {
	r := newRoom()
	f := make(audio.Frame, audio.FrameSamples)
	for {
		if err := binary.Read(in, binary.NativeEndian, f); err != nil {
			return err
		}
		r.hear(f)
		if err := binary.Write(out, binary.NativeEndian, f); err != nil {
			return err
		}
	}
}

// A room is direct sound and exponentially decaying noise (Polack's model).
type room struct {
	response [reverb]float64 // newest first
	past     [delay + reverb + audio.FrameSamples]float64
	random   *rand.Rand
}

func newRoom() *room {
	r := &room{random: rand.New(rand.NewPCG(1, 2))}
	sum := 0.0
	for i := range r.response {
		r.response[i] = 0.3 * r.random.NormFloat64() * math.Pow(10, -3*float64(i)/reverb)
		if i == 0 {
			r.response[i] = 1
		}
		sum += r.response[i] * r.response[i]
	}
	for i := range r.response {
		r.response[i] *= gain / math.Sqrt(sum)
	}
	return r
}

// hear makes of what is played what the microphone hears, in place.
func (r *room) hear(pcm []int16) {
	copy(r.past[:], r.past[len(pcm):])
	now := len(r.past) - len(pcm)
	for i, v := range pcm {
		r.past[now+i] = float64(v)
	}
	for i := range pcm {
		sum := noise * r.random.NormFloat64()
		for j, h := range r.response {
			sum += h * r.past[now+i-delay-j]
		}
		pcm[i] = int16(max(-32768, min(32767, math.Round(sum))))
	}
}
