package callcode

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNumber: what should be a code does not begin with a mailbox's number.
var ErrNumber = errors.New("a call code begins with a number, as 48-harbor-violin-echo does")

// CountError is the number of words in what should be a code, if it is not three.
type CountError int

func (e CountError) Error() string {
	if e == 1 {
		return "a call code has three words after its number; this has 1 word"
	}
	return fmt.Sprintf("a call code has three words after its number; this has %d words", int(e))
}

// offered is how many words an error names at most.
const offered = 4

// WordError is a word that is not in the list, or not enough of it to be sure.
type WordError struct {
	Typed string   // in lower case
	Near  []string // what may have been meant, in the list's order
}

func (e *WordError) Error() string {
	if len(e.Near) == 0 || len(e.Near) > offered {
		return fmt.Sprintf("%q is no word of call codes", e.Typed)
	}
	last := len(e.Near) - 1
	meant := e.Near[last]
	if last > 0 {
		meant = strings.Join(e.Near[:last], ", ") + " or " + meant
	}
	return fmt.Sprintf("%q is no word of call codes; did you mean %s?", e.Typed, meant)
}
