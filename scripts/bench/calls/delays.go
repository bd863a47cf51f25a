//go:build linux

package main

import (
	"sync/atomic"
	"time"
)

// packet is how late, in ms, is late: what is sent then should have been followed by
// another one.
const packet = 20

// measuring: all calls talk.
var measuring atomic.Bool

// delays counts by whole milliseconds, the last one all that are longer.
type delays [200]uint64

func (d *delays) note(delay time.Duration) {
	if measuring.Load() {
		d[min(max(0, delay.Milliseconds()), int64(len(d)-1))]++
	}
}

func (d *delays) add(more *delays) {
	for i, n := range more {
		d[i] += n
	}
}

func (d *delays) total() (n uint64) {
	for _, count := range d {
		n += count
	}
	return n
}

// beyond is how many percent were longer.
func (d *delays) beyond(ms int) float64 {
	n := uint64(0)
	for _, count := range d[ms:] {
		n += count
	}
	return 100 * float64(n) / float64(max(1, d.total()))
}

// within is how many ms so many percent were within.
func (d *delays) within(percent uint64) int {
	n, total := uint64(0), d.total()
	for ms, count := range d {
		if n += count; 100*n >= percent*total {
			return ms + 1
		}
	}
	return len(d)
}
