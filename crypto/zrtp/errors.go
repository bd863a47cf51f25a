package zrtp

import (
	"errors"
	"fmt"
	"time"

	"securecall/crypto/zrtp/wire"
)

// A Drop is the error of Receive: why a packet was refused.
type Drop string

// The reasons.
const (
	DropClosed     Drop = "not running"
	DropPacket     Drop = "no whole ZRTP packet" // length, cookie or CRC
	DropMessage    Drop = "malformed message"    // CRC right, structure wrong
	DropReflected  Drop = "our own, reflected"   // our SSRC or our H3
	DropForeign    Drop = "of another SSRC"      // not the pinned one
	DropUnexpected Drop = "unexpected"           // not in the table
	DropVersion    Drop = "of another version"   // Section 4.1.1
	DropEqualZID   Drop = "a Hello with our own ZID"
	DropHello      Drop = "another Hello"         // only the first one counts
	DropChain      Drop = "not of the hash chain" // Section 9
	DropChanged    Drop = "a changed repeat"      // Section 6
	DropContention Drop = "lost contention"       // Section 4.2
	DropMAC        Drop = "wrong Confirm MAC"
	DropBusy       Drop = "key agreement refused for now" // Config.AllowKey
	DropRelay      Drop = "a SAS of somebody else"
	DropHelloHash  Drop = "a Hello that was not announced" // Config.PeerHelloHash
	DropLateError  Drop = "an Error after the keys"
)

func (d Drop) Error() string { return "zrtp: dropped: " + string(d) }

// ErrLargeCommit is the Err of a Failed whose Commit, for the hybrid larger
// than 1,280 bytes, was never answered: the path may lose what is that large.
var ErrLargeCommit = errors.New("zrtp: no answer to the Commit of the post-quantum key agreement, a packet of 1,316 bytes, which some networks do not carry")

// A doubt ends the exchange at its time unless a valid message of the
// handshake comes first.
type doubt struct {
	at   time.Time // zero: none
	code wire.ErrorCode
	peer bool // the peer's Error, not our finding
}

// suspect starts a doubt. Repeats do not prolong it.
func (s *Session) suspect(now time.Time, code wire.ErrorCode, peer bool) {
	if s.doubt.at.IsZero() {
		s.doubt = doubt{at: now.Add(ErrorGrace), code: code, peer: peer}
	}
}

// valid notes that a message of the handshake passed every check that can be
// made on it so far.
func (s *Session) valid(now time.Time) {
	s.doubt = doubt{}
	if s.state == sentDHPart1 || s.state == sentConfirm1 {
		s.silentAt = now.Add(SilenceLimit)
	} else {
		s.silentAt = time.Time{}
	}
}

// despair ends the exchange for the doubt's reason.
func (s *Session) despair(now time.Time) {
	d := s.doubt
	if !d.peer {
		s.fail(now, d.code)
		return
	}
	s.stop(failed)
	s.event(Failed{Code: d.code, Peer: true, Err: codeError(d.code)})
}

// codeError puts a code into words.
func codeError(code wire.ErrorCode) error { return fmt.Errorf("zrtp: %v", code) }

// fail ends the exchange with an Error to the peer, repeated by T2 until it
// is acknowledged (RFC 6189, Sections 4.7.1 and 6).
func (s *Session) fail(now time.Time, code wire.ErrorCode) {
	s.failWith(now, code, codeError(code))
}

// fault is a failure of ours: of the random source, or of New's promises.
func (s *Session) fault(now time.Time, err error) {
	s.failWith(now, wire.ErrorSoftware, fmt.Errorf("zrtp: %w", err))
}

func (s *Session) failWith(now time.Time, code wire.ErrorCode, err error) {
	s.stop(failed)
	message := (&wire.Error{Code: code}).Append(nil)
	s.send(message)
	s.t2.start(now, message)
	s.event(Failed{Code: code, Err: err})
}

// onError takes the peer's Error, which nothing authenticates. Before its Hello
// there is no peer: whoever says it then, it means nothing.
func (s *Session) onError(i in, m *wire.Error) error {
	if !s.peer.known {
		return DropUnexpected
	}
	s.acknowledgeError(i.now)
	s.suspect(i.now, m.Code, true)
	return nil
}

// onLateError acknowledges an Error that changes nothing any more: the keys
// are checked, or the exchange is over.
func (s *Session) onLateError(i in, _ *wire.Error) error {
	s.acknowledgeError(i.now)
	return DropLateError
}

func (s *Session) acknowledgeError(now time.Time) { s.acknowledge(now, &wire.ErrorACK{}) }

// acknowledge answers what anybody can send, and not too often.
func (s *Session) acknowledge(now time.Time, m wire.Message) {
	if s.acknowledged.IsZero() || now.Sub(s.acknowledged) >= errorACKInterval {
		s.acknowledged = now
		s.send(m.Append(nil))
	}
}

// onSASrelay takes the SAS of a third party, which a PBX sends. There is none
// that we trust: "the Relayed SAS SHOULD NOT be rendered. A RelayACK is still
// sent, but no Error message" (Section 5.13). Its content is not even decrypted,
// since the keys for that are gone; it can change nothing.
func (s *Session) onSASrelay(i in, _ *wire.SASrelay) error {
	s.acknowledge(i.now, &wire.RelayACK{})
	return DropRelay
}

func (s *Session) onErrorACK(in, *wire.ErrorACK) error {
	s.t2.stop()
	return nil
}
