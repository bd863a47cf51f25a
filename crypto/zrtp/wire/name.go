package wire

// A Name is a four-character algorithm or type name, padded with spaces
// (RFC 6189, Section 5.1). Unknown names are no error on the wire.
type Name [4]byte

func (n Name) String() string { return string(n[:]) }

// The names that securecall knows (RFC 6189, Sections 5.1.2 to 5.1.6). Three are
// in no RFC: X255 and X448 are bzrtp's names for X25519 and X448, XM76 is our own
// for X25519 with ML-KEM-768.
var (
	S256 = Name{'S', '2', '5', '6'}
	S384 = Name{'S', '3', '8', '4'}
	AES1 = Name{'A', 'E', 'S', '1'}
	AES3 = Name{'A', 'E', 'S', '3'}
	HS32 = Name{'H', 'S', '3', '2'}
	HS80 = Name{'H', 'S', '8', '0'}
	XM76 = Name{'X', 'M', '7', '6'}
	X255 = Name{'X', '2', '5', '5'}
	X448 = Name{'X', '4', '4', '8'}
	EC25 = Name{'E', 'C', '2', '5'}
	EC38 = Name{'E', 'C', '3', '8'}
	EC52 = Name{'E', 'C', '5', '2'}
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
