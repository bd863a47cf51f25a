package zrtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// maxQueue bounds what NextPacket holds. What does not fit is lost like any
// packet, and repeated like one.
const maxQueue = 16

// Session is one ZRTP exchange.
type Session struct {
	config Config
	offer  Algorithms // what our Hello lists, and all that a Commit may choose
	state  state
	proven bool
	shown  bool // enough of our share that the peer can know the SAS
	drops  map[Drop]uint64

	chain chain
	hello []byte // the one Hello of the whole session (Section 6)

	peer     peer
	peerSSRC *uint32 // as signalling has announced it; nil: not
	secrets  secrets
	exchange

	helloAt      time.Time // when Hello is sent again; zero: never
	helloSent    time.Time
	ackFrom      uint32 // who sent a HelloACK
	acked        bool   // ackFrom is set
	commitAt     time.Time
	committedAt  time.Time // when our Commit was first sent
	helloHeard   time.Time // the peer's last one after it
	t2           retry
	silentAt     time.Time
	doubt        doubt
	acknowledged time.Time // when we last sent an ErrorACK or RelayACK

	seq    uint16
	queue  [][]byte // messages to send
	packet []byte   // what NextPacket returned last
	events []Event
}

// peer is what its Hello said, pinned.
type peer struct {
	known bool
	ssrc  uint32
	raw   []byte // its Hello
	hello *wire.Hello
	h2    [32]byte // from its Commit
	h1    [32]byte // from its DHPart
}

// exchange is the key agreement that is under way.
type exchange struct {
	role     Role
	suite    suite
	key      dh.Key // ours; wiped once the result is there
	commit   []byte
	hvi      [32]byte // of that Commit, in DH mode
	nonce    [16]byte // of our own, in the other modes
	dhPart1  []byte
	dhPart2  []byte
	confirm1 []byte
	confirm2 []byte
	keys     *keys
}

// New checks c and makes a session that has sent nothing yet.
//
// What is read from Config.Rand, in this order: here H0 (32 bytes) and the
// first sequence number (2 bytes); for a Commit of ours the IDs of those
// secrets in DHPart2 that there are not (8 bytes each, in the order rs1, rs2,
// aux, pbx) and then the key; for a DHPart1 the same, without the key if the
// one of our own discarded Commit serves (Section 4.2); for a Confirm its IV
// (16 bytes).
func New(c Config) (*Session, error) {
	offer, err := c.Algorithms.complete()
	if err != nil {
		return nil, err
	}
	if c.Rand == nil {
		return nil, errors.New("zrtp: no random source")
	}
	if len(c.Client) > 16 {
		return nil, fmt.Errorf("zrtp: client identifier %q is longer than 16 characters", c.Client)
	}
	modes := 0
	for _, used := range []bool{c.Preshared, c.Call != nil} {
		if used {
			modes++
		}
	}
	if len(offer.KeyAgreements)+modes > wire.MaxAlgorithms { // Section 5.2
		return nil, fmt.Errorf("zrtp: more than %d key agreements, with Preshared and Multistream", wire.MaxAlgorithms)
	}
	return newSession(c, offer)
}

func newSession(c Config, offer Algorithms) (*Session, error) {
	s := &Session{config: c, offer: offer, drops: map[Drop]uint64{}}
	var h0 [32]byte
	var seq [2]byte
	for _, b := range [][]byte{h0[:], seq[:]} {
		if _, err := io.ReadFull(c.Rand, b); err != nil {
			return nil, fmt.Errorf("zrtp: reading random bytes: %w", err)
		}
	}
	s.chain = newChain(h0)
	clear(h0[:])
	// bzrtp does not bear a sequence number that wraps around.
	s.seq = 1 + binary.BigEndian.Uint16(seq[:])%32000
	s.hello = seal(s.helloMessage(), s.chain.h2)
	return s, nil
}

// Start sends the first Hello, which is repeated every 200 ms until it is
// answered; the session never gives up on that by itself.
func (s *Session) Start(now time.Time) {
	if s.state == idle {
		s.state = discovery
		s.sendHello(now)
	}
}

// Receive handles one ZRTP datagram. The error is a Drop that says why it was
// refused; none is fatal to the caller. packet is borrowed for the call only.
func (s *Session) Receive(now time.Time, packet []byte) error {
	err := s.receive(now, packet)
	if d, ok := err.(Drop); ok {
		s.drops[d]++
	}
	return err
}

