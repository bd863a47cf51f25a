package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// printable returns s with everything removed that could move the cursor,
// change a terminal's state or reorder text: control characters (with them
// ESC, and the C1 set), line separators, format characters such as the
// bidirectional overrides, and what is not UTF-8. All text that a peer or the
// network supplied goes through it before it is printed, since that text may
// have been written to make a lie look like ours.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}

// clock shows d as a person reads a clock: 0:07, 12:34, 1:02:03.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// milliseconds is d in ms, to a tenth.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
}
