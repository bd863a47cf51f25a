package sas

import (
	"fmt"
	"strings"
	"testing"
)

// RFC 6189, Section 5.1.6: "the most-significant (leftmost) 16 bits of the 32-bit
// sasvalue are rendered in network byte order using the PGP Word List"; "the
// most-significant (leftmost) 20 bits of the 32-bit sasvalue are rendered as a
// form of base32 encoding".
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
		// The leftmost 32 bits of sashash, and what libbzrtp 5.1.64 showed of it
		// (the recordings are in ../zrtp/testdata).
		{"B256", 0x7b87059c, "kickoff liberty"},
		{"B32 ", 0x54e78fcd, "kuua"},
		{"B32 ", 0x6f2fde3e, "phz7"},
		{"B32 ", 0xd2099910, "4er3"},
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

// RFC 6189, Section 15.1: "phonetically distinct" words. Here only that no word
// stands twice, in either list: no two pairs of bytes look alike, not even with
// their words swapped.
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

// RFC 6189, Section 5.1.6: "The leftmost 20 bits of the sasvalue results in four
// base32 characters that are rendered, most-significant quintet first": read
// back by the alphabet there, the characters are those bits.
func TestBase32ReadsBack(t *testing.T) {
	for value := uint32(0); value < 1<<20; value += 61 { // every quintet in every place
		text, ok := Render("B32 ", value<<12|0xfff)
		if !ok || len(text) != 4 {
			t.Fatalf("%05x: %q", value, text)
		}
		var got uint32
		for _, c := range text {
			got = got<<5 | uint32(strings.IndexRune("ybndrfg8ejkmcpqxot1uwisza345h769", c))
		}
		if got != value {
			t.Fatalf("%05x: %q reads back as %05x", value, text, got)
		}
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
