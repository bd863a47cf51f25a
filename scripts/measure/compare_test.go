package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Speech-like noise found again, later and softer; and not found in other noise.
func TestCompare(t *testing.T) {
	noise := func(seed uint64, n int) []float64 {
		r := rand.New(rand.NewPCG(seed, 0))
		s, x := make([]float64, n), 0.0
		for i := range s {
			x = 0.8*x + 1000*r.NormFloat64()
			s[i] = x
		}
		return s
	}
	said := noise(1, 20000)
	heard := pad(said, 1234, 777)
	for i := range heard {
		heard[i] = heard[i]/3 + 5
	}
	m, err := compare(said, heard)
	if err != nil || m.correlation < 0.999 || m.delay != 1234 || m.least != 1234 || m.most != 1234 || m.windows != 5 {
		t.Errorf("delayed by 1234 samples: %+v, %v", m, err)
	}
	if m.missing != 0 {
		t.Errorf("%d samples are missing", m.missing)
	}
	clear(heard[9000:9400]) // 50 ms, of which four pieces at least are whole
	if m, err = compare(said, heard); err != nil || m.correlation < 0.999 || m.missing < 4*piece || m.missing > 5*piece {
		t.Errorf("with a hole of 400 samples: %+v, %v", m, err)
	}
	if m, err = compare(said, heard[:14000]); err != nil || m.missing < 4*piece+window-piece {
		t.Errorf("without its end: %+v, %v", m, err)
	}
	m, err = compare(said, noise(2, 22000))
	if err != nil || m.correlation > 0.2 {
		t.Errorf("other noise: %+v, %v", m, err)
	}
	if _, err := compare(said, said[:window-1]); err == nil {
		t.Error("too little was heard, and compared")
	}
}

func TestLevel(t *testing.T) {
	square := make([]float64, 8000)
	for i := range square {
		square[i] = 32768 * float64(1-2*(i/10%2))
	}
	half := pad(square[:800], 800, 0)
	for i := range half {
		half[i] /= 2
	}
	for what, c := range map[string]struct {
		sound        []float64
		all, loudest float64
	}{
		"full scale":                       {square, 0, 0},
		"half of it, for half of the time": {half, -9.03, -6.02},
		"silence":                          {make([]float64, 8000), -127, -127},
		"nothing":                          {nil, -127, -127},
	} {
		if all, loudest := level(c.sound); math.Abs(all-c.all) > 0.01 || math.Abs(loudest-c.loudest) > 0.01 {
			t.Errorf("%s: %.2f dBov, %.2f in the loudest 100 ms", what, all, loudest)
		}
	}
}
