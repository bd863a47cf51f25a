package wire

import "golang.org/x/crypto/cryptobyte"

// Hello: Section 5.2.
type Hello struct {
	Version       [4]byte
	Client        [16]byte
	H3            [32]byte
	ZID           ZID
	S, M, P       bool // signature-capable, MiTM, passive
	Hashes        []Name
	Ciphers       []Name
	Auths         []Name
	KeyAgreements []Name
	SASTypes      []Name
	MAC           MAC
}

// HelloACK: Section 5.3.
type HelloACK struct{}

const (
	flagS = 1 << 6
	flagM = 1 << 5
	flagP = 1 << 4

	// MaxAlgorithms is the most that a Hello lists of one kind (Section 5.2).
	MaxAlgorithms = 7
)

// Type implements Message.
func (m *Hello) Type() Type { return TypeHello }

// Append implements Message. No list may be longer than MaxAlgorithms.
func (m *Hello) Append(dst []byte) []byte {
	return frame(dst, TypeHello, func(b *cryptobyte.Builder) {
		b.AddBytes(m.Version[:])
		b.AddBytes(m.Client[:])
		b.AddBytes(m.H3[:])
		b.AddBytes(m.ZID[:])
		var flags uint8
		for _, f := range []struct {
			set bool
			bit uint8
		}{{m.S, flagS}, {m.M, flagM}, {m.P, flagP}} {
			if f.set {
				flags |= f.bit
			}
		}
		b.AddUint8(flags)
		b.AddUint8(uint8(len(m.Hashes)))
		b.AddUint8(uint8(len(m.Ciphers)<<4 | len(m.Auths)))
		b.AddUint8(uint8(len(m.KeyAgreements)<<4 | len(m.SASTypes)))
		for _, list := range [][]Name{m.Hashes, m.Ciphers, m.Auths, m.KeyAgreements, m.SASTypes} {
			for _, n := range list {
				b.AddBytes(n[:])
			}
		}
		b.AddBytes(m.MAC[:])
	})
}

func parseHello(s *cryptobyte.String) (*Hello, bool) {
	m := &Hello{}
	var flags, hc, cc, kc uint8
	if !s.CopyBytes(m.Version[:]) || !s.CopyBytes(m.Client[:]) || !s.CopyBytes(m.H3[:]) || !s.CopyBytes(m.ZID[:]) ||
		!s.ReadUint8(&flags) || !s.ReadUint8(&hc) || !s.ReadUint8(&cc) || !s.ReadUint8(&kc) {
		return nil, false
	}
	m.S, m.M, m.P = flags&flagS != 0, flags&flagM != 0, flags&flagP != 0
	for _, l := range []struct {
		list  *[]Name
		count uint8
	}{
		{&m.Hashes, hc & 15},
		{&m.Ciphers, cc >> 4},
		{&m.Auths, cc & 15},
		{&m.KeyAgreements, kc >> 4},
		{&m.SASTypes, kc & 15},
	} {
		if !readNames(s, l.list, int(l.count)) {
			return nil, false
		}
	}
	return m, s.CopyBytes(m.MAC[:])
}

func readNames(s *cryptobyte.String, list *[]Name, count int) bool {
	if count > MaxAlgorithms {
		return false
	}
	for range count {
		var n Name
		if !s.CopyBytes(n[:]) {
			return false
		}
		*list = append(*list, n)
	}
	return true
}

// Type implements Message.
func (*HelloACK) Type() Type { return TypeHelloACK }

// Append implements Message.
func (*HelloACK) Append(dst []byte) []byte { return frame(dst, TypeHelloACK, nil) }
