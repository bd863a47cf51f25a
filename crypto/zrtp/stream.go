package zrtp

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"securecall/crypto/zrtp/wire"
)

// A Call is what the first stream of a call leaves for the further ones
// between the same two endpoints, in Multistream mode (RFC 6189, Section
// 4.4.3). It may be used by Sessions in several goroutines.
type Call struct {
	peer  wire.ZID
	suite suite

	mu     sync.Mutex
	key    []byte // ZRTPSess
	nonces [][16]byte
}

// NewCall takes ZRTPSess over from the first stream's keys, once it is
// Secured. Close it "no later than the end of the call" (Section 4.5.2).
func NewCall(k KeysReady) (*Call, error) {
	if len(k.SessionKey) == 0 {
		return nil, errors.New("zrtp: these keys are of a further stream and have no ZRTP Session key")
	}
	u := suite{k.Hash, k.Cipher, k.Auth, k.KeyAgreement, k.SAS}
	return &Call{peer: k.ZID, suite: u, key: bytes.Clone(k.SessionKey)}, nil
}

// Close wipes ZRTPSess. No further stream can begin.
func (c *Call) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.key)
	c.key = nil
}

func (c *Call) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.key == nil
}

// use notes a nonce. It "MUST be unique for all nonce values chosen for active
// ZRTP sessions between a pair of endpoints" (Section 4.4.3.1).
func (c *Call) use(nonce [16]byte) (fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.nonces, nonce) {
		return false
	}
	c.nonces = append(c.nonces, nonce)
	return true
}

// s0 of a further stream (Section 4.4.3.2).
func (c *Call) s0(u suite, context []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return u.kdf(c.key, "ZRTP MSK", context, u.hashBits())
}

// commitStream begins a further stream, with the algorithms of the first
// (Section 4.4.3.1).
func (s *Session) commitStream(now time.Time) {
	switch {
	case !slices.Contains(s.peer.hello.KeyAgreements, wire.Mult):
		s.fail(now, wire.ErrorKeyAgreement)
		return
	case s.config.Call.closed() || s.config.Call.peer != s.peer.hello.ZID:
		s.fail(now, wire.ErrorNoSecret)
		return
	}
	nonce, err := s.newNonce()
	if err != nil {
		s.fault(now, err)
		return
	}
	s.config.Call.use(nonce)
	u := s.config.Call.suite
	u.agreement = wire.Mult
	s.commitNonce(now, u, wire.ID{}, nonce, func(context []byte) *keys { return s.streamKeys(u, context) })
}

// answerStream answers a Commit in Multistream mode.
func (s *Session) answerStream(i in, m *wire.Commit) error {
	call, u := s.config.Call, suiteOf(m)
	switch {
	case call == nil || call.closed() || call.peer != m.ZID:
		// "If ... the responder does not have a ZRTP Session Key available, the
		// exchange MUST be terminated" (Section 4.4.3.1).
		s.fail(i.now, wire.ErrorNoSecret)
		return nil
	case !call.use(m.Nonce):
		// "If a Commit is received with a reused nonce value, the ZRTP exchange
		// MUST be immediately terminated" (Section 4.4.3.1).
		s.fail(i.now, wire.ErrorNonceReuse)
		return nil
	}
	u.sas = call.suite.sas // "The SAS Type is ignored"
	if code := acceptWithoutDH(s.offer, u); code != 0 {
		s.fail(i.now, code)
		return nil
	}
	return s.answerNonce(i, m, func(context []byte) *keys { return s.streamKeys(u, context) })
}

// streamKeys are the keys of a further stream: no SAS, nothing to retain.
func (s *Session) streamKeys(u suite, context []byte) *keys {
	s0 := s.config.Call.s0(u, context)
	defer clear(s0)
	return u.deriveStream(s0, context)
}
