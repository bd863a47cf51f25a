package call

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	mrand "math/rand/v2"
	"time"

	"github.com/pion/rtcp"

	"securecall/audio"
)

// RTCP (RFC 3550, Section 6), always inside SRTCP and on the port of the
// media (RFC 5761).

// reportInterval is the time to the next report: 5 s for a session of two,
// half of that before the first, times a random half to one and a half, by
// e-3/2 (RFC 3550, Sections 6.2 and 6.3.1).
func reportInterval(first bool) time.Duration {
	t := 5 * time.Second
	if first {
		t /= 2
	}
	return time.Duration(float64(t) * (0.5 + mrand.Float64()) / (2.71828 - 1.5))
}

// newCNAME is a short-term persistent CNAME of one call: 96 random bits
// (RFC 7022, Section 4.2).
func newCNAME(r io.Reader) (string, error) {
	var b [12]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b[:]), nil
}

// ntpTime is t as an NTP timestamp (RFC 3550, Section 4): seconds since 1900
// and a 32-bit fraction.
func ntpTime(t time.Time) uint64 {
	const since1900 = 2208988800
	ns := uint64(t.UnixNano()) + since1900*1e9
	return ns/1e9<<32 | (ns%1e9)<<32/1e9
}

// ntp is the time of now by a clock that nobody sets: that of the wall when the media began,
// and what has passed since. A wall clock that is set in mid-call would make a round trip of
// hours, here or at the peer.
func (m *media) ntp(now time.Time) uint64 { return ntpTime(m.begun.Add(now.Sub(m.begun))) }

// middle is the middle 32 bits of an NTP timestamp, in 1/65536 s.
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// reception counts what arrives of one stream (RFC 3550, Appendix A). Every
// packet has been authenticated, so that probation is not needed.
type reception struct {
	started  bool
	base     uint32 // first extended sequence number
	highest  uint32 // highest extended sequence number
	received uint32
	timed    bool
	transit  uint32  // of the last packet, in samples
	jitter   float64 // in samples (A.8)

	expectedPrior, receivedPrior uint32
}

// maxDropout is how many numbers a stream may leave out; where it leaps further its
// sender has begun anew and nothing was lost (RFC 3550, Appendix A.1, MAX_DROPOUT).
const maxDropout = 3000

// count takes in the number of one packet, whatever is in it.
func (r *reception) count(seq uint16) {
	if !r.started {
		// A whole cycle of room below, for packets that come before the first.
		r.started, r.base, r.highest = true, 1<<16|uint32(seq), 1<<16|uint32(seq)
	}
	r.received++
	if step := int16(seq - uint16(r.highest)); step > 0 {
		r.highest += uint32(step)
		if step > maxDropout {
			r.base += uint32(step) - 1
		}
	} else if ext := r.highest + uint32(int32(step)); ext < r.base {
		r.base = ext
	}
}

// leapt is by how much timestamps have leapt, and no path was late: 10 s.
const leapt = 10 * audio.SampleRate

// time takes in the timestamp of one packet of sound that arrived at the moment
// arrival, both in samples.
func (r *reception) time(timestamp, arrival uint32) {
	transit := arrival - timestamp
	if d := math.Abs(float64(int32(transit - r.transit))); r.timed && d < leapt {
		r.jitter += (d - r.jitter) / 16
	}
	r.timed, r.transit = true, transit
}

func (r *reception) expected() uint32 {
	if !r.started {
		return 0
	}
	return r.highest - r.base + 1
}

// lost is the number of packets that should have come and did not.
func (r *reception) lost() uint32 {
	if e := r.expected(); e > r.received {
		return e - r.received
	}
	return 0
}

// report is the reception report block about the peer's stream, and begins
// the next interval (A.3).
func (r *reception) report(ssrc uint32) rtcp.ReceptionReport {
	expected := r.expected() - r.expectedPrior
	received := r.received - r.receivedPrior
	r.expectedPrior, r.receivedPrior = r.expected(), r.received
	var fraction uint8
	if expected > received {
		fraction = uint8(min(255, (expected-received)*256/expected))
	}
	return rtcp.ReceptionReport{
		SSRC:               ssrc,
		FractionLost:       fraction,
		TotalLost:          min(r.lost(), 1<<23-1),
		LastSequenceNumber: r.highest - 1<<16,
		Jitter:             uint32(r.jitter),
	}
}
