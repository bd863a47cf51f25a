// Package srtp protects the media of a call (RFC 3711): keys in, protected
// packets out, over pion/srtp. Nothing leaves or enters it in the clear: what
// it appends is encrypted and authenticated, what it opens was.
//
// It adds what pion/srtp leaves to its caller: replay protection is on, no
// packet is encrypted under an index that was used before, only the one SSRC
// of each direction reaches the library (which would keep state for every SSRC
// that a stranger makes up), and SRTCP that its sender did not encrypt is
// refused.
//
// The profiles are those that ZRTP can agree on (RFC 6189, Sections 5.1.3 and
// 5.1.4): AES-CM with 128-bit keys (RFC 3711) or 256-bit keys (RFC 6188), and
// HMAC-SHA1 with tags of 32 or 80 bits. Left out: key derivation rates other
// than zero, MKI, several SSRCs in one direction, header extension encryption
// (RFC 6904).
//
// The package does no I/O, starts no goroutine and reads no clock.
package srtp

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v2"
)

// Why a packet was refused. Callers count drops by these; none of them ends a
// call by itself but ErrExhausted and ErrClosed.
var (
	// ErrMalformed: too short, not version 2, a header or padding that does
	// not fit its packet, or SRTCP with its E bit clear.
	ErrMalformed = errors.New("srtp: malformed packet")
	// ErrForeignSSRC: not the SSRC that ZRTP's keys are for.
	ErrForeignSSRC = errors.New("srtp: foreign SSRC")
	// ErrReplay: received before, or too old to tell.
	ErrReplay = errors.New("srtp: replayed packet")
	// ErrAuth: the authentication tag is wrong.
	ErrAuth = errors.New("srtp: authentication failed")
	// ErrSequence: sending this sequence number could repeat a keystream, or
	// lose a receiver that has not heard us yet.
	ErrSequence = errors.New("srtp: sequence number out of order")
	// ErrExhausted: these keys have protected all the packets they may.
	ErrExhausted = errors.New("srtp: keys used up")
	// ErrClosed: the session was closed.
	ErrClosed = errors.New("srtp: session closed")
)

const (
	saltSize    = 14 // RFC 3711, Section 8.2: 112 bits
	rtpHeader   = 12 // RFC 3550, Section 5.1: without CSRCs and extension
	rtcpHeader  = 8  // RFC 3711, Section 3.4: the part that stays in the clear
	rtcpTrailer = 4  // RFC 3711, Section 3.4: E bit and SRTCP index
	rtcpTag     = 10 // RFC 3711, Section 5.2: 80 bits, whatever the SRTP tag

	maxDatagram = 65535

	// Far wider than the 64 packets that Section 3.3.2 asks for: 10 s of
	// packets of 20 ms, so that no real reordering is taken for a replay. A
	// multiple of 64, since pion masks the last word of other sizes wrongly.
	replayWindow = 512

	// RFC 3711, Section 9.2: 2^48 SRTP or 2^31 SRTCP packets at most. These
	// stay far below and still last 2.7 years at 50 packets a second, and 42
	// years at one report every 5 s.
	rtpLimit  = 1 << 32
	rtcpLimit = 1 << 28
)

// Keys are what ZRTP derived for the two directions (RFC 6189, Section
// 4.5.3). Cipher and Auth are ZRTP's names: AES1 or AES3, HS32 or HS80.
type Keys struct {
	Cipher, Auth          string
	LocalKey, LocalSalt   []byte // for what we send
	RemoteKey, RemoteSalt []byte // for what the peer sends
	LocalSSRC, RemoteSSRC uint32 // no other SSRC passes
}

// Format keeps keys and salts out of any text, whatever the verb.
func (k Keys) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s/%s keys for SSRCs %08x and %08x", k.Cipher, k.Auth, k.LocalSSRC, k.RemoteSSRC)
}

