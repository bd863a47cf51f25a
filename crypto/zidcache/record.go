package zidcache

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Record is what is remembered about one peer. Times are kept to the second,
// in UTC.
type Record struct {
	ZID      ZID
	RS1, RS2 []byte // retained secrets, 32 bytes each (Section 4.6.1); nil: none. They are the caller's to wipe
	// Meet1 and Meet2 come from the calls of RS1 and RS2, 32 bytes each: what the names of
	// mailboxes at a meeting point are made from (Section 4.5.2, docs/notes/by-name.md); nil:
	// none. They are the caller's to wipe.
	Meet1, Meet2 []byte
	Expires      time.Time // when these four end; zero: never (cache expiration interval 0xffffffff)
	Verified     time.Time // when the SAS was verified; zero: not verified
	How          string    // it was verified: typed, via; empty when not verified
	Name         string    // of a contact; empty: it has none
	Address      string    // last address, host:port
	First        time.Time // first call
	Last         time.Time // last call
	Answered     bool      // a call with it was answered, or was dialled by us and secured
}

const (
	secretSize = 32  // bytes of a retained secret (Section 4.5.2)
	maxName    = 64  // runes of a name
	maxAddress = 320 // bytes of an address: a domain name has at most 253
	maxHow     = 16  // bytes

	// maxLine bounds the line of a record that check has passed.
	maxLine = 24 + 10 + 4*20 + 4*2*secretSize + maxAddress + maxHow + 4*maxName + 11
)

// Wipe clears the secrets.
func (r *Record) Wipe() {
	for _, secret := range r.secrets() {
		clear(*secret)
		*secret = nil
	}
}

func (r *Record) secrets() [4]*[]byte { return [...]*[]byte{&r.RS1, &r.RS2, &r.Meet1, &r.Meet2} }

// Expire wipes the secrets if they have ended by now: a secret "MAY be deleted
// from that cache at any point after the interval has expired" (Section 4.9).
func (r *Record) Expire(now time.Time) {
	if !r.Expires.IsZero() && !now.Before(r.Expires) {
		r.Wipe()
	}
}

// Format prints which record it is, for every verb: a secret must not get into
// a text because somebody printed a whole Record.
func (r Record) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%x", r.ZID[:])
	if r.Name != "" {
		fmt.Fprintf(f, " (%s)", r.Name)
	}
}

// A stranger is somebody whose calls were never answered and whom the user
// gave no name.
func (r *Record) stranger() bool { return !r.Answered && r.Name == "" }

// CheckName tells whether a contact may have that name: at most 64 characters,
// each of which can be seen (so none that controls a terminal or the direction
// of text), and no space at either end. The error is ErrInvalidName and says why.
func CheckName(name string) error {
	why := ""
	switch {
	case name == "":
		why = "it is empty"
	case !visible(name):
		why = "it has characters that cannot be seen"
	case utf8.RuneCountInString(name) > maxName:
		why = fmt.Sprintf("it has more than %d characters", maxName)
	case strings.TrimSpace(name) != name:
		why = "it begins or ends with a space"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalidName, why)
}

// CheckAddress tells whether address can be kept: empty, or at most 320 bytes
// that can be seen. Whether anybody can be reached there it does not know.
func CheckAddress(address string) error {
	if len(address) > maxAddress || !visible(address) || strings.Contains(address, " ") {
		return errors.New("not an address")
	}
	return nil
}

