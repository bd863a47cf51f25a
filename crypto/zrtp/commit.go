package zrtp

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"securecall/crypto/zrtp/dh"
	"securecall/crypto/zrtp/wire"
)

// commitNow makes the session an initiator, until contention says otherwise.
func (s *Session) commitNow(now time.Time) {
	switch {
	case s.config.Call != nil:
		s.commitStream(now)
	case s.mayPreshare():
		s.commitPreshared(now)
	case !s.config.Initiate && s.best() == wire.XM76:
		// A Commit of that size is not sent to an address that has proved
		// nothing; the peer, who can, will send its own.
		s.commitAt = time.Time{}
	default:
		s.commitDH(now)
	}
}

// best is the key agreement that both ends choose (Section 4.1.2).
func (s *Session) best() wire.Name {
	chosen, _ := choose(s.offer, s.peer.hello)
	return chosen.agreement
}

// commitDH begins in DH mode.
func (s *Session) commitDH(now time.Time) {
	chosen, code := choose(s.offer, s.peer.hello)
	if code != 0 {
		s.fail(now, code)
		return
	}
	agreement, ok := dh.Lookup(chosen.agreement)
	if !ok {
		s.fault(now, fmt.Errorf("no key agreement %v", chosen.agreement))
		return
	}
	if !s.config.Initiate && !s.mayMakeKey(now, agreement) {
		s.commitAt = now.Add(CommitAfter)
		return
	}
	part, err := s.dhPart(Initiator, chosen)
	if err == nil {
		s.key, err = agreement.Initiate(s.config.Rand)
	}
	if err != nil {
		s.fault(now, err)
		return
	}
	part.PV = s.key.Public()
	s.suite = chosen
	s.dhPart2 = seal(part, s.chain.h0)
	s.hvi = chosen.hvi(s.dhPart2, s.peer.raw)
	m := chosen.commit(s)
	m.HVI, m.KEM = s.hvi, s.key.Committed()
	s.exchange.commit = seal(m, s.chain.h1)
	s.sendCommit(now)
}

// commit is a Commit that selects u, but for what depends on the mode.
func (u suite) commit(s *Session) *wire.Commit {
	return &wire.Commit{
		H2:           s.chain.h2,
		ZID:          s.config.ZID,
		Hash:         u.hash,
		Cipher:       u.cipher,
		Auth:         u.auth,
		KeyAgreement: u.agreement,
		SAS:          u.sas,
	}
}

// sendCommit sends our Commit, again and again until it is answered.
func (s *Session) sendCommit(now time.Time) {
	s.state = committed
	s.commitAt = time.Time{}
	s.send(s.exchange.commit)
	s.committedAt = now
	s.t2.start(now, s.exchange.commit)
}

// mayMakeKey asks the owner.
func (s *Session) mayMakeKey(now time.Time, a dh.Agreement) bool {
	allow := s.config.AllowKey
	return allow == nil || allow(now, a.FiniteField())
}

// onCommit makes the session a responder.
func (s *Session) onCommit(i in, m *wire.Commit) error {
	ours, err := s.checkCommit(i, m)
	if err != nil || !ours {
		return err
	}
	return s.answer(i, m)
}

// answer answers a Commit, in its mode.
func (s *Session) answer(i in, m *wire.Commit) error {
	switch {
	case m.KeyAgreement == wire.Mult:
		return s.answerStream(i, m)
	case s.config.Call != nil:
		// "When adding additional media streams to an existing call, Multistream
		// mode MUST be used" (Section 4.4.3).
		s.fail(i.now, wire.ErrorSoftware)
		return nil
	case m.KeyAgreement == wire.Prsh:
		return s.answerPreshared(i, m)
	}
	return s.answerDH(i, m)
}

