package device

import (
	"fmt"
	"io"
	"math"
	"testing"

	"securecall/audio"
)

// response is how loud, in dB, a sine of hz at rate comes out.
func response(rate int, hz float64) float64 {
	n := 0
	r := newResampler(rate, func() (float64, error) {
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
			r := newResampler(rate, func() (float64, error) {
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

func BenchmarkResample48k(b *testing.B) {
	r := newResampler(48000, func() (float64, error) { return 1, nil })
	b.ReportAllocs()
	for b.Loop() {
		f := make(audio.Frame, audio.FrameSamples)
		if err := fillFrame(f, r.next); err != nil {
			b.Fatal(err)
		}
	}
}
