// Package srtp protects the media of a call (RFC 3711): keys in, protected
// packets out, over pion/srtp. Nothing leaves or enters it in the clear: what
// it appends is encrypted and authenticated, what it opens was.
package srtp

import "github.com/pion/rtp"

// Keys are what ZRTP derived for the two directions (RFC 6189, Section
// 4.5.3). Cipher and Auth are ZRTP's names: AES1 or AES3, HS32 or HS80.
type Keys struct {
	Cipher, Auth          string
	LocalKey, LocalSalt   []byte // for what we send
	RemoteKey, RemoteSalt []byte // for what the peer sends
	LocalSSRC, RemoteSSRC uint32 // no other SSRC passes
}

// Session protects and opens the packets of one call in both directions. Its
// methods may be called from several goroutines.
type Session struct{}

// New makes the one session of a call.
func New(k Keys) (*Session, error) { panic("seam") }

// AppendRTP appends the SRTP packet of header and payload. It refuses a
// sequence number that is not above the last one, and a stream that has used
// up its index.
func (s *Session) AppendRTP(dst []byte, h *rtp.Header, payload []byte) ([]byte, error) {
	panic("seam")
}

// OpenRTP checks and decrypts an SRTP packet into dst (its capacity is
// used, and it must not overlap packet) and parses the header into h. The
// payload aliases dst.
func (s *Session) OpenRTP(dst, packet []byte, h *rtp.Header) (payload []byte, err error) {
	panic("seam")
}

// AppendRTCP appends the SRTCP packet of a plain compound packet.
func (s *Session) AppendRTCP(dst, compound []byte) ([]byte, error) { panic("seam") }

// OpenRTCP checks and decrypts an SRTCP packet and appends the plain compound
// packet to dst.
func (s *Session) OpenRTCP(dst, packet []byte) ([]byte, error) { panic("seam") }

// Close forgets the keys as far as the library lets us; the session then
// refuses everything.
func (s *Session) Close() { panic("seam") }
