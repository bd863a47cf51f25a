package call

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// RFC 3550, Section 6.3.1: "The calculated interval T is set to a number
// uniformly distributed between 0.5 and 1.5 times the deterministic calculated
// interval. The resulting value of T is divided by e-3/2=1.21828".
func TestReportInterval(t *testing.T) {
	var sum time.Duration
	const n = 10000
	for range n {
		d := reportInterval(false)
		if d < 2050*time.Millisecond || d > 6160*time.Millisecond {
			t.Fatalf("interval %v", d)
		}
		if first := reportInterval(true); first < 1020*time.Millisecond || first > 3080*time.Millisecond {
			t.Fatalf("first interval %v", first)
		}
		sum += d
	}
	if mean := sum / n; mean < 4000*time.Millisecond || mean > 4200*time.Millisecond {
		t.Errorf("mean interval %v, want 4.1 s", mean)
	}
}

// RFC 7022, Section 4.2: a short-term persistent CNAME has at least 96 bits of
// randomness, in Base64, and is new for each call.
func TestCNAME(t *testing.T) {
	a, err := newCNAME(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newCNAME(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(a) != 16 || a == b {
		t.Errorf("CNAMEs %q, %q", a, b)
	}
}

func TestNTPTime(t *testing.T) {
	// 2000-01-01 is 36,524 days after 1900-01-01.
	at := time.Date(2000, 1, 1, 0, 0, 0, 500_000_000, time.UTC)
	if got, want := ntpTime(at), uint64(36524*86400)<<32|1<<31; got != want {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestReception(t *testing.T) {
	var r reception
	seq := uint16(65530)
	for i := range 100 {
		lost := i == 20 || i == 21 || i == 30 || i == 40
		if !lost {
			r.count(seq)
		}
		if i == 50 {
			r.count(seq - 3) // a duplicate counts as received (RFC 3550, A.3)
		}
		seq++
	}
	if r.expected() != 100 || r.received != 97 || r.lost() != 3 {
		t.Errorf("expected %d, received %d, lost %d", r.expected(), r.received, r.lost())
	}
	block := r.report(42)
	if block.SSRC != 42 || block.TotalLost != 3 || block.FractionLost != 3*256/100 {
		t.Errorf("report %+v", block)
	}
	if want := uint32(1<<16 + 93); block.LastSequenceNumber != want {
		t.Errorf("highest %d, want %d", block.LastSequenceNumber, want)
	}
	if again := r.report(42); again.FractionLost != 0 {
		t.Errorf("an interval without packets reports loss %d", again.FractionLost)
	}
}

// RFC 3550, Section 6.4.1: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16.
func TestJitter(t *testing.T) {
	var r reception
	for i := range 1000 {
		late := uint32(i%2) * 80 // every other packet 10 ms late
		r.time(uint32(i*160), uint32(i*160)+late)
	}
	if r.jitter < 79 || r.jitter > 81 {
		t.Errorf("jitter %.1f samples, want 80", r.jitter)
	}
}

// Timestamps that leap by hours, as far as they can, are no jitter, which is not
// negative either.
func TestJitterOfLeaps(t *testing.T) {
	for _, leap := range []uint32{1 << 31, 1<<31 + 1, 1 << 30, 4 * 3600 * 8000, 1<<32 - 4*3600*8000} {
		var r reception
		for i := range 100 {
			r.time(uint32(i*160)+uint32(i/10)*leap, uint32(i*160))
		}
		if r.jitter != 0 {
			t.Errorf("a leap of %d samples: jitter %v", leap, r.jitter)
		}
	}
}

// RFC 3550, Appendix A.1: what leaves out more than 3000 numbers has begun anew.
func TestReceptionLeaps(t *testing.T) {
	var r reception
	seq := uint16(7)
	for i := range 1000 {
		seq++
		if i%10 == 0 {
			seq += 30_000 // three thousand times around would be 2^32
		}
		r.count(seq)
	}
	if r.lost() != 0 || r.expected() != 1000 {
		t.Errorf("expected %d, lost %d of 1000 that came", r.expected(), r.lost())
	}
}

func TestBucket(t *testing.T) {
	b := bucket{rate: finiteFieldRate, burst: finiteFieldRate}
	now := time.Unix(1000, 0)
	taken := 0
	for range 10_000 { // ten seconds, a thousand attempts in each
		if b.take(now) {
			taken++
		}
		now = now.Add(time.Millisecond)
	}
	if want := 11 * finiteFieldRate; taken < want-2 || taken > want {
		t.Errorf("%d in 10 s, want %d and a burst of as many", taken, finiteFieldRate)
	}
}

// Packet types that are not known are passed over (RFC 3550, Section 6.1: they
// may be extensions), and what is known beside them counts.
func TestUnknownSubpacket(t *testing.T) {
	sr, _ := (&rtcp.SenderReport{SSRC: 1}).Marshal()
	bye, _ := (&rtcp.Goodbye{Sources: []uint32{1}}).Marshal()
	feedback := []byte{0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 'L', 'I', 'N', 'P', 0, 0, 0, 0} // RFC 4585, Section 6.4
	packets, err := unmarshal(slices.Concat(sr, feedback, bye))
	if err != nil || len(packets) != 2 {
		t.Errorf("%v, %v", packets, err)
	}
	for _, bad := range [][]byte{sr[:10], append(slices.Clone(sr), 1, 2, 3), {0x80, 200, 0xff, 0xff}} {
		if _, err := unmarshal(bad); err == nil {
			t.Errorf("%x is taken", bad)
		}
	}
}
