package quota

import (
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"30 then 1 per 3s":          {30, 3 * time.Second},
		" 60  then 20 per 1s":       {60, 50 * time.Millisecond},
		"131072 then 16384 per 1s":  {128 << 10, time.Second / (16 << 10)},
		"1 then 1 per 24h":          {1, 24 * time.Hour},
		"1 then 1 per 1ns":          {1, 1},
		"50000 then 1 per 24h":      {50000, 24 * time.Hour},
		"":                          {},
		"30":                        {},
		"30 then 1":                 {},
		"30 then 1 in 3s":           {},
		"30 and 1 per 3s":           {},
		"30 then 1 per 3s or so":    {},
		"30 then 1 per 3":           {},
		"30 then 1 per -3s":         {},
		"30 then 1 per 0s":          {},
		"0 then 1 per 3s":           {},
		"30 then 0 per 3s":          {},
		"-30 then 1 per 3s":         {},
		"1.5 then 1 per 3s":         {},
		"1 then 2 per 1ns":          {},
		"1 then 1 per 24h1s":        {},
		"60000 then 1 per 24h":      {}, // some 164 years
		"99999999999 then 1 per 1h": {},
	} {
		got, ok := ParseRate(in)
		if got != want || ok != (want != Rate{}) {
			t.Errorf("%q: %+v, %v", in, got, ok)
		}
	}
}

// The largest rates that can be said hold what they say.
func TestLargestRates(t *testing.T) {
	for _, s := range []string{"1 then 1 per 24h", "50000 then 1 per 24h"} {
		r, ok := ParseRate(s)
		var b Bucket
		if !ok || !b.Take(start, r, r.Burst) || b.Take(start, r, 1) || b.Take(start, r, 64<<10) {
			t.Errorf("%s: %v; it lets through what it should not, or not what it should", s, ok)
		}
	}
}
