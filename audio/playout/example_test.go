package playout_test

import (
	"fmt"
	"time"

	"securecall/audio"
	"securecall/audio/playout"
)

// Five packets leave every 20 ms; the third is lost on the way, and its copy comes with the
// fourth. The speaker asks for a frame every 20 ms, and hears all five, a little later.
func Example() {
	buffer := playout.New(playout.Config{})
	begin := time.Unix(0, 0)
	frame := make(audio.Frame, audio.FrameSamples)
	heard := 0
	for n := range 10 {
		now := begin.Add(time.Duration(n) * audio.FrameDuration)
		if n < 5 && n != 2 {
			buffer.Push(now, packet(n))
		}
		if n == 3 {
			lost := packet(2)
			buffer.Recover(now, lost.Timestamp, audio.FrameSamples, lost.Law, lost.Payload)
		}
		if buffer.Pop(now.Add(audio.FrameDuration/2), frame) {
			heard++
		}
	}
	stats := buffer.Stats()
	fmt.Println(heard, "frames heard,", stats.Received, "packets received,", stats.Recovered, "recovered")
	// Output: 5 frames heard, 4 packets received, 1 recovered
}

// packet is the n-th of a steady sound.
func packet(n int) playout.Packet {
	octets := make([]byte, audio.FrameSamples)
	audio.PCMU.Encode(octets, loud[:])
	return playout.Packet{Seq: uint16(n), Timestamp: uint32(n * audio.FrameSamples), Law: audio.PCMU, Payload: octets}
}

var loud = func() (samples [audio.FrameSamples]int16) {
	for i := range samples {
		samples[i] = 4000
	}
	return samples
}()
