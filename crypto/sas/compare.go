package sas

import (
	"slices"
	"strings"
	"sync"
)

// Halves divides a SAS as Render shows it into what the initiator reads out
// and what the responder does: the first and the second word of B256, the
// first and the last two characters of B32.
func Halves(sasType, text string) (initiator, responder string, ok bool) {
	switch strings.TrimSpace(sasType) {
	case "B32":
		if len(text) == 4 {
			return text[:2], text[2:], true
		}
	case "B256":
		return strings.Cut(text, " ")
	}
	return "", "", false
}

// Matches tells whether what a person typed after listening is want, a whole
// SAS or a half of it. Case and punctuation between words do not count.
//
// Two PGP words may come in either order: each list has words of its own. A
// word that is in neither list is taken for the one it may be a slip of: the
// only one of both lists that is one letter put in, left out or changed away
// (two letters swapped are two edits: enough is forgiven). Where two could be
// meant, none is. Characters of B32 are all that there is:
// nothing is forgiven, and their order counts.
func Matches(sasType, want, typed string) bool {
	switch strings.TrimSpace(sasType) {
	case "B32":
		return want != "" && strings.Join(fields(typed), "") == want
	case "B256":
		var heard []string
		for _, f := range fields(typed) {
			w, ok := meant(f)
			if !ok {
				return false
			}
			heard = append(heard, w)
		}
		expected := fields(want)
		slices.Sort(heard)
		slices.Sort(expected)
		return len(expected) > 0 && slices.Equal(heard, expected)
	}
	return false
}

// Shaped tells whether text could be a SAS of a type at all, as a program prints
// it, so that it is worth comparing: nothing else says anything about who is in
// between.
func Shaped(sasType, text string) bool {
	f := fields(text)
	switch strings.TrimSpace(sasType) {
	case "B32":
		return len(f) == 1 && len(f[0]) == 4 && strings.Trim(f[0], "ybndrfg8ejkmcpqxot1uwisza345h769") == ""
	case "B256":
		return len(f) == 2 && slices.Contains(allWords(), f[0]) && slices.Contains(allWords(), f[1])
	}
	return false
}

// fields are the words of a text in lower case.
func fields(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return strings.ContainsRune(" \t\r\n,;.-–_/", r)
	})
}

// meant is the word of the lists, in lower case, that typed stands for.
func meant(typed string) (word string, ok bool) {
	near := 0
	for _, w := range allWords() {
		if w == typed {
			return w, true // never corrected into another one
		}
		if oneEdit(w, typed) {
			word = w
			near++
		}
	}
	return word, near == 1
}

// allWords are those of both lists, in lower case.
var allWords = sync.OnceValue(func() (all []string) {
	for _, w := range slices.Concat(evenWords[:], oddWords[:]) {
		all = append(all, strings.ToLower(w))
	}
	return all
})

// oneEdit tells whether b is a with one letter put in, left out or changed.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) == len(b) {
		return i < len(a) && a[i+1:] == b[i+1:]
	}
	return a[i:] == b[i+1:]
}
