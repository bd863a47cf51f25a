package device

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"securecall/audio"
)

// response is how loud, in dB, a sine of hz at rate comes out.
func response(rate int, hz float64) float64 {
	n := 0
	r := newFileResampler(rate, func() (float64, error) {
		x := math.Sin(2 * math.Pi * hz * float64(n) / float64(rate))
		n++
		return x, nil
	})
	for range 200 {
		r.next()
	}
	sum := 0.0
	const length = 1000
	for range length {
		x, _ := r.next()
		sum += x * x
	}
	return 10 * math.Log10(2*sum/length+1e-20)
}

// Speech passes unchanged; what 8 kHz cannot hold is not folded into it.
func TestResamplerResponse(t *testing.T) {
	for _, rate := range []int{1001, 6000, 11025, 16000, 44100, 48000} {
		nyquist := min(float64(rate), audio.SampleRate) / 2
		for _, part := range []float64{0.02, 0.25, 0.5, 0.85, 0.89} {
			if dB := response(rate, part*nyquist); math.Abs(dB) > 0.05 {
				t.Errorf("%d Hz: %.0f Hz comes out at %.2f dB", rate, part*nyquist, dB)
			}
		}
		for _, hz := range []float64{4010, 4500, 5000, 7000, 0.49 * float64(rate)} {
			if hz < 4010 || hz >= float64(rate)/2 {
				continue
			}
			if dB := response(rate, hz); dB > -75 {
				t.Errorf("%d Hz: %.0f Hz comes out at %.1f dB", rate, hz, dB)
			}
		}
	}
}