// onContention settles who is the initiator when both sent a Commit
// (Section 4.2).
func (s *Session) onContention(i in, m *wire.Commit) error {
	usable, err := s.checkCommit(i, m)
	if err != nil || !usable {
		return err
	}
	ours, theirs := s.suite.agreement, m.KeyAgreement
	if (ours == wire.Mult) != (theirs == wire.Mult) { // "a software error has occurred"
		s.fail(i.now, wire.ErrorSoftware)
		return nil
	}
	order := bytes.Compare(m.HVI[:], s.hvi[:])
	switch {
	case ours == wire.Prsh && theirs != wire.Prsh: // "the Preshared Commit MUST be discarded"
		return s.answer(i, m)
	case ours != wire.Prsh && theirs == wire.Prsh:
		return DropContention
	case theirs == wire.Prsh && s.peer.hello.M: // "MUST be discarded ... regardless of the nonce values"
		return DropContention
	case s.suite.withoutDH():
		order = bytes.Compare(m.Nonce[:], s.nonce[:])
	}
	switch order {
	case -1: // "the Commit message with the lowest hvi ... MUST be discarded"
		return DropContention
	case 0: // our own commitment handed back
		s.fail(i.now, wire.ErrorNonceReuse)
		return nil
	}
	return s.answer(i, m)
}

// checkCommit checks what Section 9 and 5.4 let us check by now. Without an
// error, usable tells whether the exchange goes on.
func (s *Session) checkCommit(i in, m *wire.Commit) (usable bool, err error) {
	if !s.peer.known {
		return false, DropUnexpected
	}
	if !images(s.peer.hello.H3, m.H2) {
		return false, DropChain
	}
	if !sealed(s.peer.raw, m.H2) || m.ZID != s.peer.hello.ZID {
		s.fail(i.now, wire.ErrorComponents)
		return false, nil
	}
	s.valid(i.now)
	s.helloAt, s.commitAt = time.Time{}, time.Time{} // a Commit answers our Hello
	return true, nil
}

// answerDH sends DHPart1. A Commit of ours is discarded, but not its key, which
// nobody has seen, if it is of the right kind (Section 4.2).
func (s *Session) answerDH(i in, m *wire.Commit) error {
	chosen := suiteOf(m)
	if code := accept(s.offer, chosen); code != 0 {
		s.fail(i.now, code)
		return nil
	}
	if s.bidDown(chosen) {
		s.fail(i.now, wire.ErrorKeyAgreement)
		return nil
	}
	agreement, ok := dh.Lookup(chosen.agreement)
	if !ok {
		s.fault(i.now, fmt.Errorf("no key agreement %v", chosen.agreement))
		return nil
	}
	reuse := s.key != nil && s.suite.agreement == chosen.agreement && agreement.CommitSize() == 0
	if !reuse && !s.mayMakeKey(i.now, agreement) {
		return DropBusy
	}
	part, err := s.dhPart(Responder, chosen)
	if err == nil && !reuse {
		if s.key != nil {
			s.key.Wipe()
		}
		s.key, err = agreement.Respond(s.config.Rand, m.KEM)
	}
	switch {
	case errors.Is(err, dh.ErrPublicValue):
		s.fail(i.now, wire.ErrorPublicValue)
		return nil
	case err != nil:
		s.fault(i.now, err)
		return nil
	}
	part.PV = s.key.Public()
	if s.keys != nil {
		s.keys.wipe() // of a discarded Commit without DH
	}
	s.peer.h2 = m.H2
	s.exchange = exchange{
		role:    Responder,
		suite:   chosen,
		key:     s.key,
		commit:  bytes.Clone(i.raw),
		hvi:     m.HVI,
		dhPart1: seal(part, s.chain.h0),
	}
	s.state, s.shown = sentDHPart1, true
	s.t2.stop()
	s.valid(i.now)
	s.send(s.dhPart1)
	return nil
}

// bidDown tells whether a Commit asks for less than the hybrid where both ends
// have it. Only securecalls have it, and all of them choose it then; somebody
// else has written this Commit (docs/notes/hybrid.md).
func (s *Session) bidDown(asked suite) bool {
	return s.best() == wire.XM76 && asked.agreement != wire.XM76
}

// onCommitRepeat answers the same Commit with the same DHPart1.
func (s *Session) onCommitRepeat(i in, _ *wire.Commit) error {
	if !i.same(s.exchange.commit) {
		return DropChanged
	}
	s.valid(i.now)
	s.send(s.dhPart1)
	return nil
}
