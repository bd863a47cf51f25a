package srtp

import (
	"bytes"
	"testing"

	"github.com/pion/rtp"
)

// What is newer, what is late and what came before, across a wrap of the
// sequence number.
func TestProgress(t *testing.T) {
	a, b := newPair(t, "AES1", "HS32", 16)
	var packets [][]byte
	for seq := range 1<<16 + 300 {
		p := mustAppendRTP(t, a, uint16(seq), []byte{byte(seq)})
		if seq > 1<<16-300 {
			packets = append(packets, bytes.Clone(p))
		} else if seq%20000 == 0 { // so that the rollover is not missed
			if _, err := b.OpenRTP(nil, p, new(rtp.Header)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, n := range []int{10, 11, 13, 12, 298, 299, 300, 301, 305, 304, 330, 400} {
		before := b.NewestRTP()
		if _, err := b.OpenRTP(nil, packets[n], new(rtp.Header)); err != nil {
			t.Fatalf("packet %d: %v", n, err)
		}
		if newer := b.NewestRTP() > before; newer != (n != 12 && n != 304) {
			t.Errorf("packet %d, the %d-th: newer is %v", n, i, newer)
		}
	}
	for n, want := range map[int]bool{400: true, 304: true, 10: false} { // 330 has its place
		if b.RepeatRTP(packets[n]) != want {
			t.Errorf("packet %d: known is %v", n, !want)
		}
	}
	forged := bytes.Clone(packets[400])
	forged[len(forged)-1] ^= 1
	if _, err := b.OpenRTP(nil, forged, new(rtp.Header)); err != ErrReplay || b.RepeatRTP(forged) {
		t.Errorf("somebody else's packet of a number that came: %v, known", err)
	}
	before := b.NewestRTP()
	forged = bytes.Clone(packets[401])
	forged[len(forged)-1] ^= 1
	if _, err := b.OpenRTP(nil, forged, new(rtp.Header)); err != ErrAuth || b.NewestRTP() != before {
		t.Errorf("a forged packet: %v, newest %d after %d", err, b.NewestRTP(), before)
	}
}

func TestProgressOfRTCP(t *testing.T) {
	a, b := newPair(t, "AES1", "HS80", 16)
	var packets [][]byte
	for range 4 {
		p, err := a.AppendRTCP(nil, report())
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
	if b.NewestRTCP() != 0 || b.RepeatRTCP(packets[0]) || b.RepeatRTP(packets[0]) {
		t.Error("something has come already")
	}
	for _, n := range []int{0, 2, 1, 3} {
		before := b.NewestRTCP()
		if _, err := b.OpenRTCP(nil, packets[n]); err != nil {
			t.Fatal(err)
		}
		if newer := b.NewestRTCP() > before; newer != (n != 1) {
			t.Errorf("packet %d: newer is %v", n, newer)
		}
		if !b.RepeatRTCP(packets[n]) {
			t.Errorf("packet %d is not known again", n)
		}
	}
	packets[3][len(packets[3])-1] ^= 1
	if b.RepeatRTCP(packets[3]) {
		t.Error("somebody else's is known")
	}
}
