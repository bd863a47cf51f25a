package quality

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// decibel adds powers given in dB.
func decibel(levels ...float64) float64 {
	sum := 0.
	for _, l := range levels {
		sum += math.Pow(10, l/10)
	}
	return 10 * math.Log10(sum)
}

// The constants of this package are what the formulas of G.107, Sections 7.2 to
// 7.4, give for the default values of its Table 2.
func TestDefaultValues(t *testing.T) {
	const (
		slr, rlr, stmr, lstr, ds = 8., 2., 15., 18., 3.
		telr, wepl, qdu          = 65., 110., 1.
		nc, nfor, ps, pr         = -70., -64., 35., 35.
		olr                      = slr + rlr
	)
	pre := pr + 10*math.Log10(1+math.Pow(10, (10-lstr)/10))
	no := decibel(nc,
		ps-slr-ds-100+0.004*math.Pow(ps-olr-ds-14, 2),
		rlr-121+pre+0.008*math.Pow(pre-35, 2),
		nfor+rlr)
	ro := 15 - 1.5*(slr+no)

	xolr := olr + 0.2*(64+no-rlr)
	iolr := 20 * (math.Pow(1+math.Pow(xolr/8, 8), 1./8) - xolr/8)
	stmro := -decibel(-stmr, -telr) // T = 0
	ist := 12*math.Pow(1+math.Pow((stmro-13)/6, 8), 1./8) -
		28*math.Pow(1+math.Pow((stmro+1)/19.4, 35), 1./35) -
		13*math.Pow(1+math.Pow((stmro-3)/33, 13), 1./13) + 29
	q := 37 - 15*math.Log10(qdu)
	g := 1.07 + 0.258*q + 0.0602*q*q
	iq := 15 * math.Log10(1+math.Pow(10, (ro-100)/15+46/8.4-g/9)+math.Pow(10, 46./30-g/40))

	rle := 10.5 * (wepl + 7) // Tr = 0
	idle := (ro-rle)/2 + math.Sqrt(math.Pow((ro-rle)/2, 2)+169)

	r := ro - (iolr + ist + iq) - idle
	if math.Abs(r-basic) > 0.05 {
		t.Errorf("R = %.3f, here %.1f", r, basic)
	}
	if got := (Connection{}).R(); got != basic {
		t.Errorf("the best connection has R = %g", got)
	}
	if math.Abs(no-noise) > 0.01 {
		t.Errorf("No = %.3f, here %.2f", no, noise)
	}
}

func TestMOS(t *testing.T) {
	for r, want := range map[float64]float64{
		// G.107, Table B.1, and the ends.
		90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58,
		93.2: 4.41, 100: 4.5, 120: 4.5, 0: 1, -20: 1, 3: 1,
	} {
		if got := MOS(r); math.Abs(got-want) > 0.007 {
			t.Errorf("R = %g: MOS %.3f, want %.2f", r, got, want)
		}
	}
	if got := MOS(math.NaN()); got != 1 {
		t.Errorf("MOS of nothing: %g", got)
	}
}

// Ie,eff = Ie + (95-Ie) Ppl/(Ppl/BurstR + Bpl) (G.107, equation 7-29), and Idd
// (7-27), worked out by hand.
func TestImpairments(t *testing.T) {
	for name, c := range map[string]struct {
		Connection
		less float64 // than the best R
	}{
		"nothing":            {Connection{}, 0},
		"2 % at random":      {Connection{Loss: 2}, 95 * 2 / 27.1},
		"2 %, ratio 1":       {Connection{Loss: 2, BurstRatio: 1}, 95 * 2 / 27.1},
		"2 % in bursts":      {Connection{Loss: 2, BurstRatio: 2}, 95 * 2 / 26.1},
		"2 %, silent":        {Connection{Loss: 2, Silent: true}, 95 * 2 / 6.3},
		"all lost":           {Connection{Loss: 100}, 95 * 100 / 125.1},
		"nonsense":           {Connection{Loss: -3, BurstRatio: -1, Echo: -5, Delay: -time.Second}, 0},
		"100 ms":             {Connection{Delay: 100 * time.Millisecond}, 0},
		"200 ms":             {Connection{Delay: 200 * time.Millisecond}, 25 * (math.Pow(2, 1./6) - 3*math.Pow(1+math.Pow(3, -6), 1./6) + 2)},
		"400 ms and 2 %":     {Connection{Delay: 400 * time.Millisecond, Loss: 2}, 25*(math.Pow(65, 1./6)-3*math.Pow(1+64./729, 1./6)+2) + 95*2/27.1},
		"echo without delay": {Connection{Echo: 20}, 0},
	} {
		if got, want := c.R(), basic-c.less; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: R = %.4f, want %.4f", name, got, want)
		}
	}
}

// Talker echo: what comes back quieter disturbs less, what comes back later
// more. At G.107's default of 65 dB it hardly disturbs.
func TestEcho(t *testing.T) {
	at := func(delay, telr float64) float64 {
		return Connection{Delay: time.Duration(delay * float64(time.Millisecond)), Echo: telr}.R()
	}
	if r := at(50, 65); r < 92 {
		t.Errorf("50 ms, 65 dB: R = %.1f", r)
	}
	if r := at(100, 20); r > 40 {
		t.Errorf("100 ms, 20 dB: R = %.1f", r)
	}
	for _, delay := range []float64{10, 50, 100, 300} {
		for telr := 20.; telr < 65; telr += 5 {
			if loud, quiet := at(delay, telr), at(delay, telr+5); loud >= quiet {
				t.Errorf("%g ms: R = %.1f at %g dB, %.1f at %g dB", delay, loud, telr, quiet, telr+5)
			}
			if soon, late := at(delay, telr), at(delay*1.5, telr); late >= soon {
				t.Errorf("%g dB: R = %.1f at %g ms, %.1f at %g ms", telr, soon, delay, late, delay*1.5)
			}
		}
	}
}

