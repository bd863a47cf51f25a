package zidcache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
)

// chunk is how much of the file is in memory at a time while one line is looked
// for: little enough to stay in the processor's cache, so that 10,000 peers cost
// a call about a millisecond, and that few secrets of others pass through memory.
const chunk = 64 << 10

// scan reads the file as parse does, and returns the record of the first line
// that is wanted; nil wants none. The errors are those of readFile and parse.
func (c *Cache) scan(wanted func(line []byte) bool) (r Record, found bool, err error) {
	f, err := openPrivate(c.path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return r, false, &damage{why: err, gone: true}
	} else if err != nil {
		return r, false, err
	}
	defer f.Close()
	s := scanner{wanted: wanted}
	if err = s.run(f); err == nil && !s.ended {
		err = &damage{why: errors.New("its end is missing")}
	}
	if err != nil {
		s.record.Wipe()
		return Record{}, false, fmt.Errorf("%s %w", c.path, err)
	}
	c.own.Store(&s.own)
	return s.record, s.found, nil
}

// A scanner takes a file line by line.
type scanner struct {
	wanted func(line []byte) bool
	lines  int
	sum    uint32
	ended  bool // the line with the sum came, and the sum is right
	own    ZID
	record Record
	found  bool
}

func (s *scanner) run(r io.Reader) error {
	buf := make([]byte, chunk)
	defer clear(buf)
	held, total := 0, 0
	for {
		n, err := r.Read(buf[held:])
		held, total = held+n, total+n
		if total > maxSize {
			return fmt.Errorf("has more than %d bytes", maxSize)
		}
		rest := buf[:held]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			if err := s.line(rest[:i+1]); err != nil {
				return err
			}
			rest = rest[i+1:]
		}
		held = copy(buf, rest)
		switch {
		case err == io.EOF && held > 0, held == len(buf):
			if s.lines == 0 {
				return cmp.Or(checkMagic(rest), error(errLine))
			}
			return errLine
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (s *scanner) line(line []byte) error {
	n := s.lines
	s.lines++
	if s.ended {
		return errLine
	}
	if n >= 2 && bytes.HasPrefix(line, []byte("sum ")) {
		if string(line) != fmt.Sprintf("sum %08x\n", s.sum) {
			return &damage{why: errors.New("the sum at its end is wrong")}
		}
		s.ended = true
		return nil
	}
	s.sum = crc32.Update(s.sum, castagnoli, line)
	switch {
	case n == 0:
		if err := checkMagic(line[:len(line)-1]); err != nil {
			return err
		}
		if !isHead(line[:len(line)-1]) {
			return errLine
		}
	case n == 1:
		digits, ok := bytes.CutPrefix(line[:len(line)-1], []byte("own "))
		own, err := parseZID(digits)
		if s.own = own; !ok || err != nil || !bytes.Equal(line, appendOwn(nil, own)) {
			return errLine
		}
	case s.wanted != nil && !s.found && s.wanted(line):
		var err error
		s.record, err = parseRecord(line)
		s.found = err == nil
		return err
	}
	return nil
}

// checkMagic reads the first line. The error is ErrNewer or a *damage.
func checkMagic(first []byte) error {
	number, ours := bytes.CutPrefix(first, []byte(magic))
	v, err := strconv.ParseUint(string(number[:min(len(number), 20)]), 10, 64)
	switch {
	case !ours || err != nil || v == 0:
		return &damage{why: errors.New("it does not begin as it should")}
	case v > version:
		return ErrNewer
	}
	return nil
}
