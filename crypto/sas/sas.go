// Package sas is how a short authentication string is shown (RFC 6189,
// Sections 4.5.2 and 5.1.6). It has no state and does no I/O.
package sas

// Render shows sasvalue, the leftmost 32 bits of sashash, in the way of the
// SAS type of that four-character name: "B32 " four characters, "B256" two
// PGP words with a space between. ok is false for any other type.
func Render(sasType string, sasvalue uint32) (text string, ok bool) { panic("seam") }
