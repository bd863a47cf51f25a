package quota

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7": "203.0.113.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := Network(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %s", got)
	}
}

func TestBucket(t *testing.T) {
	r := Rate{Burst: 3, Every: time.Second}
	var b Bucket
	count := func(now time.Time, n int) (got int) {
		for range 10 {
			if b.Take(now, r, n) {
				got++
			}
		}
		return got
	}
	for i, step := range []struct {
		after time.Duration
		n     int
		want  int
	}{{0, 1, 3}, {999 * time.Millisecond, 1, 0}, {time.Second, 1, 1}, {time.Minute, 1, 3}, {2 * time.Minute, 2, 1}, {3 * time.Minute, 4, 0}} {
		if got := count(start.Add(step.after), step.n); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
	now := start.Add(time.Hour)
	count(now, 1)
	b.Give(r, 1)
	if got := count(now, 1); got != 1 {
		t.Errorf("after one was given back: %d", got)
	}
	if b.Idle(now) || !b.Idle(now.Add(3*time.Second)) {
		t.Error("Idle")
	}
	// Giving back more than was taken is no credit for later.
	b.Give(r, 100)
	if got := count(now, 1); got != 3 {
		t.Errorf("after too many were given back: %d", got)
	}
}

const (
	kindRate Kind = iota
	kindHeld
)

func TestTable(t *testing.T) {
	table := NewTable([]Rate{{Burst: 2, Every: time.Minute}, {}}, []int{0, 2})
	a, sameAs, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff"), netip.MustParseAddr("2001:db8:0:1::1")
	if !table.Take(start, kindRate, a) || !table.Take(start, kindRate, sameAs) || table.Take(start, kindRate, a) || !table.Take(start, kindRate, other) {
		t.Error("Take")
	}
	table.Give(kindRate, a)
	if !table.Take(start, kindRate, a) {
		t.Error("Give")
	}
	one, two := table.Hold(start, kindHeld, a), table.Hold(start, kindHeld, sameAs)
	if one == nil || two == nil || table.Hold(start, kindHeld, a) != nil {
		t.Fatal("Hold")
	}
	one()
	one()
	if table.Hold(start, kindHeld, a) == nil || table.Hold(start, kindHeld, a) != nil {
		t.Error("what was given back twice counts once")
	}
}

// Whoever comes from ever new addresses takes no memory without bound, shares
// one allowance when it is used up, and takes nothing from those who are known.
func TestFullTable(t *testing.T) {
	table := NewTable([]Rate{{Burst: 1, Every: time.Hour}, {}}, []int{0, 1})
	known := netip.MustParseAddr("203.0.113.1")
	release := table.Hold(start, kindHeld, known)
	for i := range tableSize + 1000 {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if got, want := table.Take(start, kindRate, a), i <= tableSize-1; got != want && i != tableSize-1 {
			t.Fatalf("address %d: %v", i, got)
		}
	}
	if len(table.by) != tableSize {
		t.Errorf("%d networks are kept", len(table.by))
	}
	if table.Hold(start, kindHeld, known) != nil {
		t.Error("who was known is forgotten")
	}
	release()
	later := start.Add(2 * time.Hour)
	if !table.Take(later, kindRate, netip.MustParseAddr("198.51.100.1")) || len(table.by) != 1 {
		t.Errorf("%d networks are kept when all are idle", len(table.by))
	}
}

func TestAnnouncer(t *testing.T) {
	var out bytes.Buffer
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	for _, addresses := range []bool{false, true} {
		n := NewAnnouncer(slog.New(plain), addresses)
		for i := range 100 {
			n.Hit(start.Add(time.Duration(i)*time.Second), "Frames", netip.MustParseAddr("203.0.113.1"))
		}
		n.Hit(start, "Queue", netip.Addr{})
	}
	line := func(limit string, times int, more string) string {
		return fmt.Sprintf("level=WARN msg=\"limit reached\" limit=%s times=%d%s\n", limit, times, more)
	}
	var want strings.Builder
	for _, more := range []string{"", " network=203.0.113.1/32"} {
		want.WriteString(line("Frames", 1, more) + line("Frames", 60, more) + line("Queue", 1, ""))
	}
	if out.String() != want.String() {
		t.Errorf("got\n%swant\n%s", out.String(), want.String())
	}
}
