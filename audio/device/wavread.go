package device

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"time"

	"securecall/audio"
)

// The codings of samples in a WAV file (RFC 2361, and mmreg.h for the last).
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavMuLaw      = 7
	wavExtensible = 0xfffe
)

// What a header may ask for. Files within these bounds cost little memory and
// time, whatever else they say.
const (
	wavMaxRate     = 384_000
	wavMaxChannels = 64
	wavMaxBefore   = 64 << 20 // octets of other chunks (pictures, names) before the sound
	wavMaxChunks   = 1000
)

var (
	errNotWAV   = errors.New("not a WAV file")
	errWAVSound = errors.New("a WAV file whose sound cannot be read here")
)

// A wavFormat says how the samples of a file are written.
type wavFormat struct {
	coding   int // wavPCM, wavFloat, wavALaw or wavMuLaw
	channels int
	rate     int // Hz
	octets   int // of one sample of one channel
}

// openWAV opens a file as a microphone.
func openWAV(path string, o Options) (audio.Source, error) {
	file, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, fileError(path, err, "check the file's name")
	}
	_ = file.SetReadDeadline(time.Now().Add(patience)) // where it can be set: of a FIFO
	next, err := readWAV(file)
	_ = file.SetReadDeadline(time.Time{})
	if err != nil {
		file.Close()
		return nil, &Error{Spec: path, Err: cause(err), Hint: "use a WAV file of PCM or G.711 sound, as most programs save it", File: true}
	}
	return newPacedSource(func(f audio.Frame) error {
		err := fillFrame(f, next)
		if err != nil && err != io.EOF {
			err = &Error{Spec: path, Err: cause(err), File: true}
		}
		return err
	}, file.Close, o), nil
}

// cause strips the path from a file's error, since Error.Spec holds it.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// readWAV reads a file's header and returns a function that gives its sound as
// 8 kHz mono, in units of 16-bit samples, up to io.EOF.
func readWAV(r io.Reader) (func() (float64, error), error) {
	in := bufio.NewReader(r)
	format, size, err := readWAVHeader(in)
	if err != nil {
		return nil, err
	}
	block := make([]byte, format.channels*format.octets)
	mono := func() (float64, error) {
		if size < int64(len(block)) {
			return 0, io.EOF
		}
		size -= int64(len(block))
		if _, err := io.ReadFull(in, block); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF // the header promised more
			}
			return 0, err
		}
		return format.mono(block), nil
	}
	return newFileResampler(format.rate, mono).next, nil
}

// readWAVHeader reads up to the first sample. size is how many octets of sound
// follow at most: of a file written by a stream, that is all there are.
func readWAVHeader(r *bufio.Reader) (format wavFormat, size int64, err error) {
	var riff [12]byte
	if _, err := io.ReadFull(r, riff[:]); err != nil {
		return wavFormat{}, 0, notWAV(err)
	}
	if id := string(riff[:4]); id != "RIFF" && id != "RF64" || string(riff[8:]) != "WAVE" {
		return wavFormat{}, 0, errNotWAV
	}
	streamed := binary.LittleEndian.Uint32(riff[4:]) == 0
	skipped := int64(0)
	for range wavMaxChunks {
		var chunk [8]byte
		if _, err := io.ReadFull(r, chunk[:]); err != nil {
			return wavFormat{}, 0, notWAV(err)
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		read := int64(0) // of it
		switch string(chunk[:4]) {
		case "data":
			if format == (wavFormat{}) {
				return wavFormat{}, 0, errNotWAV
			}
			if length == math.MaxUint32 || length == 0 && streamed {
				length = math.MaxInt64
			}
			return format, length, nil
		case "fmt ":
			var body [40]byte
			n, err := io.ReadFull(r, body[:min(length, int64(len(body)))])
			if err != nil {
				return wavFormat{}, 0, notWAV(err)
			}
			if format, err = parseWAVFormat(body[:n]); err != nil {
				return wavFormat{}, 0, err
			}
			read = int64(n)
		}
		length += length&1 - read // chunks begin at even places
		if skipped += length; skipped > wavMaxBefore {
			return wavFormat{}, 0, errNotWAV
		}
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return wavFormat{}, 0, notWAV(err)
		}
	}
	return wavFormat{}, 0, errNotWAV
}

// notWAV is errNotWAV where the file was too short, and err where it could not
// be read.
func notWAV(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNotWAV
	}
	return err
}

// parseWAVFormat parses the body of a fmt chunk.
func parseWAVFormat(b []byte) (wavFormat, error) {
	if len(b) < 16 {
		return wavFormat{}, errNotWAV
	}
	le := binary.LittleEndian
	coding, bits := int(le.Uint16(b)), int(le.Uint16(b[14:]))
	if coding == wavExtensible {
		if len(b) < 26 {
			return wavFormat{}, errNotWAV
		}
		coding = int(le.Uint16(b[24:])) // the GUID of a format begins with its number
	}
	f := wavFormat{
		coding:   coding,
		channels: int(le.Uint16(b[2:])),
		rate:     int(min(le.Uint32(b[4:]), math.MaxInt32)),
		octets:   (bits + 7) / 8,
	}
	known := false
	switch coding {
	case wavPCM:
		known = f.octets >= 1 && f.octets <= 4
	case wavFloat:
		known = bits == 32 || bits == 64
	case wavALaw, wavMuLaw:
		known = bits == 8
	}
	if !known || f.channels < 1 || f.channels > wavMaxChannels ||
		f.rate < 1000 || f.rate > wavMaxRate || int(le.Uint16(b[12:])) != f.channels*f.octets {
		return wavFormat{}, errWAVSound
	}
	return f, nil
}

// mono is the mean of the channels of one block, in units of 16-bit samples.
func (f wavFormat) mono(block []byte) float64 {
	sum := 0.0
	for at := 0; at < len(block); at += f.octets {
		sum += f.sample(block[at : at+f.octets])
	}
	return sum / float64(f.channels)
}

func (f wavFormat) sample(b []byte) float64 {
	le := binary.LittleEndian
	switch {
	case f.coding == wavALaw:
		return g711(audio.PCMA, b)
	case f.coding == wavMuLaw:
		return g711(audio.PCMU, b)
	case f.coding == wavFloat && f.octets == 4:
		return fullScale(float64(math.Float32frombits(le.Uint32(b))))
	case f.coding == wavFloat:
		return fullScale(math.Float64frombits(le.Uint64(b)))
	case f.octets == 1:
		return float64(int(b[0])-128) * (1 << 8)
	case f.octets == 2:
		return float64(int16(le.Uint16(b)))
	case f.octets == 3:
		return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 16)
	}
	return float64(int32(le.Uint32(b))) / (1 << 16)
}

func g711(law audio.Law, b []byte) float64 {
	var pcm [1]int16
	law.Decode(pcm[:], b)
	return float64(pcm[0])
}

// fullScale takes a float sample, where 1 is the loudest, and nothing that
// would spoil its neighbours in the resampler.
func fullScale(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return max(-1, min(1, x)) * (1 << 15)
}
