package device

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"securecall/audio"
)

// wavOf is a plain WAV file.
func wavOf(coding, channels, rate, bits int, data []byte) []byte {
	le := binary.LittleEndian
	block := channels * bits / 8
	b := []byte("RIFF")
	b = le.AppendUint32(b, uint32(36+len(data)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, uint16(coding))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*block))
	b = le.AppendUint16(b, uint16(block))
	b = le.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll reads a WAV file to its end.
func readAll(file []byte) ([]int16, error) {
	next, err := readWAV(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	var pcm []int16
	for {
		f := make(audio.Frame, audio.FrameSamples)
		if err := fillFrame(f, next); err != nil {
			if err == io.EOF {
				err = nil
			}
			return pcm, err
		}
		pcm = append(pcm, f[:]...)
	}
}

func ramp() []int16 {
	var pcm []int16
	for x := -32768; x <= 32767; x += 7 {
		pcm = append(pcm, int16(x))
	}
	return pcm
}

func littleEndian(pcm []int16) []byte {
	var b []byte
	for _, x := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(x))
	}
	return b
}

// What is 8 kHz 16-bit mono already is not touched.
func TestWAVUntouched(t *testing.T) {
	want := ramp()
	got, err := readAll(wavOf(wavPCM, 1, 8000, 16, littleEndian(want)))
	if err != nil || len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Fatalf("the samples have changed, or %v", err)
	}
	for _, x := range got[len(want):] {
		if x != 0 {
			t.Fatal("the last frame is not filled up with silence")
		}
	}
}

// The same sound in every coding.
func TestWAVCodings(t *testing.T) {
	want := ramp()
	encode := func(each func([]byte, int16) []byte) []byte {
		var b []byte
		for _, x := range want {
			b = each(b, x)
		}
		return b
	}
	le := binary.LittleEndian
	law := func(l audio.Law) []byte {
		b := make([]byte, len(want))
		l.Encode(b, want)
		return b
	}
	for _, c := range []struct {
		name         string
		coding, bits int
		data         []byte
		off          float64 // by how much a sample may differ
	}{
		{"8", wavPCM, 8, encode(func(b []byte, x int16) []byte { return append(b, byte(x>>8)+128) }), 256},
		{"24", wavPCM, 24, encode(func(b []byte, x int16) []byte { return append(b, 0, byte(x), byte(x>>8)) }), 0},
		{"32", wavPCM, 32, encode(func(b []byte, x int16) []byte { return le.AppendUint32(b, uint32(x)<<16) }), 0},
		{"float32", wavFloat, 32, encode(func(b []byte, x int16) []byte {
			return le.AppendUint32(b, math.Float32bits(float32(x)/(1<<15)))
		}), 0},
		{"float64", wavFloat, 64, encode(func(b []byte, x int16) []byte {
			return le.AppendUint64(b, math.Float64bits(float64(x)/(1<<15)))
		}), 0},
		{"mu-law", wavMuLaw, 8, law(audio.PCMU), 1000},
		{"A-law", wavALaw, 8, law(audio.PCMA), 1000},
	} {
		got, err := readAll(wavOf(c.coding, 1, 8000, c.bits, c.data))
		if err != nil || len(got) < len(want) {
			t.Fatalf("%s: %d samples, %v", c.name, len(got), err)
		}
		for i, x := range want {
			if off := math.Abs(float64(got[i]) - float64(x)); off > c.off {
				t.Errorf("%s: %d became %d", c.name, x, got[i])
				break
			}
		}
	}
}

func TestWAVChannelsAreMixed(t *testing.T) {
	got, err := readAll(wavOf(wavPCM, 2, 8000, 16, littleEndian([]int16{1000, 3000, 32767, 32767, -5, 5})))
	if err != nil || !slices.Equal(got[:4], []int16{2000, 32767, 0, 0}) {
		t.Errorf("got %v, %v", got[:4], err)
	}
}

