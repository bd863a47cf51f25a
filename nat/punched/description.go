package punched

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
)

const (
	maxCandidates = 16

	// RFC 8445, Section 5.3 wants 24 bits of randomness in the one and 128 in
	// the other. As text, base64 keeps to the characters that ICE allows.
	ufragSize = 6
	pwdSize   = 18

	descriptionVersion = 1
	flagComplete       = 1

	// MaxDescription is the length of the longest encoded Description, in bytes.
	MaxDescription = 1 + ufragSize + pwdSize + 1 + maxCandidates*(1+16+2)
)

// ErrDescription is what ParseDescription's error is.
var ErrDescription = errors.New("not a description of an ICE agent")

// CandidateType is how an address came about (RFC 8445, Section 5.1.1), the
// preferred ones first.
type CandidateType uint8

const (
	Host      CandidateType = iota // an interface's
	Reflexive                      // given by a NAT, as a STUN server or a gateway told
	Relay                          // a TURN server's
)

func (t CandidateType) String() string {
	return [...]string{"host", "reflexive", "relay", "unknown"}[t&3]
}

// A Candidate is an address at which somebody may be reached, by UDP.
type Candidate struct {
	Type CandidateType
	Addr netip.AddrPort
}

// A Description is what the other side must know to check and be checked: this
// side's name and password for one ICE session, and its candidates, at most 16,
// the preferred ones first. It says where somebody is and is the right to be
// answered by them: it travels encrypted. It prints without the password.
type Description struct {
	Candidates []Candidate
	Complete   bool // no more candidates will come

	ufrag [ufragSize]byte
	pwd   [pwdSize]byte
}

func newDescription(random io.Reader) (Description, error) {
	var d Description
	var secret [ufragSize + pwdSize]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return d, fmt.Errorf("random source: %w", err)
	}
	copy(d.ufrag[:], secret[:])
	copy(d.pwd[:], secret[ufragSize:])
	return d, nil
}

func (d Description) textUfrag() string { return base64.RawStdEncoding.EncodeToString(d.ufrag[:]) }
func (d Description) textPwd() string   { return base64.RawStdEncoding.EncodeToString(d.pwd[:]) }

// SameSession reports whether both are of one ICE session: it has restarted if
// they are not.
func (d Description) SameSession(e Description) bool { return d.ufrag == e.ufrag }

// String leaves out the password.
func (d Description) String() string {
	more := ""
	if !d.Complete {
		more = ", more to come"
	}
	return fmt.Sprintf("%s %v%s", d.textUfrag(), d.Candidates, more)
}

// GoString leaves out the password as well.
func (d Description) GoString() string { return d.String() }

// Append appends the encoded Description to b:
//
//	1 byte   version 1 in the high half; bit 0: complete
//	6 bytes  user name fragment
//	18 bytes password
//	1 byte   number of candidates, 0 to 16; each:
//	  1 byte   bits 0 and 1: CandidateType; bit 2: IPv6
//	  4 or 16  address
//	  2 bytes  port, most significant first
//
// Priorities follow from type and order, foundations from type and address.
func (d Description) Append(b []byte) []byte {
	head := byte(descriptionVersion << 4)
	if d.Complete {
		head |= flagComplete
	}
	b = append(b, head)
	b = append(b, d.ufrag[:]...)
	b = append(b, d.pwd[:]...)
	b = append(b, byte(len(d.Candidates)))
	for _, c := range d.Candidates {
		first := byte(c.Type)
		if c.Addr.Addr().Is6() {
			first |= 4
		}
		b = append(b, first)
		b = append(b, c.Addr.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, c.Addr.Port())
	}
	return b
}

// ParseDescription takes what Append made and nothing else. It comes from the
// other side, whoever that is: candidates that are not the address of one host,
// and repeated ones, are errors.
func ParseDescription(b []byte) (Description, error) {
	bad := func(why string) (Description, error) {
		return Description{}, fmt.Errorf("%w: %s", ErrDescription, why)
	}
	const fixed = 1 + ufragSize + pwdSize + 1
	switch {
	case len(b) < fixed:
		return bad("too short")
	case b[0]>>4 != descriptionVersion || b[0]&0xf&^flagComplete != 0:
		return bad("of another version")
	case b[fixed-1] > maxCandidates:
		return bad("too many candidates")
	}
	d := Description{Complete: b[0]&flagComplete != 0}
	copy(d.ufrag[:], b[1:])
	copy(d.pwd[:], b[1+ufragSize:])
	count, b := int(b[fixed-1]), b[fixed:]
	for range count {
		if len(b) == 0 {
			return bad("too short")
		}
		first, size := b[0], 4
		if first&4 != 0 {
			size = 16
		}
		if first&^7 != 0 || CandidateType(first&3) > Relay {
			return bad("an unknown type of candidate")
		}
		if len(b) < 1+size+2 {
			return bad("too short")
		}
		addr, _ := netip.AddrFromSlice(b[1 : 1+size])
		c := Candidate{CandidateType(first & 3), netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[1+size:]))}
		if !reachable(c.Addr) {
			return bad("an address that is nobody's")
		}
		if d.has(c.Addr) {
			return bad("an address twice")
		}
		d.Candidates = append(d.Candidates, c)
		b = b[1+size+2:]
	}
	if len(b) > 0 {
		return bad("too long")
	}
	return d, nil
}

// reachable reports whether a can be the address of one host that another one
// reaches: neither link-local, which means nothing elsewhere, nor one whose
// checks would go to many or to nobody.
func reachable(a netip.AddrPort) bool {
	addr := a.Addr()
	return a.Port() != 0 && !addr.Is4In6() && addr.Zone() == "" && (addr.IsGlobalUnicast() || addr.IsLoopback())
}

func (d Description) has(a netip.AddrPort) bool {
	return slices.ContainsFunc(d.Candidates, func(c Candidate) bool { return c.Addr == a })
}

// add puts c behind those of its type, and reports whether it was new and there
// was room. Relays are for what nothing else does: two of the places are theirs.
func (d *Description) add(c Candidate) bool {
	room := maxCandidates
	if c.Type != Relay {
		room -= 2
	}
	if !reachable(c.Addr) || d.has(c.Addr) || len(d.Candidates) >= room {
		return false
	}
	at := len(d.Candidates)
	for at > 0 && d.Candidates[at-1].Type > c.Type {
		at--
	}
	// Insert would write into an array that an earlier Local handed out.
	d.Candidates = slices.Insert(slices.Clone(d.Candidates), at, c)
	return true
}

// notRelay is the bit of a local preference that relays do not have. A check has it
// in its PRIORITY too, where the type preference is a peer-reflexive candidate's
// whatever it came from (RFC 8445, Section 7.1.1).
const notRelay = 0x8000

// priority is that of the candidate of a type at index i (RFC 8445, Section
// 5.1.2.1, with the type preferences of Section 5.1.2.2).
func priority(t CandidateType, i int) uint32 {
	preference := [...]uint32{Host: 126, Reflexive: 100, Relay: 0}[t]
	local := uint32(0xffff - i)
	if t == Relay {
		local &^= notRelay
	}
	return preference<<24 | local<<8 | 0xff
}