// gilbert is a row of frames of which the share p is lost in runs of mean
// length run, the counts of it, and BurstR by its definition.
func gilbert(seed uint64, frames int, p, run float64) (l Losses, ratio float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	lost := make([]bool, frames)
	n, runs := 0, 0
	for i := range lost {
		u, was := r.Float64(), i > 0 && lost[i-1]
		if was {
			lost[i] = u < 1-1/run
		} else {
			lost[i] = u < p/run/(1-p)
		}
		if lost[i] {
			n++
			if !was {
				runs++
			}
		}
	}
	share := float64(n) / float64(frames)
	return count(lost), float64(n) / float64(runs) * (1 - share)
}

// count finds the bursts by looking at the whole row at once: lost frames with
// fewer than Gmin good ones between them belong together (RFC 3611, Section
// 4.7.2), and a burst has at least two.
func count(lost []bool) (l Losses) {
	var at []int
	for i, is := range lost {
		if is {
			at = append(at, i)
		}
	}
	l.Frames, l.Lost = uint64(len(lost)), uint64(len(at))
	for len(at) > 0 {
		n := 1
		for n < len(at) && at[n]-at[n-1]-1 < Gmin {
			n++
		}
		if n > 1 {
			l.Bursts++
			l.BurstFrames += uint64(at[n-1] - at[0] + 1)
			l.BurstLost += uint64(n)
		}
		at = at[n:]
	}
	return l
}

func TestBurstRatio(t *testing.T) {
	for _, c := range []struct{ p, run float64 }{
		{0.01, 1 / 0.99},
		{0.03, 1 / 0.97},
		{0.05, 1 / 0.95},
		{0.1, 1 / 0.9},
		{0.2, 1.25},
		{0.4, 1 / 0.6},
		{0.01, 2},
		{0.05, 2},
		{0.05, 4},
		{0.1, 4},
		{0.2, 4},
		{0.1, 10},
	} {
		l, want := gilbert(3, 30_000, c.p, c.run)
		if got := l.BurstRatio(); math.Abs(got/max(1, want)-1) > 0.06 {
			t.Errorf("%g %% in runs of %.2f: BurstR %.3f, by its definition %.3f", 100*c.p, c.run, got, want)
		}
	}
	for name, l := range map[string]Losses{
		"nothing":            {},
		"nothing lost":       {Frames: 100},
		"all lost":           {Frames: 100, Lost: 100, Bursts: 1, BurstFrames: 100, BurstLost: 100},
		"one lost":           {Frames: 100, Lost: 1},
		"more lost than all": {Frames: 3, Lost: 100},
	} {
		if got := l.BurstRatio(); got != 1 {
			t.Errorf("%s: BurstR %g", name, got)
		}
	}
	if got := (Losses{Frames: 100, Lost: 2, Bursts: 1, BurstFrames: 2, BurstLost: 2}).BurstRatio(); math.Abs(got-2*0.98) > 1e-9 {
		t.Errorf("two in a row: BurstR %g", got)
	}
}

// Counts that cannot be give numbers all the same.
func FuzzLosses(f *testing.F) {
	f.Add(uint64(100), uint64(7), uint64(1), uint64(20), uint64(6))
	f.Add(uint64(0), uint64(1), ^uint64(0), ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, frames, lost, bursts, burstFrames, burstLost uint64) {
		l := Losses{frames, lost, bursts, burstFrames, burstLost}
		for what, v := range map[string][2]float64{
			"percent": {l.Percent(), 100}, "burst density": {l.BurstDensity(), 1}, "gap density": {l.GapDensity(), 1},
			"burst ratio": {l.BurstRatio(), 1e20}, "burst": {l.BurstLength(), 1e20}, "gap": {l.GapLength(), 1e20},
			"MOS": {Connection{Loss: l.Percent(), BurstRatio: l.BurstRatio()}.MOS(), 4.5},
		} {
			if !(v[0] >= 0 && v[0] <= v[1]) {
				t.Errorf("%+v: %s %g", l, what, v[0])
			}
		}
	})
}

func TestDensities(t *testing.T) {
	l := Losses{Frames: 1000, Lost: 30, Bursts: 2, BurstFrames: 100, BurstLost: 25}
	for what, v := range map[string][2]float64{
		"percent": {l.Percent(), 3}, "burst density": {l.BurstDensity(), 0.25}, "gap density": {l.GapDensity(), 5. / 900},
		"burst": {l.BurstLength(), 50}, "gap": {l.GapLength(), 300},
	} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s %g, want %g", what, v[0], v[1])
		}
	}
}

func BenchmarkMOS(b *testing.B) {
	l, _ := gilbert(1, 10_000, 0.05, 4)
	b.ReportAllocs()
	for b.Loop() {
		Connection{Delay: 180 * time.Millisecond, Loss: l.Percent(), BurstRatio: l.BurstRatio()}.MOS()
	}
}
