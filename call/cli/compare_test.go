package cli

import (
	"math"
	"math/rand/v2"
	"testing"
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
