package callcode

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"securecall/crypto/sas"
)

func Example() {
	code, err := New(rand.Reader, 48)
	if err != nil {
		panic(err)
	}
	typed := strings.ReplaceAll(strings.ToUpper(code.String()), "-", " ")
	heard, err := Parse("“" + typed + "”")
	fmt.Println(heard == code, heard.Mailbox(), err)

	_, err = Parse("48-harbour-violin-echo")
	fmt.Println(err)
	// Output:
	// true 48 <nil>
	// "harbour" is no word of call codes; did you mean harbor?
}

func ExampleComplete() {
	fmt.Println(Complete("har"))
	// Output: [harbor harmony harp harvest]
}

func TestList(t *testing.T) {
	if n := len(strings.Fields(words)); n != len(list) {
		t.Fatalf("%d words, want %d", n, len(list))
	}
	if !slices.IsSorted(list[:]) {
		t.Error("not sorted")
	}
	if !strings.HasSuffix(words, list[len(list)-1]+"\n") {
		t.Error("words.txt does not end with its last word")
	}
	sounds := map[string]string{}
	for i, w := range list {
		if like, ok := sounds[sound(w)]; ok {
			t.Errorf("%s and %s sound alike", like, w)
		}
		sounds[sound(w)] = w
		if len(w) < enough || len(w) > 8 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q: 4 to 8 small letters", w)
		}
		for _, v := range list[:i] {
			if v[:enough] == w[:enough] {
				t.Errorf("%s and %s begin with the same four letters", v, w)
			}
			if slips(v, w) < 2 {
				t.Errorf("%s and %s are one slip apart", v, w)
			}
		}
	}
}

// The PGP word list is what short authentication strings are made of.
func TestNoPGPWord(t *testing.T) {
	pgp := map[string]bool{}
	for b := range uint32(256) {
		shown, ok := sas.Render("B256", b<<24|b<<16)
		if !ok {
			t.Fatal("no words")
		}
		for _, w := range strings.Fields(strings.ToLower(shown)) {
			pgp[w] = true
		}
	}
	if len(pgp) != 512 {
		t.Fatalf("%d PGP words", len(pgp))
	}
	for _, w := range list {
		for p := range pgp {
			if slips(w, p) < 2 {
				t.Errorf("%s is %s of the PGP list, or one slip from it", w, p)
			}
		}
	}
}

// sound spells a word by a rough idea of how it is said: letters that sound the
// same become one, twins too, and of vowels only the first one counts.
func sound(w string) string {
	w = strings.NewReplacer(
		"tch", "C", "ch", "C", "ck", "k", "ph", "f", "sh", "S", "th", "T", "wh", "w", "wr", "r", "kn", "n", "gn", "n",
		"mb", "m", "dge", "J", "ce", "sa", "ci", "sa", "cy", "sa", "ge", "J", "gi", "Ja", "qu", "kw", "x", "ks",
		"c", "k", "z", "s", "gh", "", "j", "J",
	).Replace(w)
	var b strings.Builder
	last, vowels := rune(0), 0
	for _, r := range w {
		if strings.ContainsRune("aeiouy", r) {
			if vowels++; vowels > 1 {
				r = 'a'
			}
		}
		if r != last {
			b.WriteRune(r)
		}
		last = r
	}
	return strings.TrimSuffix(b.String(), "a")
}

