package sas

import (
	"fmt"
	"testing"
)

func ExampleMatches() {
	text, _ := Render("B256", 0xe5820000)
	fmt.Println(text)
	fmt.Println(Matches("B256", text, "Topmost, Istanbul"), Matches("B256", text, "istanbul topmst"), Matches("B256", text, "y"))
	// Output:
	// topmost Istanbul
	// true true false
}

func TestHalves(t *testing.T) {
	for _, c := range []struct {
		sasType, text, first, second string
		ok                           bool
	}{
		{"B256", "tissue disbelief", "tissue", "disbelief", true},
		{"B32 ", "ab12", "ab", "12", true},
		{"B32", "ab12", "ab", "12", true},
		{"B32", "ab1", "", "", false},
		{"B999", "ab12", "", "", false},
	} {
		first, second, ok := Halves(c.sasType, c.text)
		if first != c.first || second != c.second || ok != c.ok {
			t.Errorf("%s %q: %q, %q, %v", c.sasType, c.text, first, second, ok)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		sasType, want, typed string
		matches              bool
	}{
		{"B256", "tissue disbelief", "tissue disbelief", true},
		{"B256", "tissue disbelief", "  Disbelief,\tTISSUE ", true},
		{"B256", "tissue disbelief", "tissue-disbelief", true},
		{"B256", "tissue disbelief", "tisue disbeleif", false}, // one of them is two edits away
		{"B256", "tissue disbelief", "tisue disbelef", true},
		{"B256", "tissue disbelief", "tissues disbelief", true},
		{"B256", "tissue disbelief", "tissue", false},
		{"B256", "tissue disbelief", "disbelief", false},
		{"B256", "tissue disbelief", "tissue tissue", false},
		{"B256", "tissue disbelief", "tissue disbelief tissue", false},
		{"B256", "tissue disbelief", "tissue disbelief disbelief", false},
		{"B256", "tissue disbelief", "tissue Dakota", false},
		{"B256", "tissue disbelief", "", false},
		{"B256", "tissue disbelief", " ", false},
		{"B256", "tissue disbelief", "y", false},
		{"B256", "tissue disbelief", "yes", false},
		{"B256", "tissue disbelief", "y y", false},
		{"B256", "disbelief", "disbelief", true}, // a half
		{"B256", "disbelief", "tissue", false},
		{"B256", "", "", false},
		{"B32 ", "ab12", "ab12", true},
		{"B32", "ab13", "AB 1-3", true},
		{"B32", "ab13", "ab14", false},
		{"B32", "ab13", "13ab", false},
		{"B32", "ab13", "ab1", false},
		{"B32", "ab13", "ab133", false},
		{"B32", "ab", "ab", true},
		{"B32", "ab13", "", false},
		{"B32", "", "", false},
		{"B999", "x", "x", false},
	} {
		if got := Matches(c.sasType, c.want, c.typed); got != c.matches {
			t.Errorf("%s: %q for %q: %v", c.sasType, c.typed, c.want, got)
		}
	}
}

// Every slip of one letter of every word: it is that word, or none, and never
// another one unless it spells that one out.
func TestSlips(t *testing.T) {
	words := map[string]bool{}
	for _, w := range allWords() {
		words[w] = true
	}
	if len(words) != 512 {
		t.Fatalf("%d different words", len(words))
	}
	forgiven, refused, others := 0, 0, 0
	for w := range words {
		try := func(slip string) {
			got, ok := meant(slip)
			switch {
			case words[slip]:
				others++
				if got != slip {
					t.Errorf("%q is taken for %q", slip, got)
				}
			case !ok:
				refused++ // it may be two words
			case got != w:
				t.Errorf("%q, a slip of %q, is taken for %q", slip, w, got)
			default:
				forgiven++
			}
		}
		for i := range len(w) + 1 {
			for c := 'a'; c <= 'z'; c++ {
				try(w[:i] + string(c) + w[i:])
				if i < len(w) && w[i] != byte(c) {
					try(w[:i] + string(c) + w[i+1:])
				}
			}
			if i < len(w) {
				try(w[:i] + w[i+1:])
			}
		}
	}
	t.Logf("%d slips forgiven, %d refused, %d spell another word", forgiven, refused, others)
	if forgiven < 100*refused || refused == 0 {
		t.Errorf("%d forgiven, %d refused", forgiven, refused)
	}
}

// What is typed matches one SAS at most.
func FuzzMatches(f *testing.F) {
	for _, s := range []string{"tissue disbelief", "y", "", "aardvark adroitness", "ab13", "tisue, disbelef", "\xff\xfe"} {
		f.Add(s, uint32(0))
	}
	f.Fuzz(func(t *testing.T, typed string, other uint32) {
		for _, sasType := range []string{"B32", "B256"} {
			n := 0
			for value := range uint32(256) {
				// Each first word with the second that other names: typed fits one of them.
				text, _ := Render(map[string]string{"B32": "B32 ", "B256": "B256"}[sasType], value<<24|other&0xff0000)
				if Matches(sasType, text, typed) {
					n++
				}
			}
			if n > 1 {
				t.Errorf("%q is %d different strings", typed, n)
			}
		}
	})
}
