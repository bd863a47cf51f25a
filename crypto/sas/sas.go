// Package sas is how a short authentication string is shown and compared (RFC
// 6189, Sections 4.5.2, 5.1.6 and 7). It has no state and does no I/O.
package sas

// base32 is the alphabet of SAS type B32: letters and digits chosen and ordered
// so that they are hard to mistake when read aloud (RFC 6189, Section 5.1.6).
const base32 = "ybndrfg8ejkmcpqxot1uwisza345h769"

// Render shows sasvalue, the leftmost 32 bits of sashash, in the way of the
// SAS type of that four-character name: "B32 " four characters, "B256" two
// PGP words with a space between. ok is false for any other type.
func Render(sasType string, sasvalue uint32) (text string, ok bool) {
	switch sasType {
	case "B32 ":
		// The leftmost 20 bits, five a character.
		var b [4]byte
		for i := range b {
			b[i] = base32[sasvalue>>(27-5*i)&31]
		}
		return string(b[:]), true
	case "B256":
		// The leftmost 16 bits: the first byte by the list for even places.
		return evenWords[sasvalue>>24] + " " + oddWords[sasvalue>>16&0xff], true
	}
	return "", false
}
