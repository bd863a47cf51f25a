package wire

import "golang.org/x/crypto/cryptobyte"

// DHPart is DHPart1 or DHPart2: Sections 5.5 and 5.6.
type DHPart struct {
	Part  int // 1 or 2
	H1    [32]byte
	RS1ID ID
	RS2ID ID
	AuxID ID
	PBXID ID
	PV    []byte // its length depends on the key agreement: a whole number of words
	MAC   MAC
}

// maxPV bounds pv: nothing that has a name comes near it, and a datagram holds
// no more.
const maxPV = 1400

// Type implements Message.
func (m *DHPart) Type() Type {
	if m.Part == 1 {
		return TypeDHPart1
	}
	return TypeDHPart2
}

// Append implements Message.
func (m *DHPart) Append(dst []byte) []byte {
	return frame(dst, m.Type(), func(b *cryptobyte.Builder) {
		b.AddBytes(m.H1[:])
		for _, id := range []ID{m.RS1ID, m.RS2ID, m.AuxID, m.PBXID} {
			b.AddBytes(id[:])
		}
		b.AddBytes(m.PV)
		b.AddBytes(m.MAC[:])
	})
}

// parseDHPart takes for pv whatever stands between the IDs and the MAC: only
// the session knows which length the key agreement has.
func parseDHPart(s *cryptobyte.String, part int) (*DHPart, bool) {
	m := &DHPart{Part: part}
	if !s.CopyBytes(m.H1[:]) {
		return nil, false
	}
	for _, id := range []*ID{&m.RS1ID, &m.RS2ID, &m.AuxID, &m.PBXID} {
		if !s.CopyBytes(id[:]) {
			return nil, false
		}
	}
	n := len(*s) - len(m.MAC)
	return m, n > 0 && n <= maxPV && s.ReadBytes(&m.PV, n) && s.CopyBytes(m.MAC[:])
}
