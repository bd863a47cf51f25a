package wire

// Packet is one ZRTP packet (Section 5, Figure 2).
type Packet struct {
	Seq     uint16
	SSRC    uint32
	Message []byte // the whole message, preamble included; aliases the datagram
}

// IsZRTP tells whether a datagram looks like ZRTP: first byte 0x10 (or 0x11,
// a fragment of newer bzrtp) and the magic cookie. It does not check more.
func IsZRTP(datagram []byte) bool { panic("seam") }

// ParsePacket checks length, cookie and CRC-32C.
func ParsePacket(datagram []byte) (Packet, error) { panic("seam") }

// AppendPacket appends the packet that carries message.
func AppendPacket(dst []byte, seq uint16, ssrc uint32, message []byte) []byte { panic("seam") }

// Parse reads one message as Packet.Message holds it. Slices in the result
// alias b.
func Parse(b []byte) (Message, error) { panic("seam") }

// ParseConfirmBody reads the decrypted part of a Confirm.
func ParseConfirmBody(b []byte) (*ConfirmBody, error) { panic("seam") }

// Append appends the plain body, ready to be encrypted.
func (c *ConfirmBody) Append(dst []byte) []byte { panic("seam") }
