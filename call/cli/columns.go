package cli

import (
	"unicode"
	"unicode/utf8"
)

// How much room text takes on a terminal: rather too much than too little, so
// that no row is longer than was thought. What East Asia writes, and pictures,
// take two columns (Unicode Standard Annex #11).

// wide are the blocks in which something takes two columns.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1},
		{0x2300, 0x23ff, 1},
		{0x25fd, 0x27bf, 1},
		{0x2b00, 0x2bff, 1},
		{0x2e80, 0xa4cf, 1},
		{0xa960, 0xa97c, 1},
		{0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1},
		{0xfe10, 0xfe19, 1},
		{0xfe30, 0xfe6f, 1},
		{0xff01, 0xff60, 1},
		{0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{{0x16fe0, 0x1b2ff, 1}, {0x1d300, 0x1d37f, 1}, {0x1f000, 0x1faff, 1}, {0x20000, 0x3fffd, 1}},
}

func columnsOf(r rune) int {
	if unicode.Is(wide, r) {
		return 2
	}
	return 1
}

// columns is how many columns s takes.
func columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

// cut is the beginning of s, as far as n columns reach.
func cut(s string, n int) string {
	for i, r := range s {
		if n -= columnsOf(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// ending is the end of s, as far as n columns reach.
func ending(s string, n int) string {
	for over := columns(s) - n; over > 0 && s != ""; {
		r, size := utf8.DecodeRuneInString(s)
		s, over = s[size:], over-columnsOf(r)
	}
	return s
}

// wrapped breaks s into rows of n columns, each but the first after a mark, so
// that nothing in s can stand where a line of ours begins. Where there is no
// room for that, s stays one row.
func wrapped(s, mark string, n int) []string {
	room := n - columns(mark)
	if room < 2 { // not even one that is wide
		return []string{s}
	}
	row := cut(s, n)
	rows := []string{row}
	for s = s[len(row):]; s != ""; s = s[len(row):] {
		row = cut(s, room)
		rows = append(rows, mark+row)
	}
	return rows
}