func TestNew(t *testing.T) {
	// Places 0, 511 and, with the bits above the ninth left out, 1.
	c, err := New(bytes.NewReader([]byte{0, 0, 1, 255, 254, 1}), 7)
	if err != nil || c.String() != "7-"+list[0]+"-"+list[511]+"-"+list[1] || c.Mailbox() != 7 {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := New(rand.Reader, 0); err == nil || c != (Code{}) {
		t.Errorf("mailbox 0: %v, %v", c, err)
	}
	if c, err := New(bytes.NewReader(make([]byte, 5)), 7); !errors.Is(err, io.ErrUnexpectedEOF) || c != (Code{}) {
		t.Errorf("a source that ends: %v, %v", c, err)
	}
	if s := (Code{}).String(); s != "" {
		t.Errorf("no code is %q", s)
	}
}

// Every word comes at every place, and all of them about equally often.
func TestNewIsUniform(t *testing.T) {
	const draws = 100 * len(list)
	var count [Words][len(list)]int
	for range draws {
		c, err := New(rand.Reader, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, place := range c.words {
			count[i][place]++
		}
	}
	for i := range count {
		for place, n := range count[i] {
			if n < 40 || n > 170 { // 6 standard deviations of 10 and more
				t.Errorf("place %d: %s came %d times of %d", i, list[place], n, draws)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{
		"48-harbor-violin-echo",
		"48 harbor violin echo",
		" 48-Harbor-VIOLIN-echo\r\n",
		"\"48-harbor-violin-echo\"",
		"“48-harbor-violin-echo”.",
		"(48, harbor, violin, echo)",
		"48–harbor—violin‑echo",
		"48_harbor.violin/echo",
		"048-harbo-viol-echo",
		"48-harbo-vio-echo",
		"48\u00a0harbor\u00a0violin\u00a0echo",
	} {
		c, err := Parse(text)
		if err != nil || c.String() != "48-harbor-violin-echo" {
			t.Errorf("%q: %q, %v", text, c, err)
		}
	}
	if c, err := Parse("4294967295-acorn-acorn-zodiac"); err != nil || c.Mailbox() != 1<<32-1 {
		t.Errorf("%q, %v", c, err)
	}
}

func TestParseRefuses(t *testing.T) {
	const number = "a call code begins with a number, as 48-harbor-violin-echo does"
	for text, want := range map[string]string{
		"":                              number,
		"harbor-violin-echo":            number,
		"0-harbor-violin-echo":          number,
		"4294967296-harbor-violin":      number,
		"4x-harbor-violin-echo":         number,
		"٤٨-harbor-violin-echo":         number,
		"-- ! --":                       number,
		"1" + strings.Repeat("-a", 256): number,

		"48":                           "a call code has three words after its number; this has 0 words",
		"48-harbor":                    "a call code has three words after its number; this has 1 word",
		"48-harbor-violin":             "a call code has three words after its number; this has 2 words",
		"48-harbor-violin-echo-harbor": "a call code has three words after its number; this has 4 words",

		"48-harbour-violin-echo":      `"harbour" is no word of call codes; did you mean harbor?`,
		"48-harbor-vilin-echo":        `"vilin" is no word of call codes; did you mean violin?`,
		"48-harbor-voilin-echo":       `"voilin" is no word of call codes; did you mean violin?`,
		"48-harbor-v1olin-echo":       `"v1olin" is no word of call codes; did you mean violin?`,
		"48-arbor-violin-echo":        `"arbor" is no word of call codes; did you mean harbor?`,
		"48-har-violin-echo":          `"har" is no word of call codes; did you mean harbor, harmony, harp or harvest?`,
		"48-harbor-violin-ec":         `"ec" is no word of call codes; did you mean echo or eclipse?`,
		"48-harbor-violin-e":          `"e" is no word of call codes`,
		"48-harb-violin-echo":         `"harb" is no word of call codes; did you mean harbor or harp?`,
		"48-harbor-violin-yo":         `"yo" is no word of call codes; did you mean yogurt?`,
		"48-harbor-violin-pola":       `"pola" is no word of call codes; did you mean polar or polka?`,
		"48-harbor-violin-papr":       `"papr" is no word of call codes; did you mean paper or paprika?`,
		"48-harbor-violin-xyzzy":      `"xyzzy" is no word of call codes`,
		"48-härbor-violin-echo":       `"härbor" is no word of call codes; did you mean harbor?`,
		"48-ha\u0308rbor-violin-echo": "\"ha\u0308rbor\" is no word of call codes; did you mean harbor?",
		"48-topmost-violin-echo":      `"topmost" is no word of call codes`,
		"48-echoes-violin-harbor":     `"echoes" is no word of call codes; did you mean echo?`,
	} {
		c, err := Parse(text)
		if err == nil || err.Error() != want || c != (Code{}) {
			t.Errorf("%q: %q, %v\nwant %s", text, c, err, want)
		}
	}
}

// One slip in any word never gives another code, and Parse asks whether it was
// that word.
func TestSlips(t *testing.T) {
	for _, w := range list {
		for i := range len(w) {
			slips := []string{w[:i] + w[i+1:], w[:i] + "q" + w[i+1:], w[:i] + "q" + w[i:]}
			if i > 0 {
				slips = append(slips, w[:i-1]+w[i:i+1]+w[i-1:i]+w[i+1:])
			}
			for _, slip := range slips {
				c, err := Parse("1-acorn-" + slip + "-zodiac")
				if err == nil {
					if c.String() != "1-acorn-"+w+"-zodiac" {
						t.Errorf("%s for %s is taken for %s", slip, w, c)
					}
					continue
				}
				var unknown *WordError
				if !errors.As(err, &unknown) || unknown.Typed != slip || !slices.Contains(unknown.Near, w) {
					t.Errorf("%s for %s: %v", slip, w, err)
				}
			}
		}
	}
}

func TestLooks(t *testing.T) {
	for text, want := range map[string]bool{
		"48-harbor-violin-echo":             true,
		" 48 HARBOR violin, echo. ":         true,
		"“48-harbor-violin-echo”":           true,
		"48-habor-voilin-eco":               true,
		"48-harbor-violin":                  true,
		"harbor-violin-echo":                true,
		"48-harbor-violin-echo-":            true,
		"48-harbor":                         false,
		"harbor-violin":                     false,
		"harbor":                            false,
		"":                                  false,
		"alice":                             false,
		"alice smith":                       false,
		"example.org":                       false,
		"48-a-b-c.example.org":              false,
		"harbor.violin.echo":                false,
		"192.0.2.1:5004":                    false,
		"[2001:db8::1]:5004":                false,
		"2001:db8::1":                       false,
		"host-3":                            false,
		"3-eleven":                          false,
		"12-34-56-78":                       false,
		"sip:48-harbor-violin-echo":         false,
		"1" + strings.Repeat("-harbor", 64): false,
	} {
		if got := Looks(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestComplete(t *testing.T) {
	for typed, want := range map[string][]string{
		"": nil, "EC": {"echo", "eclipse"}, "echo": {"echo"}, "echoes": {}, "zz": {}, "zo": {"zodiac"},
	} {
		if got := Complete(typed); !slices.Equal(got, want) {
			t.Errorf("%q: %q", typed, got)
		}
	}
	Complete("zodiac")[0] = "changed"
	if list[len(list)-1] != "zodiac" {
		t.Error("the list can be changed from outside")
	}
}

// Whatever is typed: no panic; what is a code stays one in its own form and looks
// like one, and no error repeats more than a word.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"48-harbor-violin-echo", "“048, HARB viol echo”", "48-harbour-violin-echo", "48-har-e-xyzzy", "48", "\xff-\u0130-K",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		Looks(text)
		Complete(text)
		c, err := Parse(text)
		if err != nil {
			if c != (Code{}) {
				t.Errorf("%v with an error", c)
			}
			var unknown *WordError
			if errors.As(err, &unknown) && (strings.ContainsAny(unknown.Typed, " -\n\x1b") || len(err.Error()) > 2*longest+100) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := Parse(c.String())
		if err != nil || again != c || !Looks(c.String()) {
			t.Errorf("%q becomes %v, and that %v, %v", text, c, again, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("48-harbor-viol-echo"); err != nil {
			b.Fatal(err)
		}
	}
}
