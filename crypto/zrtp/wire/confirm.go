package wire

import "golang.org/x/crypto/cryptobyte"

// Confirm is Confirm1 or Confirm2: Section 5.7.
type Confirm struct {
	Part      int // 1 or 2
	MAC       [8]byte
	IV        [16]byte
	Encrypted []byte // a ConfirmBody under AES-CFB
}

// ConfirmBody is what Confirm carries encrypted: Section 5.7.
type ConfirmBody struct {
	H0            [32]byte
	E, V, A, D    bool // PBX enrolment, SAS verified, allow clear, disclosure
	Expiry        uint32
	SignatureType Name   // only with a Signature
	Signature     []byte // whole words; nil: none
}

// Conf2ACK: Section 5.8.
type Conf2ACK struct{}

const (
	flagE = 1 << 3
	flagV = 1 << 2
	flagA = 1 << 1
	flagD = 1 << 0

	maxSignature = 511      // words: sig len has nine bits
	minEncrypted = 32 + 4*2 // H0, flags, expiry
)

// Type implements Message.
func (m *Confirm) Type() Type {
	if m.Part == 1 {
		return TypeConfirm1
	}
	return TypeConfirm2
}

// Append implements Message.
func (m *Confirm) Append(dst []byte) []byte {
	return frame(dst, m.Type(), func(b *cryptobyte.Builder) {
		b.AddBytes(m.MAC[:])
		b.AddBytes(m.IV[:])
		b.AddBytes(m.Encrypted)
	})
}

func parseConfirm(s *cryptobyte.String, part int) (*Confirm, bool) {
	m := &Confirm{Part: part}
	if !s.CopyBytes(m.MAC[:]) || !s.CopyBytes(m.IV[:]) {
		return nil, false
	}
	n := len(*s)
	return m, n >= minEncrypted && n <= minEncrypted+4*maxSignature && s.ReadBytes(&m.Encrypted, n)
}

// ParseConfirmBody reads the decrypted part of a Confirm.
func ParseConfirmBody(b []byte) (*ConfirmBody, error) {
	s := cryptobyte.String(b)
	m := &ConfirmBody{}
	var word uint32
	if !s.CopyBytes(m.H0[:]) || !s.ReadUint32(&word) || !s.ReadUint32(&m.Expiry) {
		return nil, ErrMalformed
	}
	m.E, m.V, m.A, m.D = word&flagE != 0, word&flagV != 0, word&flagA != 0, word&flagD != 0
	// The signature's length in words, its type included; zero: there is none.
	if words := int(word >> 8 & maxSignature); words > 0 {
		if !s.CopyBytes(m.SignatureType[:]) || !s.ReadBytes(&m.Signature, 4*(words-1)) {
			return nil, ErrMalformed
		}
	}
	if !s.Empty() {
		return nil, ErrMalformed
	}
	return m, nil
}

// Append appends the plain body, ready to be encrypted. A signature is whole
// words, at most 510.
func (m *ConfirmBody) Append(dst []byte) []byte {
	var word uint32
	for _, f := range []struct {
		set bool
		bit uint32
	}{{m.E, flagE}, {m.V, flagV}, {m.A, flagA}, {m.D, flagD}} {
		if f.set {
			word |= f.bit
		}
	}
	b := cryptobyte.NewBuilder(dst)
	b.AddBytes(m.H0[:])
	if m.Signature != nil {
		word |= uint32(1+len(m.Signature)/4) << 8
	}
	b.AddUint32(word)
	b.AddUint32(m.Expiry)
	if m.Signature != nil {
		b.AddBytes(m.SignatureType[:])
		b.AddBytes(m.Signature)
	}
	return b.BytesOrPanic()
}

// Type implements Message.
func (*Conf2ACK) Type() Type { return TypeConf2ACK }

// Append implements Message.
func (*Conf2ACK) Append(dst []byte) []byte { return frame(dst, TypeConf2ACK, nil) }
