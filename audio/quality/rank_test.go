package quality_test

import (
	"cmp"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"securecall/audio"
	"securecall/audio/playout"
	"securecall/audio/quality"
	"securecall/audio/speech"
)

// A condition is a network.
type condition struct {
	name          string
	delay, jitter time.Duration // the delay is uniformly distributed around delay
	loss, run     float64       // the share of packets lost, and how many in a row on average; 0: at random
}

const ms = time.Millisecond

var conditions = []condition{
	{name: "clean"},
	{name: "40 ± 20 ms", delay: 40 * ms, jitter: 20 * ms},
	{name: "40 ± 40 ms", delay: 40 * ms, jitter: 40 * ms},
	{name: "1 %", loss: 0.01},
	{name: "3 %", loss: 0.03},
	{name: "5 %", loss: 0.05},
	{name: "10 %", loss: 0.1},
	{name: "20 %", loss: 0.2},
	{name: "5 % in runs of 4", loss: 0.05, run: 4},
	{name: "10 % in runs of 4", loss: 0.1, run: 4},
	{name: "40 ± 20 ms, 5 %", delay: 40 * ms, jitter: 20 * ms, loss: 0.05},
}

// call sends said through the condition and returns what is heard and what
// playout says of it.
func (c condition) call(seed uint64, said []int16) ([]int16, playout.Stats) {
	type delivery struct {
		at time.Duration
		p  playout.Packet
	}
	r := rand.New(rand.NewPCG(seed, 5))
	var on []delivery
	lost := false
	for i := 0; i < len(said)/audio.FrameSamples; i++ {
		p := playout.Packet{Seq: uint16(i), Timestamp: uint32(i * audio.FrameSamples), Law: audio.PCMU, Payload: make([]byte, audio.FrameSamples)}
		p.Law.Encode(p.Payload, said[i*audio.FrameSamples:][:audio.FrameSamples])
		u, j := r.Float64(), 2*r.Float64()-1
		switch {
		case c.run == 0:
			lost = u < c.loss
		case lost:
			lost = u >= 1/c.run
		default:
			lost = u < c.loss/c.run/(1-c.loss)
		}
		if !lost {
			at := time.Duration(i)*audio.FrameDuration + 15*ms + c.delay + time.Duration(j*float64(c.jitter))
			on = append(on, delivery{at, p})
		}
	}
	slices.SortStableFunc(on, func(a, b delivery) int { return cmp.Compare(a.at, b.at) })
	b, begin := playout.New(playout.Config{}), time.Unix(1000, 0)
	var heard []int16
	for now := time.Duration(0); now < time.Duration(len(said))*time.Second/audio.SampleRate; now += audio.FrameDuration {
		for len(on) > 0 && on[0].at <= now {
			b.Push(begin.Add(on[0].at), on[0].p)
			on = on[1:]
		}
		f := make(audio.Frame, audio.FrameSamples)
		b.Pop(begin.Add(now), f)
		heard = append(heard, f[:]...)
	}
	return heard, b.Stats()
}

const (
	window = 256 // samples, 32 ms
	step   = 128 // from window to window
	piece  = 384 // samples that are looked for together: hardly more than one change of the delay falls into 48 ms
)

// distance is the mean log-spectral distance in dB of heard from said, over the
// windows in which said sounds: 24 bands of four bins from 250 Hz. Where in
// heard a piece of said is to be found is looked for piece by piece, since
// playout stretches and shrinks.
func distance(said, heard []int16) float64 {
	sum, n, shift := 0., 0, 0
	for at := 0; at+piece <= len(said)-audio.SampleRate; at += piece {
		shift = align(said[at:at+piece], heard, at, shift)
		for w := at; w+window <= at+piece; w += step {
			a, b := said[w:w+window], heard[w+shift:w+shift+window]
			if level(a) < 100 { // -50 dBov
				continue
			}
			n++
			if slices.Equal(a, b) {
				continue
			}
			p, q := bands(a), bands(b)
			e := 0.
			for k := range p {
				d := 10 * math.Log10((p[k]+floor)/(q[k]+floor))
				e += d * d / float64(len(p))
			}
			sum += math.Sqrt(e)
		}
	}
	return sum / float64(n)
}

