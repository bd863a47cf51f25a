package sas

import (
	"fmt"
	"strings"
	"testing"
)

// The end points of both lists, and bits that must not be shown. Values with
// their sashash from libbzrtp are replayed in crypto/zrtp.
func TestRender(t *testing.T) {
	for _, c := range []struct {
		kind  string
		value uint32
		want  string
	}{
		// The even word of the first byte, the odd word of the second.
		{"B256", 0x00000000, "aardvark adroitness"},
		{"B256", 0xffffffff, "Zulu Yucatan"},
		{"B256", 0x00ff1234, "aardvark Yucatan"},
		{"B256", 0xff00abcd, "Zulu adroitness"},
		{"B32 ", 0x00000000, "yyyy"},
		{"B32 ", 0xffffffff, "9999"},
		// 00001 00010 00011 00100, then twelve bits that are not shown
		{"B32 ", 0b00001_00010_00011_00100_111111111111, "bndr"},
		{"B32 ", 0b00001_00010_00011_00100_000000000000, "bndr"},
	} {
		got, ok := Render(c.kind, c.value)
		if !ok || got != c.want {
			t.Errorf("%s of %08x: %q, want %q", c.kind, c.value, got, c.want)
		}
	}
	for _, kind := range []string{"B32", "B257", "", "b256", "Prsh"} {
		if got, ok := Render(kind, 0); ok {
			t.Errorf("type %q gives %q", kind, got)
		}
	}
}

// RFC 6189, Section 5.1.6: the SAS "is rendered … using the PGP Word List":
// two different pairs of bytes never look alike, whichever way they are read.
func TestWordsAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for i := range 256 {
		for place, w := range map[string]string{"even": evenWords[i], "odd": oddWords[i]} {
			here := fmt.Sprintf("%s %02x", place, i)
			if before := seen[strings.ToLower(w)]; before != "" {
				t.Errorf("%q stands at %s and at %s", w, before, here)
			}
			seen[strings.ToLower(w)] = here
			if w == "" || strings.ContainsAny(w, " \t") {
				t.Errorf("%s is %q", here, w)
			}
		}
	}
	if len(seen) != 512 {
		t.Errorf("%d words", len(seen))
	}
}

func TestEveryCharacterIsDistinct(t *testing.T) {
	seen := map[string]bool{}
	for i := range uint32(1 << 20) {
		text, ok := Render("B32 ", i<<12)
		if !ok || seen[text] {
			t.Fatalf("%05x: %q again", i, text)
		}
		seen[text] = true
	}
}

func ExampleRender() {
	words, _ := Render("B256", 0x73a50000)
	letters, _ := Render("B32 ", 0x73a50000)
	fmt.Println(words)
	fmt.Println(letters)
	// Output:
	// hockey paperweight
	// qq1o
}
