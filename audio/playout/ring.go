package playout

import "bytes"

const (
	ringSize = 1 << 14          // samples, two seconds
	past     = ringSize * 3 / 8 // how much of what was played is kept: 768 ms
	reach    = ringSize / 2     // a packet this far ahead of what is played is taken: one second
)

// ring holds the samples from a while ago to a while ahead, each at the place
// that its timestamp says (RFC 3550, Section 5.1).
type ring struct {
	pcm    [ringSize]int16
	came   [ringSize]byte // 1: the sample is there
	oldest uint32         // the timestamp from which on it holds ringSize samples
}

// clear forgets everything and holds samples from oldest on.
func (r *ring) clear(oldest uint32) {
	clear(r.came[:])
	r.oldest = oldest
}

// forget drops what is before oldest, which makes room at the other end.
func (r *ring) forget(oldest uint32) {
	n := int(int32(oldest - r.oldest))
	if n <= 0 {
		return
	}
	for a, b := range r.parts(r.oldest, min(n, ringSize)) {
		clear(r.came[a:b])
	}
	r.oldest = oldest
}

// parts yields the one or two ranges of places that n samples from timestamp
// on have.
func (r *ring) parts(timestamp uint32, n int) func(yield func(a, b int) bool) {
	return func(yield func(a, b int) bool) {
		at := int(timestamp % ringSize)
		if end := at + n; end <= ringSize {
			yield(at, end)
		} else if yield(at, ringSize) {
			yield(0, end-ringSize)
		}
	}
}

// holds tells whether there is a place for all of n samples from timestamp on.
func (r *ring) holds(timestamp uint32, n int) bool {
	at := int(int32(timestamp - r.oldest))
	return at >= 0 && at+n <= ringSize
}

// store puts pcm in its place.
func (r *ring) store(timestamp uint32, pcm []int16) {
	for a, b := range r.parts(timestamp, len(pcm)) {
		n := copy(r.pcm[a:b], pcm)
		pcm = pcm[n:]
		for i := range r.came[a:b] {
			r.came[a+i] = 1
		}
	}
}

// fill puts those samples of pcm in their place that are not there, and says
// how many.
func (r *ring) fill(timestamp uint32, pcm []int16) (filled int) {
	for a, b := range r.parts(timestamp, len(pcm)) {
		for at := a; at < b; at++ {
			if r.came[at] == 0 {
				r.pcm[at], r.came[at] = pcm[at-a], 1
				filled++
			}
		}
		pcm = pcm[b-a:]
	}
	return filled
}

// read copies samples into pcm; they must be there.
func (r *ring) read(pcm []int16, timestamp uint32) {
	for a, b := range r.parts(timestamp, len(pcm)) {
		pcm = pcm[copy(pcm, r.pcm[a:b]):]
	}
}

// run is how many samples in a row from timestamp on are there, n at most.
func (r *ring) run(timestamp uint32, n int) int { return r.until(timestamp, n, 0) }

// hole is how many in a row are not.
func (r *ring) hole(timestamp uint32, n int) int { return r.until(timestamp, n, 1) }

func (r *ring) until(timestamp uint32, n int, state byte) (length int) {
	for a, b := range r.parts(timestamp, n) {
		if i := bytes.IndexByte(r.came[a:b], state); i >= 0 {
			return length + i
		}
		length += b - a
	}
	return length
}
