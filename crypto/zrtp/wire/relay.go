package wire

import "golang.org/x/crypto/cryptobyte"

// SASrelay: Section 5.13. A PBX sends it to show the SAS of a third party.
type SASrelay struct {
	MAC       [8]byte
	IV        [16]byte
	Encrypted []byte // flags, scheme, sashash, signature under AES-CFB: never decrypted here
}

// RelayACK: Section 5.14.
type RelayACK struct{}

const minRelay = 4 + 4 + 32 // flags, scheme, sashash

// Type implements Message.
func (m *SASrelay) Type() Type { return TypeSASrelay }

// Append implements Message.
func (m *SASrelay) Append(dst []byte) []byte {
	return frame(dst, TypeSASrelay, func(b *cryptobyte.Builder) {
		b.AddBytes(m.MAC[:])
		b.AddBytes(m.IV[:])
		b.AddBytes(m.Encrypted)
	})
}

func parseSASrelay(s *cryptobyte.String) (*SASrelay, bool) {
	m := &SASrelay{}
	if !s.CopyBytes(m.MAC[:]) || !s.CopyBytes(m.IV[:]) {
		return nil, false
	}
	n := len(*s)
	return m, n >= minRelay && n <= minRelay+4*maxSignature && s.ReadBytes(&m.Encrypted, n)
}

// Type implements Message.
func (*RelayACK) Type() Type { return TypeRelayACK }

// Append implements Message.
func (*RelayACK) Append(dst []byte) []byte { return frame(dst, TypeRelayACK, nil) }
