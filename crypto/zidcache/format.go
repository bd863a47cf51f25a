package zidcache

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
)

// The file, version 2 (docs/notes/zid-cache.md):
//
//	securecall zids 2
//	own ZID
//	ZID, answered, last, first, address, verified, how, expires, rs1, rs2, name: a line a peer
//	sum CRC-32C of everything above
//
// Numbers are small hexadecimal digits, times RFC 3339 in UTC, fields are
// divided by tabs, and what there is not is empty. Behind rs1 and rs2, without anything
// between, stands what was kept beside it for meeting. Version 1 had no such thing; it is
// read, and written as version 2.
const (
	magic   = "securecall zids "
	version = 2
	sumSize = len("sum 00000000\n")

	// maxSize is what a file may have, about 150,000 peers.
	maxSize = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A damage says that the file is not what was written.
type damage struct {
	why  error
	gone bool // there is no file any more
}

func (d *damage) Error() string { return "is damaged: " + d.why.Error() }

var errLine = &damage{why: errors.New("a line cannot be read")}

// A state is a file that has been read. It aliases the bytes it was read from,
// which hold secrets.
type state struct {
	own     ZID
	head    []byte // as it is to be written
	records []byte // whole lines
}

// parse checks the file as a whole. Of the records it reads nothing yet:
// 10,000 of them would take longer than a call should wait. The error is
// ErrNewer or a *damage.
func parse(data []byte) (*state, error) {
	first, rest, _ := bytes.Cut(data, []byte{'\n'})
	if err := checkMagic(first); err != nil {
		return nil, err
	}
	if len(data) < sumSize {
		return nil, &damage{why: errors.New("its end is missing")}
	}
	content := data[:len(data)-sumSize]
	if !bytes.Equal(data[len(content):], appendSum(nil, content)) {
		return nil, &damage{why: errors.New("the sum at its end is wrong")}
	}
	own, records, _ := bytes.Cut(rest[:max(0, len(rest)-sumSize)], []byte{'\n'})
	digits, ok := bytes.CutPrefix(own, []byte("own "))
	zid, err := parseZID(digits)
	if !ok || err != nil || len(records) > 0 && records[len(records)-1] != '\n' {
		return nil, errLine
	}
	s := &state{own: zid, head: appendHead(nil, zid), records: records}
	if !isHead(first) || !bytes.Equal(content[len(first)+1:len(content)-len(records)], appendOwn(nil, zid)) {
		return nil, errLine
	}
	return s, nil
}

func appendHead(dst []byte, own ZID) []byte {
	return appendOwn(append(appendMagic(dst, version), '\n'), own)
}

func appendMagic(dst []byte, v uint64) []byte {
	return strconv.AppendUint(append(dst, magic...), v, 10)
}

// isHead tells whether line, without its line feed, is the first of a file that can be read.
func isHead(line []byte) bool {
	return bytes.Equal(line, appendMagic(nil, 1)) || bytes.Equal(line, appendMagic(nil, version))
}

func appendOwn(dst []byte, own ZID) []byte {
	return append(hex.AppendEncode(append(dst, "own "...), own[:]), '\n')
}

func appendSum(dst, content []byte) []byte {
	return fmt.Appendf(dst, "sum %08x\n", crc32.Checksum(content, castagnoli))
}

// appendState writes a file without records.
func appendState(dst []byte, own ZID) []byte {
	dst = appendHead(dst, own)
	return appendSum(dst, dst)
}

// isOf tells which line is that of a peer, isNamed which that of a contact.
func isOf(zid ZID) func(line []byte) bool {
	key := append(hex.AppendEncode(nil, zid[:]), '\t')
	return func(line []byte) bool { return bytes.HasPrefix(line, key) }
}

func isNamed(name string) func(line []byte) bool {
	end := []byte("\t" + name + "\n")
	return func(line []byte) bool { return name != "" && bytes.HasSuffix(line, end) }
}

// find is the line of a peer, or nil.
func (s *state) find(zid ZID) []byte {
	key := append(hex.AppendEncode([]byte{'\n'}, zid[:]), '\t')
	if bytes.HasPrefix(s.records, key[1:]) {
		return lineAt(s.records, 0)
	}
	i := bytes.Index(s.records, key)
	if i < 0 {
		return nil
	}
	return lineAt(s.records, i+1)
}

// named is the line of a contact, or nil. A name is the last field and holds
// neither tabs nor line feeds.
func (s *state) named(name string) []byte {
	if name == "" {
		return nil
	}
	i := bytes.Index(s.records, []byte("\t"+name+"\n"))
	if i < 0 {
		return nil
	}
	return lineAt(s.records, bytes.LastIndexByte(s.records[:i], '\n')+1)
}

// lineAt is the line that begins at i, with its line feed.
func lineAt(b []byte, i int) []byte {
	return b[i : i+bytes.IndexByte(b[i:], '\n')+1]
}

// record reads a line that find or named has found.
func (s *state) record(line []byte) (r Record, found bool, err error) {
	if line == nil {
		return Record{}, false, nil
	}
	r, err = parseRecord(line)
	return r, err == nil, err
}

// update returns the line of zid as it is, and as change makes it: nil where that is the same, or
// is refused.
func (s *state) update(zid ZID, change func(r *Record) error) (old, line []byte, stranger bool, err error) {
	if zid == s.own {
		return nil, nil, false, errors.New("zid cache: about one's own ZID nothing is kept")
	}
	old = s.find(zid)
	r, known, err := s.record(old)
	if err != nil {
		return nil, nil, false, err
	}
	before := r // the same slices, to be wiped whatever change does with r
	defer before.Wipe()
	r.ZID = zid
	if err := change(&r); err != nil {
		return nil, nil, false, err
	}
	if r.ZID != zid {
		return nil, nil, false, errors.New("zid cache: a record cannot change its ZID")
	}
	if err := r.check(); err != nil {
		return nil, nil, false, err
	}
	if other := s.named(r.Name); other != nil && (old == nil || &other[0] != &old[0]) {
		owner, _ := parseZID(other[:min(len(other), 2*len(zid))])
		return nil, nil, false, &NameTakenError{Name: r.Name, ZID: owner}
	}
	line = r.append(make([]byte, 0, maxLine))
	if known && bytes.Equal(line, old) {
		clear(line)
		line = nil
	}
	return old, line, r.stranger(), nil
}

// with is a file, but for the sum, in which the line now stands instead of before, which is
// one of s or nil. Where a stranger's line is added, the oldest go that are too
// many. There is room for as much again, so that many updates in a row cost no copy each.
func (s *state) with(before, now []byte, stranger bool) []byte {
	out := [][]byte{before}
	if stranger {
		out = append(out, s.oldest(MaxStrangers-1, before)...)
	}
	data := make([]byte, 0, 2*(len(s.head)+len(s.records)+len(now)+sumSize))
	data = append(data, s.head...)
	for line := range bytes.Lines(s.records) {
		if !slices.ContainsFunc(out, func(o []byte) bool { return len(o) > 0 && &o[0] == &line[0] }) {
			data = append(data, line...)
		}
	}
	return append(data, now...)
}

// oldest are the lines of strangers, but for one, that are more than keep, by
// their last call.
func (s *state) oldest(keep int, but []byte) [][]byte {
	var lines [][]byte
	for line := range bytes.Lines(s.records) {
		if strangerLast(line) != nil && (but == nil || &line[0] != &but[0]) {
			lines = append(lines, line)
		}
	}
	if len(lines) <= keep {
		return nil
	}
	slices.SortStableFunc(lines, func(a, b []byte) int { return bytes.Compare(strangerLast(a), strangerLast(b)) })
	return lines[:len(lines)-keep]
}

// strangerLast is the time of the last call in a stranger's line, which may be
// empty, and nil in any other line.
func strangerLast(line []byte) []byte {
	rest := line[min(len(line), 2*len(ZID{})):]
	rest, unanswered := bytes.CutPrefix(rest, []byte("\t"+unanswered+"\t"))
	if !unanswered || !bytes.HasSuffix(rest, []byte("\t\n")) {
		return nil
	}
	return rest[:bytes.IndexByte(rest, '\t')]
}