// Session protects and opens the packets of one call in both directions. Its
// methods may be called from several goroutines; sending and receiving do not
// wait for one another.
type Session struct {
	localSSRC, remoteSSRC uint32 // never change
	rtpTag                int    // bytes

	sendMu    sync.Mutex
	sender    *pion.Context // nil once closed
	scratch   rtp.Header    // what pion parses again of what we send
	rtcpOut   rtcp.Header
	started   bool   // index is that of a packet sent
	index     uint64 // ROC || SEQ of the last packet sent (RFC 3711, Section 3.3.1)
	rtcpCount uint32 // SRTCP packets sent

	recvMu   sync.Mutex
	receiver *pion.Context // nil once closed
	rtcpIn   rtcp.Header
	rtp      progress
	rtcp     progress
}

// New makes the one session of a call. It keeps no reference to the slices in
// k: the caller clears them. Two sessions with the same keys would send two
// packets under one keystream; so there must be only one for the whole call.
func New(k Keys) (*Session, error) {
	profile, keySize, tag, err := profileOf(k.Cipher, k.Auth)
	if err != nil {
		return nil, err
	}
	// Lengths are checked here because pion's own error for them would show
	// the key.
	if len(k.LocalKey) != keySize || len(k.RemoteKey) != keySize {
		return nil, fmt.Errorf("srtp: %s takes keys of %d bytes", k.Cipher, keySize)
	}
	if len(k.LocalSalt) != saltSize || len(k.RemoteSalt) != saltSize {
		return nil, fmt.Errorf("srtp: salts are of %d bytes", saltSize)
	}
	// RFC 3550, Section 8.2: SSRCs are unique within a session. It also keeps
	// keystreams apart should the two directions ever get the same keys.
	if k.LocalSSRC == k.RemoteSSRC {
		return nil, fmt.Errorf("srtp: both sides use SSRC %08x", k.LocalSSRC)
	}
	sender, err := pion.CreateContext(k.LocalKey, k.LocalSalt, profile)
	if err != nil {
		return nil, errors.New("srtp: cannot make the sending context")
	}
	receiver, err := pion.CreateContext(k.RemoteKey, k.RemoteSalt, profile,
		pion.SRTPReplayProtection(replayWindow), pion.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, errors.New("srtp: cannot make the receiving context")
	}
	return &Session{
		localSSRC: k.LocalSSRC, remoteSSRC: k.RemoteSSRC, rtpTag: tag,
		sender: sender, receiver: receiver,
	}, nil
}

// profileOf translates ZRTP's names; sizes are in bytes.
func profileOf(cipher, auth string) (profile pion.ProtectionProfile, keySize, tagSize int, err error) {
	switch cipher + "/" + auth {
	case "AES1/HS32":
		return pion.ProtectionProfileAes128CmHmacSha1_32, 16, 4, nil
	case "AES1/HS80":
		return pion.ProtectionProfileAes128CmHmacSha1_80, 16, 10, nil
	case "AES3/HS32":
		return pion.ProtectionProfileAes256CmHmacSha1_32, 32, 4, nil
	case "AES3/HS80":
		return pion.ProtectionProfileAes256CmHmacSha1_80, 32, 10, nil
	}
	return 0, 0, 0, fmt.Errorf("srtp: no profile for cipher %q with authentication %q", cipher, auth)
}

// Close forgets the keys as far as the library lets us; the session then
// refuses everything. The session keys live inside pion (AES key schedules,
// HMAC states, salts), which has no way to clear them: they stay in memory,
// unreachable, until the garbage collector reuses it.
func (s *Session) Close() {
	s.sendMu.Lock()
	s.sender = nil
	s.sendMu.Unlock()
	s.recvMu.Lock()
	s.receiver = nil
	s.recvMu.Unlock()
}

// room returns dst with capacity for n more bytes, and that room as an empty
// slice.
func room(dst []byte, n int) (grown, tail []byte) {
	if cap(dst)-len(dst) < n {
		dst = append(make([]byte, 0, len(dst)+n), dst...)
	}
	return dst, dst[len(dst):len(dst):cap(dst)]
}
