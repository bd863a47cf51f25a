package wire

import "golang.org/x/crypto/cryptobyte"

// Commit in DH mode: Section 5.4. In the Multistream and Preshared modes the
// words of HVI hold Nonce, and in Preshared KeyID. With the hybrid XM76 an
// encapsulation key follows HVI (docs/notes/hybrid.md).
type Commit struct {
	H2           [32]byte
	ZID          ZID
	Hash         Name
	Cipher       Name
	Auth         Name
	KeyAgreement Name
	SAS          Name
	HVI          [32]byte // DH mode
	KEM          []byte   // XM76: whole words, whose number the session checks
	Nonce        [16]byte // Mult, Prsh
	KeyID        [8]byte  // Prsh
	MAC          MAC
}

// Type implements Message.
func (m *Commit) Type() Type { return TypeCommit }

// Append implements Message. The key agreement decides the mode; KEM is
// written with XM76 alone.
func (m *Commit) Append(dst []byte) []byte {
	return frame(dst, TypeCommit, func(b *cryptobyte.Builder) {
		b.AddBytes(m.H2[:])
		b.AddBytes(m.ZID[:])
		for _, n := range []Name{m.Hash, m.Cipher, m.Auth, m.KeyAgreement, m.SAS} {
			b.AddBytes(n[:])
		}
		switch m.KeyAgreement {
		case Mult:
			b.AddBytes(m.Nonce[:])
		case Prsh:
			b.AddBytes(m.Nonce[:])
			b.AddBytes(m.KeyID[:])
		default:
			b.AddBytes(m.HVI[:])
			if m.KeyAgreement == XM76 {
				b.AddBytes(m.KEM)
			}
		}
		b.AddBytes(m.MAC[:])
	})
}

func parseCommit(s *cryptobyte.String) (*Commit, bool) {
	m := &Commit{}
	if !s.CopyBytes(m.H2[:]) || !s.CopyBytes(m.ZID[:]) {
		return nil, false
	}
	for _, n := range []*Name{&m.Hash, &m.Cipher, &m.Auth, &m.KeyAgreement, &m.SAS} {
		if !s.CopyBytes(n[:]) {
			return nil, false
		}
	}
	ok := false
	switch m.KeyAgreement {
	case Mult:
		ok = s.CopyBytes(m.Nonce[:])
	case Prsh:
		ok = s.CopyBytes(m.Nonce[:]) && s.CopyBytes(m.KeyID[:])
	case XM76:
		n := len(*s) - len(m.HVI) - len(m.MAC)
		ok = n > 0 && n <= maxPV && s.CopyBytes(m.HVI[:]) && s.ReadBytes(&m.KEM, n)
	default:
		ok = s.CopyBytes(m.HVI[:])
	}
	return m, ok && s.CopyBytes(m.MAC[:])
}