// It neither delays nor stretches: sample n is what was heard at n/8000 s, and
// the end comes where the input's did.
func TestResamplerKeepsTime(t *testing.T) {
	for _, rate := range []int{1000, 7999, 11025, 44100} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			const hz = 100
			length := rate + 17
			n := 0
			r := newFileResampler(rate, func() (float64, error) {
				if n == length {
					return 0, io.EOF
				}
				x := 1000 * math.Sin(2*math.Pi*hz*float64(n)/float64(rate))
				n++
				return x, nil
			})
			out := 0
			for {
				x, err := r.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				// Near its ends the filter sees silence.
				if out > 1000 && out < 7000 {
					if want := 1000 * math.Sin(2*math.Pi*hz*float64(out)/audio.SampleRate); math.Abs(x-want) > 1 {
						t.Fatalf("sample %d is %.2f, want %.2f", out, x, want)
					}
				}
				out++
			}
			if want := (length*audio.SampleRate + rate - 1) / rate; out != want {
				t.Errorf("%d samples became %d, want %d", length, out, want)
			}
			if _, err := r.next(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// through plays a second of a sine of hz, of an amplitude of 24000, through r as
// devices do, and returns what came out once it has settled.
func through(r *resampler, from int, hz float64) []float64 {
	var raw []byte
	for n := range from {
		raw = r.appendSample(raw, int16(math.Round(24000*math.Sin(2*math.Pi*hz*float64(n)/float64(from)))))
	}
	out := make([]float64, 0, len(raw)/2)
	for ; len(raw) >= 2; raw = raw[2:] {
		out = append(out, float64(int16(binary.LittleEndian.Uint16(raw))))
	}
	return out[len(out)/5:]
}

// loudness is that of what there is of hz in x, in dB of a sine of an amplitude
// of 24000.
func loudness(x []float64, rate int, hz float64) float64 {
	re, im, weight := 0.0, 0.0, 0.0
	for n, v := range x {
		w := 1 - math.Cos(2*math.Pi*float64(n)/float64(len(x)))
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(n) / float64(rate))
		re, im, weight = re+w*v*cos, im+w*v*sin, weight+w
	}
	return 20 * math.Log10(2*math.Hypot(re, im)/weight/24000+1e-10)
}

// fold is where a tone of hz is heard at rate.
func fold(hz, rate float64) float64 { return math.Abs(hz - rate*math.Round(hz/rate)) }

var deviceRates = []int{11025, 16000, 44100, 48000, 96000}

// To the devices' rates and from them the band of speech passes unchanged.
func TestDevicePassband(t *testing.T) {
	for _, rate := range deviceRates {
		mic := newResampler(rate, audio.SampleRate, liveLowpass)
		speaker := newResampler(audio.SampleRate, rate, liveLowpass)
		for hz, most := range map[float64]float64{50: 0.02, 300: 0.02, 1000: 0.02, 2000: 0.02, 3000: 0.02, 3300: 0.05, 3400: 0.3} {
			if dB := loudness(through(mic, rate, hz), audio.SampleRate, hz); math.Abs(dB) > most {
				t.Errorf("%d Hz, microphone: %.0f Hz comes out at %.3f dB", rate, hz, dB)
			}
			if dB := loudness(through(speaker, audio.SampleRate, hz), rate, hz); math.Abs(dB) > most {
				t.Errorf("%d Hz, speaker: %.0f Hz comes out at %.3f dB", rate, hz, dB)
			}
		}
	}
}

// A tone that 8 kHz cannot hold is not heard as another one: no alias.
func TestMicrophoneAliases(t *testing.T) {
	for _, rate := range deviceRates {
		for hz, most := range map[float64]float64{
			4010: -14, // at 4 kHz that is what G.712 asks for
			4400: -65, 4600: -70, 5000: -70, 6000: -70, 7000: -70, 7700: -70, 9000: -70, 11000: -70,
			15000: -70, 17000: -70, 20000: -70, 23000: -70, 45000: -70,
		} {
			if hz >= float64(rate)/2 {
				continue
			}
			r := newResampler(rate, audio.SampleRate, liveLowpass)
			if dB := loudness(through(r, rate, hz), audio.SampleRate, fold(hz, audio.SampleRate)); dB > most {
				t.Errorf("%d Hz: %.0f Hz comes out at %.1f dB", rate, hz, dB)
			}
		}
	}
}

// A tone is played as itself alone: none of the images of it around the
// multiples of 8 kHz is.
func TestSpeakerImages(t *testing.T) {
	for _, rate := range deviceRates {
		for _, hz := range []float64{100, 300, 1000, 2000, 3000, 3400, 3600} {
			r := newResampler(audio.SampleRate, rate, liveLowpass)
			out := through(r, audio.SampleRate, hz)
			for n := range rate/audio.SampleRate + 1 {
				for _, image := range []float64{float64(n+1)*audio.SampleRate - hz, float64(n+1)*audio.SampleRate + hz} {
					if image >= float64(rate)/2 {
						continue
					}
					if dB := loudness(out, rate, image); dB > -65 {
						t.Errorf("%d Hz: %.0f Hz has an image of %.1f dB at %.0f Hz", rate, hz, dB, image)
					}
				}
			}
		}
	}
}

// Sound goes to a device and comes from it 2 ms late, at most one frame of the
// device's more. Each frame becomes as many samples as any other, and equal rates
// change nothing.
func TestDeviceDelay(t *testing.T) {
	delay := func(from, to int) time.Duration {
		r := newResampler(from, to, liveLowpass)
		raw := r.appendSample(nil, 10000)
		for range from / 100 {
			raw = r.appendSample(raw, 0)
		}
		peak := 0
		at := func(i int) int16 { return int16(binary.LittleEndian.Uint16(raw[2*i:])) }
		for i := range len(raw) / 2 {
			if at(i) > at(peak) {
				peak = i
			}
		}
		return time.Duration(peak) * time.Second / time.Duration(to)
	}
	for _, rate := range deviceRates {
		for _, d := range []time.Duration{delay(audio.SampleRate, rate), delay(rate, audio.SampleRate)} {
			if d < 1900*time.Microsecond || d > 2300*time.Microsecond {
				t.Errorf("%d Hz: %v", rate, d)
			}
		}
		r := newResampler(audio.SampleRate, rate, liveLowpass)
		for range 100 {
			n := 0
			for range 80 {
				n += len(r.appendSample(nil, 1)) / 2
			}
			if n != rate/100 && n != rate/100+1 {
				t.Errorf("%d Hz: 10 ms became %d samples", rate, n)
			}
		}
	}
	r := newResampler(audio.SampleRate, audio.SampleRate, liveLowpass)
	var raw []byte
	want := append(make([]int16, r.reach), edges...)
	for _, x := range append(edges, make([]int16, r.reach)...) {
		raw = r.appendSample(raw, x)
	}
	if !bytes.Equal(raw, littleEndian(want)) {
		t.Errorf("between equal rates %v became %v", edges, raw)
	}
}

var edges = []int16{math.MinInt16, -20000, -1, 0, 1, 300, math.MaxInt16}

// The loudest square wave overshoots, and does not wrap around.
func TestResamplerClips(t *testing.T) {
	r := newResampler(audio.SampleRate, 48000, liveLowpass)
	clipped := map[int16]bool{}
	for n := range 8000 {
		x := int16(math.MaxInt16)
		if n/20%2 == 1 {
			x = math.MinInt16
		}
		for raw := r.appendSample(nil, x); len(raw) > 0; raw = raw[2:] {
			y := int16(binary.LittleEndian.Uint16(raw))
			clipped[y] = true
			// Within a half wave, away from where it turns.
			if in := (n - r.reach) % 40; n > 100 && (in > 3 && in < 16 && y < 30000 || in > 23 && in < 36 && y > -30000) {
				t.Fatalf("sample %d is %d", n, y)
			}
		}
	}
	if !clipped[math.MaxInt16] || !clipped[math.MinInt16] {
		t.Error("it never clips")
	}
}

func BenchmarkResample48k(b *testing.B) {
	r := newFileResampler(48000, func() (float64, error) { return 1, nil })
	b.ReportAllocs()
	for b.Loop() {
		f := make(audio.Frame, audio.FrameSamples)
		if err := fillFrame(f, r.next); err != nil {
			b.Fatal(err)
		}
	}
}

// A frame of 20 ms from a microphone, and to a speaker.
func BenchmarkDeviceRate(b *testing.B) {
	for _, rate := range []int{44100, 48000} {
		for _, way := range []struct {
			name     string
			from, to int
		}{{"microphone", rate, audio.SampleRate}, {"speaker", audio.SampleRate, rate}} {
			b.Run(fmt.Sprint(way.name, "/", rate), func(b *testing.B) {
				r := newResampler(way.from, way.to, liveLowpass)
				var raw []byte
				b.ReportAllocs()
				for b.Loop() {
					raw = raw[:0]
					for i := range way.from / 50 {
						raw = r.appendSample(raw, int16(i))
					}
				}
			})
		}
	}
}
