// Package callcode is the codes by which two people find each other through a
// meeting point: 48-harbor-violin-echo, a number and three words, read aloud
// once. It has no state and does no I/O.
//
// The number says which mailbox and is no secret: the meeting point gives it out.
// The words are the secret, three out of 512, 27 bits, drawn independently. They
// go into a password-authenticated key exchange (crypto/pake), in which nothing
// can be tried without the other side: each guess is one exchange, it is right
// once in 134,217,728 times, and a wrong one uses the code up.
//
// The words are our own choice. No two begin with the same four letters, so that
// four are enough to complete one; no two are one slip apart, a letter put in,
// left out, changed or swapped with the next. None is in the PGP word list, or one
// slip from a word of it: nobody takes a call code for a short authentication
// string (crypto/sas). The tests hold all of that. When the list was made, no two words
// were closer than two sounds in American pronunciation, or three where both have
// five sounds or more.
//
// What people type is read leniently (Parse) but never guessed at: a word that
// is not in the list costs nothing as long as it is not tried.
package callcode

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Words is how many of them a code has.
const Words = 3

// wordBits is what each of them is worth.
const wordBits = 9

//go:embed words.txt
var words string

// list is sorted.
var list = func() (list [1 << wordBits]string) {
	copy(list[:], strings.Fields(words))
	return list
}()

// Code is a call code; two are the same if they are ==. The zero Code is none.
type Code struct {
	mailbox uint32
	words   [Words]uint16 // places in list
}

// New draws the words of a code for a mailbox, whose number is not zero.
func New(rand io.Reader, mailbox uint32) (Code, error) {
	if mailbox == 0 {
		return Code{}, errors.New("callcode: no mailbox has the number 0")
	}
	var b [2 * Words]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Code{}, fmt.Errorf("callcode: random source: %w", err)
	}
	defer clear(b[:])
	c := Code{mailbox: mailbox}
	for i := range c.words {
		// The list's length is a power of two: all words are equally likely.
		c.words[i] = binary.BigEndian.Uint16(b[2*i:]) % uint16(len(list))
	}
	return c, nil
}

// Mailbox is the number in front, which the meeting point may know.
func (c Code) Mailbox() uint32 { return c.mailbox }

// String is the one form in which a code is shown, and the password of
// crypto/pake. It holds the secret: it is for people and for no log.
func (c Code) String() string {
	if c.mailbox == 0 {
		return ""
	}
	s := strconv.FormatUint(uint64(c.mailbox), 10)
	for _, place := range c.words {
		s += "-" + list[place]
	}
	return s
}
