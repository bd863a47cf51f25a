package wire

import "golang.org/x/crypto/cryptobyte"

// Ping: Section 5.15.
type Ping struct {
	Version      [4]byte
	EndpointHash [8]byte
}

// PingACK: Section 5.16.
type PingACK struct {
	Version              [4]byte
	SenderEndpointHash   [8]byte
	ReceivedEndpointHash [8]byte
	SSRC                 uint32 // of the Ping that is answered
}

// Type implements Message.
func (m *Ping) Type() Type { return TypePing }

// Append implements Message.
func (m *Ping) Append(dst []byte) []byte {
	return frame(dst, TypePing, func(b *cryptobyte.Builder) {
		b.AddBytes(m.Version[:])
		b.AddBytes(m.EndpointHash[:])
	})
}

func parsePing(s *cryptobyte.String) (*Ping, bool) {
	m := &Ping{}
	return m, s.CopyBytes(m.Version[:]) && s.CopyBytes(m.EndpointHash[:])
}

// Type implements Message.
func (m *PingACK) Type() Type { return TypePingACK }

// Append implements Message.
func (m *PingACK) Append(dst []byte) []byte {
	return frame(dst, TypePingACK, func(b *cryptobyte.Builder) {
		b.AddBytes(m.Version[:])
		b.AddBytes(m.SenderEndpointHash[:])
		b.AddBytes(m.ReceivedEndpointHash[:])
		b.AddUint32(m.SSRC)
	})
}

func parsePingACK(s *cryptobyte.String) (*PingACK, bool) {
	m := &PingACK{}
	return m, s.CopyBytes(m.Version[:]) && s.CopyBytes(m.SenderEndpointHash[:]) &&
		s.CopyBytes(m.ReceivedEndpointHash[:]) && s.ReadUint32(&m.SSRC)
}
