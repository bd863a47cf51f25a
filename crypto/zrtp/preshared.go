package zrtp

import (
	"crypto/hmac"
	"encoding/binary"
	"slices"
	"time"

	"securecall/crypto/zrtp/wire"
)

// Preshared mode (RFC 6189, Section 4.4.2) makes keys of rs1 alone. It has no
// forward secrecy: securecall itself never asks for it.

// presharedKey is made of rs1 and, if it is not nil, auxsecret; there is no
// pbxsecret (Section 4.4.2.2).
func (s suite) presharedKey(rs1, aux []byte) []byte {
	h := s.newHash()
	for _, secret := range [][]byte{rs1, aux, nil} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(secret))))
		h.Write(secret)
	}
	return h.Sum(nil)
}

// keyID names a preshared key: its MAC over "Prsh", leftmost 64 bits.
func (s suite) keyID(presharedKey []byte) wire.ID { return s.id(presharedKey, []byte("Prsh")) }

// presharedKeys derives all keys from presharedKey, which "MUST be erased as
// soon as it has been used to calculate s0" (Section 4.4.2.4).
func (s suite) presharedKeys(presharedKey, context []byte) *keys {
	s0 := s.kdf(presharedKey, "ZRTP PSK", context, s.hashBits())
	clear(presharedKey)
	return s.derive(s0, context)
}

// mayPreshare tells whether to begin in Preshared mode: "If rs1 is not
// available in the initiator's cache, then Preshared mode MUST NOT be used"
// (Section 4.4.2.2), and rs1 should come of an exchange whose SAS was compared
// (Section 4.4.2.1).
func (s *Session) mayPreshare() bool {
	if !s.config.Preshared || !slices.Contains(s.peer.hello.KeyAgreements, wire.Prsh) {
		return false
	}
	s.lookUp()
	return s.secrets.rs1 != nil && s.secrets.verified
}

// commitPreshared begins in Preshared mode.
func (s *Session) commitPreshared(now time.Time) {
	u, code := choose(s.offer, s.peer.hello)
	if code != 0 {
		s.fail(now, code)
		return
	}
	nonce, err := s.newNonce()
	if err != nil {
		s.fault(now, err)
		return
	}
	u.agreement = wire.Prsh
	key := u.presharedKey(s.secrets.rs1, s.secrets.aux)
	s.secrets.rs, s.secrets.auxIs = Matched, outcome(false, s.secrets.aux != nil)
	s.commitNonce(now, u, u.keyID(key), nonce, func(context []byte) *keys { return u.presharedKeys(key, context) })
}

// answerPreshared answers a Commit in Preshared mode. The responder searches
// for the key with and without auxsecret; without one that fits "it SHOULD
// respond with its own DH Commit message" (Section 4.4.2.3).
func (s *Session) answerPreshared(i in, m *wire.Commit) error {
	u := suiteOf(m)
	key := s.findPreshared(u, m.KeyID)
	if key == nil {
		// The hybrid's Commit is too large for an address that has proved nothing.
		if s.config.Initiate || s.best() != wire.XM76 {
			s.commitDH(i.now)
		}
		return nil
	}
	if code := acceptWithoutDH(s.offer, u); code != 0 {
		clear(key)
		s.fail(i.now, code)
		return nil
	}
	return s.answerNonce(i, m, func(context []byte) *keys { return u.presharedKeys(key, context) })
}

func (s *Session) findPreshared(u suite, id wire.ID) []byte {
	if !s.config.Preshared {
		return nil
	}
	s.lookUp()
	if s.secrets.rs1 == nil {
		return nil
	}
	for _, aux := range [][]byte{s.secrets.aux, nil} {
		key := u.presharedKey(s.secrets.rs1, aux)
		if own := u.keyID(key); hmac.Equal(own[:], id[:]) {
			s.secrets.rs, s.secrets.auxIs = Matched, outcome(s.secrets.aux != nil, aux != nil)
			return key
		}
		clear(key)
	}
	return nil
}
