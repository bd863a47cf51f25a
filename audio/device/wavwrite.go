package device

import (
	"encoding/binary"
	"math"
	"os"
	"sync"
	"time"

	"securecall/audio"
)

const (
	wavHeaderSize = 44
	wavRefresh    = 2 * audio.SampleRate // octets, a second
)

// wavSink writes what is heard to a file, at the pace of a clock.
type wavSink struct {
	clock *clock
	path  string

	mu       sync.Mutex // Close comes from elsewhere
	file     *os.File
	closed   bool
	seekable bool // the header can be completed later; not so in a FIFO
	size     int64
	unsaid   int // octets since the header was written
	raw      []byte
}

// createWAV creates or empties a file as a speaker. It holds what was said in
// confidence, so nobody else may read it.
func createWAV(path string, o Options) (audio.Sink, error) {
	file, err := openFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fileError(path, err, "choose a file that can be written")
	}
	info, err := file.Stat()
	s := &wavSink{
		clock:    newSinkClock(o),
		path:     path,
		file:     file,
		seekable: err == nil && info.Mode().IsRegular(),
	}
	size := int64(0)
	if !s.seekable {
		size = math.MaxUint32
	}
	header := wavHeader(1, size)
	if _, err := file.Write(header[:]); err != nil {
		s.clock.close()
		file.Close()
		return nil, s.failed(err)
	}
	return s, nil
}

func (s *wavSink) WriteFrame(f audio.Frame) error {
	if err := s.write(f); err != nil {
		return err
	}
	return s.clock.wait()
}

func (s *wavSink) write(f audio.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.raw = appendFrame(s.raw[:0], f)
	n, err := s.file.Write(s.raw)
	s.size += int64(n)
	if err != nil {
		return s.failed(err)
	}
	// A process that is killed leaves a file that says less than it has, by a
	// second at most, and never more.
	if s.unsaid += n; s.unsaid < wavRefresh {
		return nil
	}
	return s.refresh()
}

// refresh makes the header say how much sound follows.
func (s *wavSink) refresh() error {
	s.unsaid = 0
	if !s.seekable {
		return nil
	}
	header := wavHeader(1, s.size)
	if _, err := s.file.WriteAt(header[:], 0); err != nil {
		return s.failed(err)
	}
	return nil
}

func (s *wavSink) Close() error {
	s.clock.close()
	if !s.seekable {
		_ = s.file.SetWriteDeadline(time.Now()) // who reads a FIFO may have stopped, and hold up a write
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.refresh()
	if closing := s.file.Close(); err == nil && closing != nil {
		err = s.failed(closing)
	}
	return err
}

func (s *wavSink) failed(err error) error {
	return &Error{Spec: s.path, Err: cause(err), Hint: writeHint(err), File: true}
}

// appendFrame appends f as raw 16-bit little-endian samples.
func appendFrame(raw []byte, f audio.Frame) []byte {
	for _, x := range f {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(x))
	}
	return raw
}

// takeFrame is the opposite: raw holds all of f.
func takeFrame(f audio.Frame, raw []byte) {
	for i := range f {
		f[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
}

// wavHeader is the header of a file of 8 kHz 16-bit sound, size octets of it; a
// size beyond what the format can say means that it is not known.
func wavHeader(channels int, size int64) [wavHeaderSize]byte {
	var b [wavHeaderSize]byte
	le := binary.LittleEndian
	copy(b[0:], "RIFF")
	le.PutUint32(b[4:], uint32(min(size+wavHeaderSize-8, math.MaxUint32)))
	copy(b[8:], "WAVEfmt ")
	le.PutUint32(b[16:], 16)
	le.PutUint16(b[20:], wavPCM)
	le.PutUint16(b[22:], uint16(channels))
	le.PutUint32(b[24:], audio.SampleRate)
	le.PutUint32(b[28:], uint32(2*channels*audio.SampleRate)) // octets a second
	le.PutUint16(b[32:], uint16(2*channels))
	le.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	le.PutUint32(b[40:], uint32(min(size, math.MaxUint32)))
	return b
}
