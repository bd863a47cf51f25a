package zrtp

import (
	"crypto/hmac"
	"io"

	"securecall/crypto/zrtp/wire"
)

// Retained is what the cache holds about a peer (RFC 6189, Section 4.9).
// Expired secrets are not in it.
type Retained struct {
	RS1, RS2 []byte // nil: none. The Session takes them over and wipes them
	Verified bool   // the SAS was verified in an earlier call (Section 7.1)
}

// Match is how a shared secret of ours compared with the peer's, by their
// hashes (Section 4.3.1).
type Match int

// The outcomes.
const (
	None     Match = iota // we have no such secret
	Matched               // both have it, and it went into s0
	Mismatch              // we have one, the peer has not or has another (Section 4.3.2)
)

// Retain is what the cache has to keep of an exchange once it is Secured:
// rs1 becomes rs2 unless KeepRS2, and RS1 rs1 (Section 4.6.1).
type Retain struct {
	RS1 []byte // 32 bytes, the receiver's to wipe
	// Expiry is the smaller of both sides' cache expiration intervals, in
	// seconds. 0: nothing new is stored, and what is there has expired;
	// Forever: never.
	Expiry uint32
	// KeepRS2: rs2 stays, and rs1 is replaced: in Preshared mode (Section
	// 4.6.1), and where it was rs2 that the peer had, and not rs1
	// (docs/notes/interrupted-calls.md).
	KeepRS2 bool
}

// Forever is the cache expiration interval of a secret that does not expire.
const Forever = 0xffffffff

// secrets are the shared secrets of one exchange.
type secrets struct {
	lookedUp      bool
	rs1, rs2, aux []byte // nil: none
	verified      bool
	// What is in common, once the peer's DHPart came (Section 4.3).
	s1, s2 []byte
	byRS2  bool // s1 is rs2
	rs     Match
	auxIs  Match
}

// lookUp asks the cache about the peer, once a session.
func (s *Session) lookUp() {
	if s.secrets.lookedUp {
		return
	}
	s.secrets = secrets{lookedUp: true, aux: s.config.Auxiliary}
	if s.config.Retained != nil {
		r := s.config.Retained(s.peer.hello.ZID)
		s.secrets.rs1, s.secrets.rs2, s.secrets.verified = r.RS1, r.RS2, r.Verified
	}
}

func (s *secrets) wipe() {
	clear(s.rs1)
	clear(s.rs2)
	*s = secrets{lookedUp: true, byRS2: s.byRS2, rs: s.rs, auxIs: s.auxIs, verified: s.verified}
}

// roleName is how a role is written into hashes and key derivations.
func (r Role) name() string {
	if r == Initiator {
		return "Initiator"
	}
	return "Responder"
}

// id is the hash of a shared secret that goes over the wire, keyed by the
// secret: for rs1, rs2 and pbxsecret over the sender's role, for auxsecret
// over the sender's H3 (Section 4.3.1).
func (s suite) id(secret, of []byte) wire.ID {
	h := hmac.New(s.newHash, secret)
	h.Write(of)
	return wire.ID(h.Sum(nil))
}

// dhPart is our DHPart1 or DHPart2 but for pv and MAC. "If no secret of a
// given type is available, a random value is generated", so that nobody learns
// which ones there are (Section 4.3).
func (s *Session) dhPart(r Role, u suite) (*wire.DHPart, error) {
	s.lookUp()
	m := &wire.DHPart{Part: 1, H1: s.chain.h1}
	if r == Initiator {
		m.Part = 2
	}
	role := []byte(r.name())
	for _, f := range []struct {
		id         *wire.ID
		secret, of []byte
	}{
		{&m.RS1ID, s.secrets.rs1, role},
		{&m.RS2ID, s.secrets.rs2, role},
		{&m.AuxID, s.secrets.aux, s.chain.h3[:]},
		{&m.PBXID, nil, nil},
	} {
		if f.secret != nil {
			*f.id = u.id(f.secret, f.of)
		} else if _, err := io.ReadFull(s.config.Rand, f.id[:]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// match finds what we share with the peer by the IDs in its DHPart, ours
// being the role own (Section 4.3). s1 is the initiator's rs1 if the responder
// has it as rs1 or rs2, else the initiator's rs2 if the responder has that.
func (s *secrets) match(u suite, own Role, m *wire.DHPart, peerH3 [32]byte) {
	peer := Initiator
	if own == Initiator {
		peer = Responder
	}
	role := []byte(peer.name())
	has := func(secret []byte, id wire.ID) bool {
		if secret == nil {
			return false
		}
		want := u.id(secret, role)
		return hmac.Equal(want[:], id[:])
	}
	// In the order of the initiator's secrets, whichever end we are.
	var by1, by2 bool
	if own == Initiator {
		by1 = has(s.rs1, m.RS1ID) || has(s.rs1, m.RS2ID)
		by2 = !by1 && (has(s.rs2, m.RS1ID) || has(s.rs2, m.RS2ID))
	} else {
		for _, id := range []wire.ID{m.RS1ID, m.RS2ID} {
			by1 = by1 || !by2 && has(s.rs1, id)
			by2 = by2 || !by1 && has(s.rs2, id)
		}
	}
	switch {
	case by1:
		s.s1 = s.rs1
	case by2:
		s.s1, s.byRS2 = s.rs2, true
	}
	s.rs = outcome(s.rs1 != nil, s.s1 != nil)
	if s.aux != nil {
		if want := u.id(s.aux, peerH3[:]); hmac.Equal(want[:], m.AuxID[:]) {
			s.s2 = s.aux
		}
	}
	s.auxIs = outcome(s.aux != nil, s.s2 != nil)
}

func outcome(have, shared bool) Match {
	switch {
	case shared:
		return Matched
	case have:
		return Mismatch
	}
	return None
}
