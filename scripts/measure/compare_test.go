package main

import (
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
	m, err = compare(said, noise(2, 22000))
	if err != nil || m.correlation > 0.2 {
		t.Errorf("other noise: %+v, %v", m, err)
	}
	if _, err := compare(said, said[:window-1]); err == nil {
		t.Error("too little was heard, and compared")
	}
}