// visible tells whether s is UTF-8 and prints as itself: no control, format or
// bidirectional characters, and no spaces but U+0020.
func visible(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// check tells whether r can be written, so that what is written can be read.
func (r *Record) check() error {
	if r.Name != "" {
		if err := CheckName(r.Name); err != nil {
			return err
		}
	}
	for _, secret := range r.secrets() {
		if *secret != nil && len(*secret) != secretSize {
			return fmt.Errorf("zid cache: a retained secret of %d bytes", len(*secret))
		}
	}
	if r.RS1 == nil && r.Meet1 != nil || r.RS2 == nil && r.Meet2 != nil {
		return errors.New("zid cache: a secret for meeting without that of its call")
	}
	if err := CheckAddress(r.Address); err != nil {
		return err
	}
	if len(r.How) > maxHow || strings.Trim(r.How, "abcdefghijklmnopqrstuvwxyz") != "" {
		return errors.New("zid cache: the way of verifying must be one word")
	}
	if (r.How == "") != r.Verified.IsZero() {
		return errors.New("zid cache: verified needs both when and how")
	}
	for _, t := range []time.Time{r.Expires, r.Verified, r.First, r.Last} {
		if !t.IsZero() && (t.Unix() < 0 || t.UTC().Year() > 9999) {
			return errors.New("zid cache: a time outside the years 1970 to 9999")
		}
	}
	return nil
}

// The fields of a line, in order, with tabs between them. What decides about
// strangers comes first and the name last, so that both are found without
// parsing the rest.
const (
	fieldZID = iota
	fieldAnswered
	fieldLast
	fieldFirst
	fieldAddress
	fieldVerified
	fieldHow
	fieldExpires
	fieldRS1
	fieldRS2
	fieldName
	fields
)

const (
	answered   = "answered"
	unanswered = "unanswered"
	timeLayout = "2006-01-02T15:04:05Z" // UTC; as text it sorts as time does
)

// append writes r, which check has passed, as a line. dst needs room for
// maxLine bytes, lest copies of the secrets stay behind.
func (r *Record) append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, r.ZID[:])
	dst = append(dst, '\t')
	if r.Answered {
		dst = append(dst, answered...)
	} else {
		dst = append(dst, unanswered...)
	}
	dst = appendTime(append(dst, '\t'), r.Last)
	dst = appendTime(append(dst, '\t'), r.First)
	dst = append(append(dst, '\t'), r.Address...)
	dst = appendTime(append(dst, '\t'), r.Verified)
	dst = append(append(dst, '\t'), r.How...)
	dst = appendTime(append(dst, '\t'), r.Expires)
	dst = hex.AppendEncode(hex.AppendEncode(append(dst, '\t'), r.RS1), r.Meet1)
	dst = hex.AppendEncode(hex.AppendEncode(append(dst, '\t'), r.RS2), r.Meet2)
	dst = append(append(dst, '\t'), r.Name...)
	return append(dst, '\n')
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return t.UTC().AppendFormat(dst, timeLayout)
}

// parseRecord reads a line as append writes it, and nothing else.
func parseRecord(line []byte) (Record, error) {
	f := bytes.Split(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\t'})
	if len(line) > maxLine || len(f) != fields {
		return Record{}, errLine
	}
	zid, err := parseZID(f[fieldZID])
	r := Record{
		ZID:      zid,
		Expires:  parseTime(f[fieldExpires]),
		Verified: parseTime(f[fieldVerified]),
		How:      string(f[fieldHow]),
		Name:     string(f[fieldName]),
		Address:  string(f[fieldAddress]),
		First:    parseTime(f[fieldFirst]),
		Last:     parseTime(f[fieldLast]),
		Answered: string(f[fieldAnswered]) == answered,
	}
	r.RS1, r.Meet1 = parseSecrets(f[fieldRS1])
	r.RS2, r.Meet2 = parseSecrets(f[fieldRS2])
	if err == nil && r.check() == nil {
		// What was not understood is missing when it is written again.
		again := r.append(make([]byte, 0, maxLine))
		defer clear(again)
		if bytes.Equal(again, line) {
			return r, nil
		}
	}
	r.Wipe()
	return Record{}, errLine
}

func parseTime(b []byte) time.Time {
	t, err := time.Parse(timeLayout, string(b))
	if err != nil {
		return time.Time{}
	}
	return t
}

// parseSecrets reads a retained secret, and what is beside it.
func parseSecrets(b []byte) (rs, meet []byte) {
	if len(b) == 4*secretSize {
		return parseSecret(b[:2*secretSize]), parseSecret(b[2*secretSize:])
	}
	return parseSecret(b), nil
}

func parseSecret(b []byte) []byte {
	if len(b) != 2*secretSize {
		return nil
	}
	secret := make([]byte, secretSize)
	if _, err := hex.Decode(secret, b); err != nil {
		clear(secret)
		return nil
	}
	return secret
}

func parseZID(b []byte) (zid ZID, err error) {
	if len(b) != 2*len(zid) {
		return zid, errLine
	}
	if _, err := hex.Decode(zid[:], b); err != nil {
		return zid, errLine
	}
	return zid, nil
}
