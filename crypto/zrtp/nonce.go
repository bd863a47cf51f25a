package zrtp

import (
	"bytes"
	"crypto/sha256"
	"io"
	"time"

	"securecall/crypto/zrtp/wire"
)

// What Multistream and Preshared mode have in common (RFC 6189, Sections
// 4.4.2 and 4.4.3): there is no DHPart, a nonce stands in the place of hvi, and
// Commit is answered with Confirm1.

func (s suite) withoutDH() bool { return s.agreement == wire.Mult || s.agreement == wire.Prsh }

// commitNonce sends a Commit with a nonce. derive makes the keys, which depend
// on nothing that is still to come.
func (s *Session) commitNonce(now time.Time, chosen suite, keyID wire.ID, nonce [16]byte, derive func(context []byte) *keys) {
	s.suite, s.nonce = chosen, nonce
	m := chosen.commit(s)
	m.Nonce, m.KeyID = nonce, keyID
	s.exchange.commit = seal(m, s.chain.h1)
	s.keys = derive(s.context(Initiator, s.exchange.commit))
	s.sendCommit(now)
}

func (s *Session) newNonce() (nonce [16]byte, err error) {
	_, err = io.ReadFull(s.config.Rand, nonce[:])
	return nonce, err
}

// answerNonce answers such a Commit with Confirm1.
func (s *Session) answerNonce(i in, m *wire.Commit, derive func(context []byte) *keys) error {
	s.dropExchange()
	s.peer.h2 = m.H2
	s.exchange = exchange{role: Responder, suite: suiteOf(m), commit: bytes.Clone(i.raw)}
	s.keys = derive(s.context(Responder, s.exchange.commit))
	confirm, err := s.makeConfirm(1)
	if err != nil {
		s.fault(i.now, err)
		return nil
	}
	s.confirm1 = confirm
	s.state = sentConfirm1
	s.t2.stop()
	s.valid(i.now)
	s.send(s.confirm1)
	return nil
}

// onConfirm1AfterCommit gives an initiator without DH its keys.
func (s *Session) onConfirm1AfterCommit(i in, m *wire.Confirm) error {
	if !s.suite.withoutDH() {
		return DropUnexpected
	}
	s.role = Initiator
	return s.onConfirm1(i, m)
}

// onCommitRepeatConfirmed answers the same Commit with the same Confirm1.
func (s *Session) onCommitRepeatConfirmed(i in, _ *wire.Commit) error {
	if !s.suite.withoutDH() || !i.same(s.exchange.commit) {
		return DropUnexpected
	}
	s.valid(i.now)
	s.send(s.confirm1)
	return nil
}

// endsChain tells whether h0, from the peer's Confirm, continues its hash
// chain, and whether the message whose MAC it lets us check is intact: DHPart
// or, without DH, the Commit of an initiator and the Hello of a responder
// (Section 9).
func (s *Session) endsChain(h0 [32]byte, dhPart []byte) (continues, intact bool) {
	if !s.suite.withoutDH() {
		return images(s.peer.h1, h0), sealed(dhPart, h0)
	}
	h1 := sha256.Sum256(h0[:])
	if s.role == Responder {
		return images(s.peer.h2, h1), sealed(s.exchange.commit, h1)
	}
	h2 := sha256.Sum256(h1[:])
	return images(s.peer.hello.H3, h2), sealed(s.peer.raw, h2)
}