// An extensible header names its coding in a GUID; chunks that are not known
// are passed over, with the padding of an odd one.
func TestWAVHeaders(t *testing.T) {
	plain := wavOf(wavPCM, 1, 8000, 16, littleEndian([]int16{1, 2, 3}))
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(plain)) }
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	for name, file := range map[string][]byte{
		"plain":           plain,
		"streamed":        edit(put32(40, math.MaxUint32)),
		"too long":        edit(put32(40, 1<<20)),
		"never completed": put32(4, 0)(edit(put32(40, 0))),
		"RF64":            edit(func(b []byte) []byte { copy(b, "RF64"); return put32(40, math.MaxUint32)(b) }),
		"odd chunk before": edit(func(b []byte) []byte {
			return slices.Insert(b, 12, []byte("junk\x03\x00\x00\x00abc\x00")...)
		}),
		"odd fmt": edit(func(b []byte) []byte {
			return slices.Insert(put32(16, 17)(b), 36, 0, 0)
		}),
		"extensible": edit(func(b []byte) []byte {
			b = put32(16, 40)(b)
			binary.LittleEndian.PutUint16(b[20:], wavExtensible)
			return slices.Insert(b, 36, append([]byte{22, 0, 16, 0, 4, 0, 0, 0, wavPCM, 0}, make([]byte, 14)...)...)
		}),
		"half a sample after": append(bytes.Clone(edit(put32(40, 7))), 9),
	} {
		got, err := readAll(file)
		if err != nil || len(got) != audio.FrameSamples || !slices.Equal(got[:4], []int16{1, 2, 3, 0}) {
			t.Errorf("%s: %d samples, %v", name, len(got), err)
		}
	}
	for name, file := range map[string][]byte{
		"empty":        nil,
		"cut":          plain[:20],
		"no sound":     plain[:36],
		"sound first":  slices.Delete(bytes.Clone(plain), 12, 36),
		"no channels":  edit(func(b []byte) []byte { b[22] = 0; return b }),
		"no rate":      edit(put32(24, 0)),
		"highest rate": edit(put32(24, math.MaxUint32)),
		"block of 3":   edit(func(b []byte) []byte { b[32] = 3; return b }),
		"MP3 inside":   edit(func(b []byte) []byte { b[20] = 0x55; return b }),
		"endless junk": edit(func(b []byte) []byte {
			return slices.Insert(b, 12, []byte("junk\xff\xff\xff\xff")...)
		}),
	} {
		if _, err := readAll(file); !errors.Is(err, errNotWAV) && !errors.Is(err, errWAVSound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(wavOf(wavPCM, 1, 8000, 16, littleEndian([]int16{1, 2, 3})))
	f.Add(wavOf(wavFloat, 2, 44100, 32, make([]byte, 800)))
	f.Add(wavOf(wavMuLaw, 1, 1000, 8, make([]byte, 100)))
	f.Add(wavOf(wavPCM, 64, 384000, 24, make([]byte, 4000)))
	f.Fuzz(func(t *testing.T, file []byte) {
		format, _, err := readWAVHeader(bufio.NewReader(bytes.NewReader(file)))
		pcm, readErr := readAll(file)
		if (err == nil) != (readErr == nil) {
			t.Fatalf("the header says %v, and reading %v", err, readErr)
		}
		if err != nil {
			return
		}
		// No more comes out than went in.
		blocks := len(file) / (format.channels * format.octets)
		if most := blocks*audio.SampleRate/format.rate + 1 + audio.FrameSamples; len(pcm) > most {
			t.Fatalf("%d samples of %d blocks at %d Hz", len(pcm), blocks, format.rate)
		}
	})
}

func TestWAVWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	if err := os.WriteFile(path, make([]byte, 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	sink, err := OpenSink(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := sink.(*wavSink)
	var want []int16
	for i := range 2*wavRefresh/(2*audio.FrameSamples) + 10 {
		f := make(audio.Frame, audio.FrameSamples)
		for j := range f {
			f[j] = int16(i*len(f) + j)
		}
		want = append(want, f...)
		if err := s.write(f); err != nil {
			t.Fatal(err)
		}
	}
	read := func() []int16 {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pcm, err := readAll(b)
		if err != nil {
			t.Fatal(err)
		}
		return pcm
	}
	// A process that is killed now leaves two whole seconds.
	if got := read(); !slices.Equal(got, want[:2*audio.SampleRate]) {
		t.Errorf("unfinished, it holds %d samples", len(got))
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(); !slices.Equal(got, want) {
		t.Errorf("finished, it holds %d samples of %d", len(got), len(want))
	}
	b, _ := os.ReadFile(path)
	if whole := wavOf(wavPCM, 1, 8000, 16, littleEndian(want)); !bytes.Equal(b, whole) {
		t.Error("it is not as a WAV file should be")
	}
	f := make(audio.Frame, audio.FrameSamples)
	if err := sink.WriteFrame(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A call in confidence is nobody else's to hear.
func TestWAVIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	sink, err := OpenSink(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("its mode is %v", info.Mode())
	}
}
