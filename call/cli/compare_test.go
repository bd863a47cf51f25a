package cli

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"securecall/call"
)

// murmur is n samples of something that is never twice the same.
func murmur(n int) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(8000*math.Sin(float64(i)/20)) + int16(r.IntN(2000))
	}
	return s
}

func TestCompare(t *testing.T) {
	said := murmur(8000)
	late := append(make([]int16, 777), said...)
	if exact, correlation := compare(said, late); exact != 1 || correlation < 0.9999 {
		t.Errorf("late: %.3f exact, correlation %.4f", exact, correlation)
	}
	holed := append(make([]int16, 77), said...)
	clear(holed[2000:2160])
	if exact, correlation := compare(said, holed); math.Abs(exact-0.98) > 0.001 || correlation > 0.999 || correlation < alike {
		t.Errorf("with a frame lost: %.3f exact, correlation %.4f", exact, correlation)
	}
	slipped := append(append(append(make([]int16, 77), said[:4000]...), make([]int16, 160)...), said[4000:]...)
	if exact, correlation := compare(said, slipped); exact < 0.7 || correlation < 0.7 {
		t.Errorf("after a slip: %.3f exact, correlation %.4f", exact, correlation)
	}
	if exact, correlation := compare(said, murmur(4000)); math.Abs(exact-0.5) > 0.001 || correlation > 0.8 {
		t.Errorf("half: %.3f exact, correlation %.4f", exact, correlation)
	}
	for name, heard := range map[string][]int16{"nothing": nil, "silence": make([]int16, 8000)} {
		if exact, correlation := compare(said, heard); exact != 0 || correlation != 0 {
			t.Errorf("%s: %.3f exact, correlation %.4f", name, exact, correlation)
		}
	}
}

// ITU-T G.107 at its default values gives R = 93.2, MOS 4.41; G.711 with loss
// concealment at 2 % loss is about 4.2, and half a second of delay is felt.
func TestMOS(t *testing.T) {
	for _, c := range []struct {
		name      string
		s         call.Stats
		low, high float64
	}{
		{"nothing heard", call.Stats{}, 0, 0},
		{"perfect", call.Stats{Received: 1}, 4.38, 4.42},
		{"2 % lost", call.Stats{Received: 1, Loss: 2}, 4.1, 4.3},
		{"slow", call.Stats{Received: 1, RTT: time.Second}, 2.8, 3.4},
		{"all lost", call.Stats{Received: 1, Loss: 100, RTT: 3 * time.Second}, 1, 1},
	} {
		if got := mos(c.s); got < c.low || got > c.high {
			t.Errorf("%s: %.2f, want %.2f to %.2f", c.name, got, c.low, c.high)
		}
	}
}
