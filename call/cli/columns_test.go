package cli

import (
	"strings"
	"testing"
)

func TestColumns(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "verified · 0:07": 15, "電話": 4, "🔒": 2, "⚡": 2, "███░": 4, "한국": 4, "ＡＢ": 4,
	} {
		if got := columns(in); got != want {
			t.Errorf("columns(%q) = %d, want %d", in, got, want)
		}
	}
}

func TestCutAndEnding(t *testing.T) {
	for _, c := range []struct {
		in          string
		n           int
		cut, ending string
	}{
		{"abc", 5, "abc", "abc"},
		{"abc", 2, "ab", "bc"},
		{"電話", 3, "電", "話"},
		{"a電", 1, "a", ""},
		{"abc", 0, "", ""},
		{"abc", -3, "", ""},
		{"", 0, "", ""},
	} {
		if got := cut(c.in, c.n); got != c.cut {
			t.Errorf("cut(%q, %d) = %q, want %q", c.in, c.n, got, c.cut)
		}
		if got := ending(c.in, c.n); got != c.ending {
			t.Errorf("ending(%q, %d) = %q, want %q", c.in, c.n, got, c.ending)
		}
	}
}

// No row is longer than the window, none but the first begins without the
// mark, and nothing is lost.
func FuzzWrapped(f *testing.F) {
	f.Add("bob writes: hello", 10)
	f.Add(strings.Repeat("⚡", 40)+"verified: the words are the same", 79)
	f.Add("電話🔒 \u0301", 6)
	f.Add("x", 0)
	f.Fuzz(func(t *testing.T, s string, n int) {
		const mark = "  | "
		if n > 1000 {
			return
		}
		s = printable(s)
		rows := wrapped(s, mark, n)
		if n < len(mark)+2 {
			if len(rows) != 1 || rows[0] != s {
				t.Fatalf("no room, and rows %q", rows)
			}
			return
		}
		all := rows[0]
		for i, row := range rows {
			if columns(row) > n {
				t.Fatalf("row %q has %d columns of %d", row, columns(row), n)
			}
			if i == 0 {
				continue
			}
			rest, marked := strings.CutPrefix(row, mark)
			if !marked || rest == "" {
				t.Fatalf("row %q", row)
			}
			all += rest
		}
		if all != s {
			t.Fatalf("%q became %q", s, all)
		}
	})
}