func (s *Session) receive(now time.Time, packet []byte) error {
	if s.state == idle || s.state == closed {
		return DropClosed
	}
	p, err := wire.ParsePacket(packet)
	if err != nil {
		return DropPacket
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		return DropMessage
	}
	i := in{now: now, ssrc: p.SSRC, raw: p.Message}
	switch m := m.(type) {
	case *wire.Ping:
		return s.onPing(i, m) // of a proxy, whatever its SSRC
	case *wire.Hello:
		if m.H3 == s.chain.h3 {
			return DropReflected
		}
	}
	switch {
	case s.peerSSRC != nil && p.SSRC != *s.peerSSRC:
		return DropForeign
	case s.peer.known && p.SSRC != s.peer.ssrc:
		return DropForeign
	case p.SSRC == s.config.SSRC:
		return s.onOwnSSRC(i, m)
	}
	handle, ok := table[s.state][m.Type()]
	if !ok {
		return DropUnexpected
	}
	return handle(s, i, m)
}

// Confirmed tells the session that valid SRTP or SRTCP of the peer arrived,
// which stands for a lost Conf2ACK (RFC 6189, Section 4.6).
func (s *Session) Confirmed(now time.Time) {
	if s.state == sentConfirm2 {
		s.becomeSecure()
	}
}

// send queues a message, which must not change afterwards.
func (s *Session) send(message []byte) {
	if len(s.queue) < maxQueue {
		s.queue = append(s.queue, message)
	}
}

// NextPacket returns the next datagram to send, to be used before the next
// call of any method.
func (s *Session) NextPacket() ([]byte, bool) {
	if len(s.queue) == 0 {
		return nil, false
	}
	s.packet = wire.AppendPacket(s.packet[:0], s.seq, s.config.SSRC, s.queue[0])
	s.seq++
	s.queue = slices.Delete(s.queue, 0, 1)
	return s.packet, true
}

func (s *Session) event(e Event) { s.events = append(s.events, e) }

// NextEvent returns the next event.
func (s *Session) NextEvent() (Event, bool) {
	if len(s.events) == 0 {
		return nil, false
	}
	e := s.events[0]
	s.events = slices.Delete(s.events, 0, 1)
	return e, true
}

// Proven tells whether the peer has shown that it sees our packets: as
// responder, by an hvi over our Hello that its DHPart2 matched; as initiator,
// by a good Confirm1. (A DHPart1 holds nothing of ours and proves nothing.)
func (s *Session) Proven() bool { return s.proven }

// Shown tells whether the peer, whoever it is, can know the SAS by now.
func (s *Session) Shown() bool { return s.shown }

// Begun tells whether a Commit was taken or answered: the exchange is past the
// Hellos, which cost their sender nothing.
func (s *Session) Begun() bool { return s.state > committed && s.state < failed }

// Drops counts the packets that Receive refused, by reason: a Drop's text.
func (s *Session) Drops() map[string]uint64 {
	drops := make(map[string]uint64, len(s.drops))
	for d, n := range s.drops {
		drops[string(d)] = n
	}
	return drops
}

// Close wipes what is secret. The session then drops everything and is silent,
// but for what NextPacket already held: the Error of a session that has just
// failed may still go out.
func (s *Session) Close() {
	s.stop(closed)
	for _, e := range s.events {
		if k, ok := e.(KeysReady); ok {
			k.Wipe()
		}
	}
	s.events = nil
}

// stop leaves the exchange for good, for failed or closed.
func (s *Session) stop(last state) {
	s.state = last
	s.stopTimers()
	s.dropExchange()
	s.secrets.wipe()
	s.chain.h0 = [32]byte{}
}

// dropExchange wipes what an exchange made.
func (s *Session) dropExchange() {
	if s.key != nil {
		s.key.Wipe()
	}
	if s.keys != nil {
		s.keys.wipe()
	}
	s.exchange = exchange{role: s.role}
}

// becomeSecure ends the handshake: all that is kept is what answers a
// repeated Confirm2.
func (s *Session) becomeSecure() {
	s.state = secure
	s.stopTimers()
	s.secrets.wipe()
	s.chain.h0 = [32]byte{}
	s.exchange = exchange{role: s.role, suite: s.suite, confirm2: s.confirm2}
	s.event(Secured{})
}

// same tells whether a repeat is the message that it repeats (Section 6).
func (i in) same(earlier []byte) bool { return bytes.Equal(i.raw, earlier) }
