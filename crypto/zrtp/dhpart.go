package zrtp

import (
	"bytes"
	"crypto/sha256"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// onDHPart1 makes an initiator of a session that has sent a Commit.
func (s *Session) onDHPart1(i in, m *wire.DHPart) error {
	// The responder sends no Commit, so its H2 is the image of its H1
	// (Section 9).
	h2 := sha256.Sum256(m.H1[:])
	if !images(s.peer.hello.H3, h2) {
		return DropChain
	}
	if !sealed(s.peer.raw, h2) {
		s.fail(i.now, wire.ErrorComponents)
		return nil
	}
	s.dhPart1 = bytes.Clone(i.raw)
	if !s.agree(i, m, Initiator) {
		return nil
	}
	s.role = Initiator
	s.state, s.shown = sentDHPart2, true
	s.valid(i.now)
	s.helloAt = time.Time{} // it has our Hello
	s.send(s.dhPart2)
	s.t2.start(i.now, s.dhPart2)
	return nil
}

// onDHPart2 holds the initiator to its Commit and sends Confirm1.
func (s *Session) onDHPart2(i in, m *wire.DHPart) error {
	if !images(s.peer.h2, m.H1) {
		return DropChain
	}
	// What follows bears the peer's own H1: it is the peer that breaks its
	// word, or somebody between us ("a MiTM attack is taking place", Section
	// 4.4.1.2). hvi comes before any work with pv: only then is it worth it.
	if !sealed(s.exchange.commit, m.H1) || s.suite.hvi(i.raw, s.hello) != s.hvi {
		s.fail(i.now, wire.ErrorHVI)
		return nil
	}
	s.proven = true
	s.dhPart2 = bytes.Clone(i.raw)
	if !s.agree(i, m, Responder) {
		return nil
	}
	confirm, err := s.makeConfirm(1)
	if err != nil {
		s.fault(i.now, err)
		return nil
	}
	s.confirm1 = confirm
	s.state = sentConfirm1
	s.valid(i.now)
	s.send(s.confirm1)
	return nil
}

// onDHPart2Repeat answers the same DHPart2 with the same Confirm1.
func (s *Session) onDHPart2Repeat(i in, _ *wire.DHPart) error {
	if !i.same(s.dhPart2) {
		return DropChanged
	}
	s.valid(i.now)
	s.send(s.confirm1)
	return nil
}

// agree computes the keys from the peer's DHPart and is done with our own key
// and the secrets from the cache. It fails the session if pv is bad, as
// Sections 4.4.1.2 and 4.4.1.3 ask.
func (s *Session) agree(i in, m *wire.DHPart, own Role) bool {
	if agreement, ok := dh.Lookup(s.suite.agreement); !ok || len(m.PV) != agreement.PublicSize(m.Part) {
		s.fail(i.now, wire.ErrorMalformed)
		return false
	}
	result, err := s.key.Shared(m.PV)
	if err != nil {
		s.fail(i.now, wire.ErrorPublicValue)
		return false
	}
	s.key.Wipe()
	s.key = nil
	s.secrets.match(s.suite, own, m, s.peer.hello.H3)
	context := s.context(own, s.exchange.commit, s.dhPart1, s.dhPart2)
	s.keys = s.suite.derive(s.suite.s0(result, context, s.secrets.s1, s.secrets.s2), context)
	s.secrets.wipe()
	s.peer.h1 = m.H1
	return true
}

// context is KDF_Context of an exchange in which we have the role own and
// these messages followed the responder's Hello.
func (s *Session) context(own Role, messages ...[]byte) []byte {
	zidi, zidr, hello := s.config.ZID, s.peer.hello.ZID, s.peer.raw
	if own == Responder {
		zidi, zidr, hello = zidr, zidi, s.hello
	}
	return s.suite.context(zidi, zidr, append([][]byte{hello}, messages...)...)
}
