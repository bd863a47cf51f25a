// Package wire reads and writes the packets and messages of ZRTP (RFC 6189,
// Section 5). It keeps no state and does no I/O; every length and count that
// comes from the network is checked before it is used.
package wire

// A Name is a four-character algorithm or type name, padded with spaces
// (RFC 6189, Section 5.1). Unknown names are no error on the wire.
type Name [4]byte

func (n Name) String() string { return string(n[:]) }

// The names that securecall knows (RFC 6189, Sections 5.1.2 to 5.1.6; X255 is
// bzrtp's name for X25519, in no RFC).
var (
	S256 = Name{'S', '2', '5', '6'}
	S384 = Name{'S', '3', '8', '4'}
	AES1 = Name{'A', 'E', 'S', '1'}
	AES3 = Name{'A', 'E', 'S', '3'}
	HS32 = Name{'H', 'S', '3', '2'}
	HS80 = Name{'H', 'S', '8', '0'}
	X255 = Name{'X', '2', '5', '5'}
	EC25 = Name{'E', 'C', '2', '5'}
	EC38 = Name{'E', 'C', '3', '8'}
	DH3k = Name{'D', 'H', '3', 'k'}
	DH2k = Name{'D', 'H', '2', 'k'}
	Prsh = Name{'P', 'r', 's', 'h'}
	Mult = Name{'M', 'u', 'l', 't'}
	B32  = Name{'B', '3', '2', ' '}
	B256 = Name{'B', '2', '5', '6'}
)

type (
	ZID [12]byte // names a ZRTP endpoint (Section 4.9)
	MAC [8]byte  // a message's HMAC-SHA-256, leftmost 64 bits (Sections 5.2 to 5.7)
	ID  [8]byte  // a shared secret's ID (Section 4.3.1)
)

// A Message is one ZRTP message: Append writes it whole, from the preamble
// 0x505a to its last word (Section 5); MAC fields are written as they stand.
type Message interface {
	Append(dst []byte) []byte
	Type() Type
}

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

// Commit in DH mode: Section 5.4. In the Multistream and Preshared modes the
// words of HVI hold Nonce, and in Preshared KeyID.
type Commit struct {
	H2           [32]byte
	ZID          ZID
	Hash         Name
	Cipher       Name
	Auth         Name
	KeyAgreement Name
	SAS          Name
	HVI          [32]byte // DH mode
	Nonce        [16]byte // Mult, Prsh
	KeyID        [8]byte  // Prsh
	MAC          MAC
}

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

// Error: Section 5.9.
type Error struct{ Code ErrorCode }

// ErrorACK: Section 5.10.
type ErrorACK struct{}

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

// Other is a well-formed message of a type that is not handled (GoClear,
// SASrelay, fragments, types to come).
type Other struct {
	Kind Type
	Body []byte // after the type, whole words
}

// Type is the eight-character message type, padded with spaces.
type Type [8]byte

func (t Type) String() string { return string(t[:]) }

// ErrorCode is the code of an Error message (Section 5.9).
type ErrorCode uint32
