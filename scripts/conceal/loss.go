package main

import "math/rand/v2"

// A condition is how frames are lost: rate of them, and runs of so many on
// average. A run of 1 stands for independent losses.
type condition struct {
	name string
	rate float64
	run  float64
}

var conditions = []condition{
	{"1 %", 0.01, 1},
	{"3 %", 0.03, 1},
	{"5 %", 0.05, 1},
	{"10 %", 0.10, 1},
	{"20 %", 0.20, 1},
	{"5 % in bursts", 0.05, 4},
	{"10 % in bursts", 0.10, 4},
}

// losses draws which of n frames are lost; one seed gives one pattern.
//
// Bursts are of Gilbert's two-state model: a bad state that loses every frame
// and is left with probability 1/run, a good one that loses none.
func (c condition) losses(n int, seed uint64) []bool {
	r := rand.New(rand.NewPCG(seed, 0))
	lost := make([]bool, n)
	leave := 1 / c.run
	enter := leave * c.rate / (1 - c.rate)
	bad := false
	for i := range lost {
		switch x := r.Float64(); {
		case c.run == 1:
			bad = x < c.rate
		case bad:
			bad = x >= leave
		default:
			bad = x < enter
		}
		lost[i] = bad
	}
	return lost
}
