package zrtp

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"encoding/binary"
	"io"

	"securecall/crypto/zrtp/wire"
)

// makeConfirm makes our Confirm1 or Confirm2 (Sections 4.6 and 5.7). Of the
// flags only V is ever set: there is no PBX, no GoClear, and the keys are
// disclosed to nobody.
func (s *Session) makeConfirm(part int) ([]byte, error) {
	return s.sealConfirm(part, &wire.ConfirmBody{H0: s.chain.h0, V: s.verified(), Expiry: s.expiry()})
}

// sealConfirm encrypts a Confirm's body and puts the MAC on it.
func (s *Session) sealConfirm(part int, body *wire.ConfirmBody) ([]byte, error) {
	local, _ := s.keys.sides(s.role)
	block, err := aes.NewCipher(local.zrtp)
	if err != nil {
		return nil, err
	}
	m := &wire.Confirm{Part: part}
	if _, err := io.ReadFull(s.config.Rand, m.IV[:]); err != nil {
		return nil, err
	}
	m.Encrypted = body.Append(nil)
	encryptCFB(block, m.IV, m.Encrypted)
	m.MAC = s.suite.confirmMAC(local.mac, m.Encrypted)
	return m.Append(nil), nil
}

// verified is our V flag: the SAS was verified in an earlier call, and it is
// the secret of that line of calls that the peer shares (Section 7.1).
func (s *Session) verified() bool { return s.secrets.verified && s.secrets.rs == Matched }

// expiry is our cache expiration interval. "If a ZRTP endpoint does not
// support the caching of shared secrets, it MUST set the cache expiration
// interval to zero" (Section 4.9.1).
//
// "If the ZRTP exchange is Multistream mode, the field ... is set to 0xffffffff
// and is ignored" (Section 4.9).
func (s *Session) expiry() uint32 {
	if s.config.Retained == nil && s.suite.agreement != wire.Mult {
		return 0
	}
	return Forever
}

// retain is what the cache keeps; a further stream changes nothing (Section
// 4.6.1).
func (s *Session) retain(peerExpiry uint32) Retain {
	if s.suite.agreement == wire.Mult {
		return Retain{}
	}
	return Retain{
		RS1:     s.keys.rs1,
		Expiry:  min(s.expiry(), peerExpiry),
		KeepRS2: s.suite.agreement == wire.Prsh || s.secrets.byRS2,
	}
}

// openConfirm checks and decrypts the peer's Confirm. dhPart is the peer's
// DHPart, if there is one. Without an error, a nil body means that the session
// has failed.
func (s *Session) openConfirm(i in, m *wire.Confirm, dhPart []byte) (*wire.ConfirmBody, error) {
	_, remote := s.keys.sides(s.role)
	mac := s.suite.confirmMAC(remote.mac, m.Encrypted)
	if !hmac.Equal(mac[:], m.MAC[:]) {
		// Anybody can send that: it ends the exchange only if nothing better
		// follows.
		s.suspect(i.now, wire.ErrorConfirmMAC, false)
		return nil, DropMAC
	}
	block, err := aes.NewCipher(remote.zrtp)
	if err != nil {
		s.fault(i.now, err)
		return nil, nil
	}
	plain := bytes.Clone(m.Encrypted)
	decryptCFB(block, m.IV, plain)
	body, err := wire.ParseConfirmBody(plain)
	if err != nil {
		s.fail(i.now, wire.ErrorMalformed)
		return nil, nil
	}
	continues, intact := s.endsChain(body.H0, dhPart)
	if !continues {
		// The IV is not under the MAC: anybody who saw the good one can spoil
		// its first block.
		s.suspect(i.now, wire.ErrorConfirmMAC, false)
		return nil, DropChain
	}
	if !intact {
		s.fail(i.now, wire.ErrorConfirmMAC)
		return nil, nil
	}
	return body, nil
}

// onConfirm1 gives an initiator its keys.
func (s *Session) onConfirm1(i in, m *wire.Confirm) error {
	body, err := s.openConfirm(i, m, s.dhPart1)
	if body == nil {
		return err
	}
	s.confirm2, err = s.makeConfirm(2)
	if err != nil {
		s.fault(i.now, err)
		return nil
	}
	s.proven = true
	s.state = sentConfirm2
	s.valid(i.now)
	s.send(s.confirm2)
	s.t2.start(i.now, s.confirm2)
	s.handOver(body)
	return nil
}

// onConfirm2 gives a responder its keys and ends the handshake.
func (s *Session) onConfirm2(i in, m *wire.Confirm) error {
	body, err := s.openConfirm(i, m, s.dhPart2)
	if body == nil {
		return err
	}
	s.confirm2 = bytes.Clone(i.raw)
	s.handOver(body)
	s.becomeSecure()
	s.sendConf2ACK()
	return nil
}

// onConfirm2Repeat answers the same Confirm2 as long as the session lives: an
// initiator may know nothing else that ends its waiting.
func (s *Session) onConfirm2Repeat(i in, _ *wire.Confirm) error {
	if s.role != Responder {
		return DropUnexpected
	}
	if !i.same(s.confirm2) {
		return DropChanged
	}
	s.sendConf2ACK()
	return nil
}

func (s *Session) sendConf2ACK() { s.send((&wire.Conf2ACK{}).Append(nil)) }

// onConf2ACK ends the handshake of an initiator.
func (s *Session) onConf2ACK(in, *wire.Conf2ACK) error {
	s.becomeSecure()
	return nil
}

// handOver emits the keys and forgets them.
func (s *Session) handOver(body *wire.ConfirmBody) {
	local, remote := s.keys.sides(s.role)
	s.event(KeysReady{
		Role:         s.role,
		ZID:          s.peer.hello.ZID,
		Client:       s.peer.client(),
		SSRC:         s.peer.ssrc,
		Hash:         s.suite.hash,
		Cipher:       s.suite.cipher,
		Auth:         s.suite.auth,
		KeyAgreement: s.suite.agreement,
		SAS:          s.suite.sas,
		LocalKey:     local.srtpKey,
		LocalSalt:    local.srtpSalt,
		RemoteKey:    remote.srtpKey,
		RemoteSalt:   remote.srtpSalt,
		SASValue:     binary.BigEndian.Uint32(s.keys.sasHash[:]),
		SASHash:      s.keys.sasHash,
		SessionKey:   s.keys.session,
		ExportedKey:  s.keys.exported,
		Continuity:   s.secrets.rs,
		Auxiliary:    s.secrets.auxIs,
		Verified:     s.verified(),
		PeerV:        body.V,
		PeerD:        body.D,
		Retain:       s.retain(body.Expiry),
	})
	s.keys.wipeConfirm()
	s.keys = nil // what is left of them is the event's
}
