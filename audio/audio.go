// Package audio is what a call hears and says: frames of linear sound, where
// they come from and where they go, and the G.711 codec between them and the
// network.
//
// It does no I/O itself; devices, files and pipes are in audio/device, the
// jitter buffer is in audio/playout.
package audio

import "time"

// SampleRate is the rate of all sound inside securecall, in Hz (G.711).
const SampleRate = 8000

// FrameDuration is how much sound one Frame and one RTP packet hold, unless
// shorter ones are asked for.
const FrameDuration = 20 * time.Millisecond

// FrameSamples is the number of samples of such a Frame: fifty frames a second.
const FrameSamples = SampleRate / 50

// A Frame is a piece of mono sound: linear 16-bit samples at 8 kHz, FrameSamples
// of them at most. How many is up to whoever hands it in to be filled, the same
// in all calls.
type Frame []int16

// Samples is how many samples last that long.
func Samples(d time.Duration) int { return int(SampleAt(d)) }

// SampleAt is the number of the sample that is due after d, however many days that is.
func SampleAt(d time.Duration) int64 {
	return int64(d/time.Second)*SampleRate + int64(d%time.Second)*SampleRate/int64(time.Second)
}

// Duration is how long n samples last.
func Duration(n int) time.Duration { return time.Duration(n) * time.Second / SampleRate }

// A Source is a microphone, or whatever stands in for one.
//
// It paces its reader: ReadFrame returns when the next frame is due, at once
// if it already is. One goroutine at a time reads; Close may come from any
// other and ends a ReadFrame that waits.
type Source interface {
	// ReadFrame fills f with what comes next. It returns io.EOF, with f
	// untouched, once what it reads from has ended (each time it is called
	// from then on, without waiting), and any other error when the device is
	// lost.
	ReadFrame(f Frame) error
	Close() error
}

// A Sink is a loudspeaker, or whatever stands in for one.
//
// It paces its writer: WriteFrame returns when there is room for the next
// frame, so that no more than the sink's own latency is ever queued. One
// goroutine at a time writes; Close may come from any other and ends a
// WriteFrame that waits.
type Sink interface {
	// WriteFrame does not keep f.
	WriteFrame(f Frame) error
	// Close plays out nothing more, completes what must be completed (a
	// file's header) and frees the device.
	Close() error
}