// align returns the shift of heard against said at which part, which is at said's
// at, is most alike: the last one if that is good enough.
func align(part, heard []int16, at, last int) int {
	best, shift := alike(part, heard, at+last, 1), last
	if best > 0.98 || level(part) < 100 {
		return last
	}
	for s := max(0, last-400); s <= last+400; s++ {
		if at+s+len(part) > len(heard) {
			break
		}
		if c := alike(part, heard, at+s, 4); c > best {
			best, shift = c, s
		}
	}
	return shift
}

// alike is the normalised correlation, of every so many samples.
func alike(part, heard []int16, at, every int) float64 {
	var ab, aa, bb float64
	for i := 0; i < len(part); i += every {
		x, y := float64(part[i]), float64(heard[at+i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb+1)
}

func level(pcm []int16) float64 {
	e := 0.
	for _, s := range pcm {
		e += float64(s) * float64(s)
	}
	return math.Sqrt(e / float64(len(pcm)))
}

// floor keeps silence from being infinitely far from anything, -70 dBov.
const floor = 1e-7 * window * window / 8

// bands are the powers of the bands of a window.
func bands(pcm []int16) (p [24]float64) {
	var x [window]complex128
	for i, s := range pcm {
		hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
		x[i] = complex(hann*float64(s)/32768, 0)
	}
	spectrum := fft(x[:])
	for k := range p {
		for _, c := range spectrum[8+4*k : 12+4*k] {
			p[k] += real(c)*real(c) + imag(c)*imag(c)
		}
	}
	return p
}

func fft(x []complex128) []complex128 {
	n := len(x)
	if n == 1 {
		return x
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range even {
		even[i], odd[i] = x[2*i], x[2*i+1]
	}
	even, odd = fft(even), fft(odd)
	y := make([]complex128, n)
	for k := range even {
		w := cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n)) * odd[k]
		y[k], y[k+n/2] = even[k]+w, even[k]-w
	}
	return y
}

// ranks are the places of the values in order; equal ones share theirs.
func ranks(v []float64) []float64 {
	r := make([]float64, len(v))
	for i := range v {
		for j := range v {
			switch {
			case v[j] < v[i]:
				r[i]++
			case v[j] == v[i]:
				r[i] += 0.5
			}
		}
	}
	return r
}

// spearman is the rank correlation.
func spearman(a, b []float64) float64 {
	a, b = ranks(a), ranks(b)
	mean := float64(len(a)) / 2
	var ab, aa, bb float64
	for i := range a {
		x, y := a[i]-mean, b[i]-mean
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// The estimate puts networks in the order in which what is heard through them
// is away from what was said.
func TestRanksAsMeasured(t *testing.T) {
	voice := speech.Samples()
	said := make([]int16, 16*audio.SampleRate)
	for i := range said {
		said[i] = voice[i%len(voice)]
	}
	coded := make([]byte, len(said))
	audio.PCMU.Encode(coded, said)
	audio.PCMU.Decode(said, coded)

	var away, estimate []float64
	for _, c := range conditions {
		const seeds = 2
		d, m := 0., 0.
		for seed := range uint64(seeds) {
			heard, s := c.call(seed, said)
			l := quality.Losses{Frames: s.Frames, Lost: s.Lost, Bursts: s.Bursts, BurstFrames: s.BurstFrames, BurstLost: s.BurstLost}
			m += quality.Connection{
				Delay:      c.delay + s.Delay + audio.FrameDuration,
				Loss:       l.Percent(),
				BurstRatio: l.BurstRatio(),
			}.MOS() / seeds
			d += distance(said, heard) / seeds
		}
		t.Logf("%-18s %.2f dB away, MOS %.2f", c.name, d, m)
		away, estimate = append(away, d), append(estimate, -m)
	}
	r := spearman(away, estimate)
	t.Logf("rank correlation %.3f", r)
	if r < 0.9 {
		t.Error("the estimate is not in the order of what was measured")
	}
	for i, c := range conditions {
		if c.loss > 0 && (estimate[i] <= estimate[0] || away[i] <= away[0]) {
			t.Errorf("%s is not worse than %s", c.name, conditions[0].name)
		}
	}
}
