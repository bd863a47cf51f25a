// Package zrtp is the ZRTP machine of RFC 6189: two endpoints agree on SRTP
// keys in the media path and on a short authentication string.
//
// A Session has no goroutine, lock, clock, socket or file: packets and the
// time go in, packets and events come out, and all randomness is read from
// Config.Rand. Its owner serialises the calls and, after each of Start,
// Receive, Advance and Confirmed, takes what NextPacket and NextEvent hold. It
// goes on doing so after Failed, until it has waited long enough for the peer
// to hear our Error, and after Secured, as long as the call lasts: a peer that
// lost our Conf2ACK asks for it again.
//
// There is DH mode with retained secrets, Multistream and Preshared mode, and a
// post-quantum hybrid of our own (docs/notes/hybrid.md). Left out, with the
// reasons in docs/rfc6189.md: GoClear, signatures, and all that concerns a PBX.
//
// To read it, begin with the table of states and messages in table.go.
package zrtp

import (
	"io"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Role of an endpoint (RFC 6189, Section 4.2).
type Role int

// The roles.
const (
	Undecided Role = iota
	Initiator
	Responder
)

// Algorithms are what an endpoint offers and accepts, most wanted first. An
// empty list means the default; a list that is given is exact: nothing
// outside it is accepted, not even what every endpoint must have
// (docs/notes/exact-lists.md).
type Algorithms struct {
	Hashes, Ciphers, Auths, KeyAgreements, SASTypes []wire.Name
}

// Config of a Session.
type Config struct {
	// Initiate: the dialler commits as soon as it can. Without it the session
	// answers, and commits itself only towards a passive peer or when no
	// Commit came within CommitAfter of the exchange of Hellos.
	Initiate   bool
	ZID        wire.ZID
	SSRC       uint32
	Client     string // at most 16 characters, RFC 6189, Section 5.2
	Algorithms Algorithms
	Rand       io.Reader // read in the order that New tells
	// AllowKey is asked before a key is made for somebody whom we did not
	// call: in answer to a Commit, or for a Commit without Initiate. One of a
	// finite field takes milliseconds; any of them lets a man in the middle
	// try a SAS. A refused Commit is dropped, to be repeated; one of ours
	// waits. nil: always.
	AllowKey func(now time.Time, finiteField bool) bool
	// Retained looks up what is kept about a peer; it is called at most once,
	// when its ZID and a Commit are there. nil: cacheless (Section 4.9.1).
	Retained func(wire.ZID) Retained
	// Preshared: offer Preshared mode, begin in it where rs1 is there and
	// verified, and answer in it. Off, as it should be: there is no forward
	// secrecy in it (Section 4.4.2).
	Preshared bool
	// Call makes the session a further stream of a call, in Multistream mode
	// (Section 4.4.3), with the same ZID and Algorithms as the first one. nil:
	// a first stream, which never uses that mode.
	Call *Call
	// PeerHelloHash is what signalling has announced of the peer, the SHA-256
	// of its whole Hello (Section 8.1): any other Hello is dropped. nil: none.
	PeerHelloHash *[32]byte
	// Auxiliary is auxsecret, agreed out of band (Section 4.3); nil: none. It
	// is borrowed, and must not change before the session ends.
	Auxiliary []byte
}

// An Event is one of PeerHello, KeysReady, Secured, Failed.
type Event interface{ event() }

// PeerHello: the peer speaks ZRTP and a common version. Nothing in it is
// authenticated before Secured.
type PeerHello struct {
	ZID    wire.ZID
	Client string // as sent, 16 bytes, trailing spaces and zeros removed
	SSRC   uint32
}

// KeysReady: the exchange has given SRTP keys and they are checked by the
// peer's Confirm. A responder is Secured at once; an initiator may now open
// SRTP but must send and play nothing before Secured (Section 4.6), nor keep
// what is to be retained. All secrets are the receiver's, who clears them as
// soon as each is not needed any more (Section 4.7.3): Wipe.
type KeysReady struct {
	Role                                  Role
	ZID                                   wire.ZID // the peer's
	Client                                string
	SSRC                                  uint32 // the peer's
	Hash, Cipher, Auth, KeyAgreement, SAS wire.Name
	LocalKey, LocalSalt                   []byte // SRTP master key and salt for what we send
	RemoteKey, RemoteSalt                 []byte
	SASValue                              uint32 // leftmost 32 bits of sashash
	SASHash                               [32]byte
	SessionKey                            []byte // ZRTPSess, for further streams (Section 4.4.3)
	ExportedKey                           []byte // for other purposes of the application (Section 4.5.2)
	Continuity                            Match  // of rs1 and rs2
	Auxiliary                             Match  // of auxsecret
	Verified                              bool   // our V flag: verified in an earlier call, and Continuity is Matched
	PeerV                                 bool   // the peer's; means nothing unless Continuity is Matched
	PeerD                                 bool   // the peer says that its keys are disclosed (Section 11)
	Retain                                Retain // what to keep once Secured
}

// Secured: both ends have the keys (responder: Confirm2 was good; initiator:
// Conf2ACK or the first valid SRTP came).
type Secured struct{}

// Failed: the session is over, without keys or, for an initiator that never
// heard a Conf2ACK, with keys that must not be used.
type Failed struct {
	Code wire.ErrorCode // RFC 6189, Section 5.9
	Peer bool           // the peer said so, not we
	Err  error          // in words
}

func (PeerHello) event() {}
func (KeysReady) event() {}
func (Secured) event()   {}
func (Failed) event()    {}
