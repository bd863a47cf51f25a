package conceal

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"securecall/audio"
)

// spectral is the mean log-spectral distance in dB: windows of 32 ms, half
// overlapping, in which the first sounds; 24 bands of four bins from 250 Hz.
func spectral(said, heard []int16) float64 {
	const window, bands = 32 * millisecond, 24
	var waves [4 * bands][window][2]float64
	for k := range waves {
		for i := range window {
			hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)
			s, c := math.Sincos(2 * math.Pi * float64((8+k)*i) / window)
			waves[k][i] = [2]float64{hann * c / 32768, hann * s / 32768}
		}
	}
	powers := func(pcm []int16) (p [bands]float64) {
		for k := range waves {
			re, im := 0.0, 0.0
			for i, s := range pcm {
				re += float64(s) * waves[k][i][0]
				im += float64(s) * waves[k][i][1]
			}
			p[k/4] += re*re + im*im
		}
		return p
	}
	sum, n := 0.0, 0
	for at := 0; at+window <= len(said); at += window / 2 {
		if rms(said[at:at+window]) < 100 { // -50 dBov
			continue
		}
		n++
		if slices.Equal(said[at:at+window], heard[at:at+window]) {
			continue
		}
		a, b := powers(said[at:at+window]), powers(heard[at:at+window])
		e := 0.0
		for k := range a {
			d := 10 * math.Log10((a[k]+1e-4)/(b[k]+1e-4))
			e += d * d / bands
		}
		sum += math.Sqrt(e)
	}
	return sum / float64(n)
}

type concealer interface {
	Heard(pcm []int16)
	Missing(pcm []int16)
}

// repetition is the least that can be done: the last 20 ms again and again,
// fading out over 60.
type repetition struct {
	last [frame]int16
	gap  int
}

func (r *repetition) Heard(pcm []int16) {
	copy(r.last[:], pcm)
	r.gap = 0
}

func (r *repetition) Missing(pcm []int16) {
	for i := range pcm {
		pcm[i] = int16(int(r.last[i]) * max(3*frame-r.gap, 0) / (3 * frame))
		r.gap++
	}
}

// nothing is done.
type nothing struct{}

func (nothing) Heard([]int16)       {}
func (nothing) Missing(pcm []int16) { clear(pcm) }

func TestNearerToSpeech(t *testing.T) {
	clean := said()
	clean = clean[:min(len(clean), 5*audio.SampleRate)]
	clean = clean[:len(clean)/frame*frame]
	for _, loss := range []struct {
		name       string
		rate, stay float64 // probability of a loss: after none, after one
	}{{"5 %", 0.05, 0.05}, {"20 %", 0.2, 0.2}, {"10 % in bursts of 4", 1. / 36, 0.75}} {
		distance := func(c concealer) float64 {
			r := rand.New(rand.NewPCG(4, 4))
			pcm := append([]int16(nil), clean...)
			lost := false
			for at := 0; at < len(pcm); at += frame {
				p := loss.rate
				if lost {
					p = loss.stay
				}
				if lost = r.Float64() < p; lost {
					c.Missing(pcm[at : at+frame])
				} else {
					c.Heard(pcm[at : at+frame])
				}
			}
			return spectral(clean, pcm)
		}
		ours, repeated, silent := distance(new(Concealer)), distance(new(repetition)), distance(nothing{})
		t.Logf("%s: %.3f dB, repetition %.3f dB, silence %.3f dB", loss.name, ours, repeated, silent)
		if ours > 0.9*repeated {
			t.Errorf("%s: hardly nearer than repetition", loss.name)
		}
		if ours > 0.7*silent {
			t.Errorf("%s: hardly nearer than silence", loss.name)
		}
	}
}
