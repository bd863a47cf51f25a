package audio_test

import (
	"fmt"
	"time"

	"securecall/audio"
)

// Sound as it travels: one octet a sample, with steps that grow with loudness.
func ExampleLaw_Encode() {
	said := audio.Frame{0, 100, -1000, 8000, 32000}
	octets := make([]byte, len(said))
	audio.PCMU.Encode(octets, said)
	heard := make(audio.Frame, len(octets))
	audio.PCMU.Decode(heard, octets)
	fmt.Printf("% x\n%d\n", octets, heard)
	// Output:
	// ff f2 4e a0 80
	// [0 104 -988 7932 32124]
}

// How much sound a frame and a packet hold.
func ExampleSamples() {
	n := audio.Samples(audio.FrameDuration)
	fmt.Println(n, "samples last", audio.Duration(n))
	// Output: 160 samples last 20ms
}

func ExampleSampleAt() {
	fmt.Println(audio.SampleAt(30 * 24 * time.Hour))
	// Output: 20736000000
}
