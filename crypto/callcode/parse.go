package callcode

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	// fewest letters can stand for a word that begins with them.
	fewest = 3
	// enough letters are those of one word only.
	enough = 4
	// longest is more bytes than a code comes to, however it is written.
	longest = 256
)

// Parse reads a code as people type or paste it: in any case, with spaces, commas,
// dots or dashes of any kind between its parts, in quotes or brackets, each word
// cut off after three letters or more if it can be no other. Its errors are
// written for whoever typed it: ErrNumber, a CountError or a *WordError. Of what
// was typed they hold one word at most.
func Parse(text string) (Code, error) {
	parts := split(text)
	if len(parts) == 0 {
		return Code{}, ErrNumber
	}
	mailbox, err := strconv.ParseUint(parts[0], 10, 32)
	if err != nil || mailbox == 0 {
		return Code{}, ErrNumber
	}
	typed := parts[1:]
	if len(typed) != Words {
		return Code{}, CountError(len(typed))
	}
	c := Code{mailbox: uint32(mailbox)}
	for i, t := range typed {
		found, sure := meant(t)
		if !sure {
			return Code{}, &WordError{Typed: t, Near: found}
		}
		place, _ := slices.BinarySearch(list[:], found[0])
		c.words[i] = uint16(place)
	}
	return c, nil
}

// Looks tells whether whoever typed text had a call code in mind, so that Parse
// is to say what is wrong with it: a number and three words, or two words of the
// list after a number, or three without one. What has a dot, a colon or an @
// inside is an address. A contact's name may look like a code too: those come first.
func Looks(text string) bool {
	text = strings.TrimFunc(text, separates)
	if strings.ContainsAny(text, ".:@/\\") {
		return false
	}
	parts := split(text)
	if len(parts) == 0 {
		return false
	}
	named, known := 0, 0
	for _, p := range parts {
		if !strings.ContainsFunc(p, unicode.IsDigit) {
			named++
		}
		if _, ok := slices.BinarySearch(list[:], p); ok {
			known++
		}
	}
	numbered := strings.Trim(parts[0], "0123456789") == ""
	return known >= Words || numbered && (known >= Words-1 || named == Words && len(parts) == 1+Words)
}

// Complete is the words that begin with what was typed; none for nothing.
func Complete(typed string) []string {
	typed = strings.ToLower(typed)
	if typed == "" {
		return nil
	}
	from, _ := slices.BinarySearch(list[:], typed)
	to := from
	for to < len(list) && strings.HasPrefix(list[to], typed) {
		to++
	}
	return slices.Clone(list[from:to])
}

// split is the parts of a code in lower case, or none of a text too long for one.
func split(text string) []string {
	if len(text) > longest {
		return nil
	}
	return strings.FieldsFunc(strings.ToLower(text), separates)
}

// separates is false for letters that no word has, too: they are a slip and no
// gap.
func separates(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) }

// meant is the words that somebody who typed that may have meant: it alone if it is
// one; else what begins with it or with its first four letters, and what is one
// slip away; if there is none of these, what is two slips away. If sure, it is the
// only one, and typed is it or begins it.
//
// That a single word begins with typed is not enough: pola begins polar, and is
// polka with a letter left out.
func meant(typed string) (found []string, sure bool) {
	if _, ok := slices.BinarySearch(list[:], typed); ok {
		return []string{typed}, true
	}
	var far []string
	for _, w := range list {
		begins := strings.HasPrefix(w, typed) || len(typed) >= enough && strings.HasPrefix(w, typed[:enough])
		switch n := slips(w, typed); {
		case begins || n == 1:
			found = append(found, w)
		case n == 2:
			far = append(far, w)
		}
	}
	if found == nil {
		return far, false
	}
	return found, len(found) == 1 && len(typed) >= fewest && strings.HasPrefix(found[0], typed)
}

// tooFar stands for any number of slips above two.
const tooFar = 3

// slips is how many letters are to be put in, left out, changed or swapped with
// the next one to make b of a.
func slips(a, b string) int {
	// Three rows of the table of distances between beginnings of a and of b.
	var rows [3][16]int
	if len(a)-len(b) >= tooFar || len(b)-len(a) >= tooFar || len(b) >= len(rows[0]) {
		return tooFar
	}
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := above[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], tooFar)
}
