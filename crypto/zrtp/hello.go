package zrtp

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"securecall/crypto/zrtp/wire"
)

// version is the only one spoken here. Its last character does not count
// (RFC 6189, Section 4.1.1).
var version = [4]byte{'1', '.', '1', '0'}

// helloMessage is our Hello but for the MAC.
func (s *Session) helloMessage() *wire.Hello {
	m := &wire.Hello{
		Version:       version,
		H3:            s.chain.h3,
		ZID:           s.config.ZID,
		Hashes:        s.offer.Hashes,
		Ciphers:       s.offer.Ciphers,
		Auths:         s.offer.Auths,
		KeyAgreements: s.offer.KeyAgreements,
		SASTypes:      s.offer.SASTypes,
	}
	if s.config.Preshared && s.config.Call == nil {
		m.KeyAgreements = append(slices.Clone(m.KeyAgreements), wire.Prsh)
	}
	if s.config.Call != nil {
		m.KeyAgreements = append(slices.Clone(m.KeyAgreements), wire.Mult)
	}
	n := copy(m.Client[:], s.config.Client)
	copy(m.Client[n:], strings.Repeat(" ", len(m.Client)))
	return m
}

// HelloHash is the SHA-256 of our Hello, for signalling to announce (Section
// 8.1): the value of a=zrtp-hash is "1.10 " and its 64 hexadecimal digits.
func (s *Session) HelloHash() [32]byte { return sha256.Sum256(s.hello) }

// Expect has every Hello dropped but the one of the hash, as Config.PeerHelloHash does,
// and every packet that is not of the SSRC, where both are known only after New. It comes
// before Start.
func (s *Session) Expect(helloHash [32]byte, ssrc uint32) {
	s.config.PeerHelloHash, s.peerSSRC = &helloHash, &ssrc
}

func (s *Session) sendHello(now time.Time) {
	s.send(s.hello)
	s.helloSent = now
	s.helloAt = now.Add(HelloInterval)
}

func (s *Session) sendHelloACK() { s.send((&wire.HelloACK{}).Append(nil)) }

// onHello takes the peer's first Hello, and its repeats. The first one wins:
// whoever comes later under the same SSRC, be it a stranger or the peer
// started anew, is dropped (docs/rfc6189.md, Section 4.1).
func (s *Session) onHello(i in, m *wire.Hello) error {
	if s.peer.known {
		return s.onHelloStillThere(i, m)
	}
	if want := s.config.PeerHelloHash; want != nil && sha256.Sum256(i.raw) != *want {
		return DropHelloHash
	}
	if m.ZID == s.config.ZID && !s.config.Initiate {
		// Our own installation calls, or somebody in its name. It has to say
		// another ZID; whoever waits need not end anything for that.
		return DropEqualZID
	}
	// Sent whether the version is supported or not (Section 5.3), but in its
	// place a Commit will do.
	commits := s.config.Initiate || m.P
	newer := bytes.Compare(m.Version[:3], version[:3])
	if !commits || newer != 0 {
		s.sendHelloACK()
		// Before the Hello of a session that was started for this one: an
		// initiator that knows that we have its Hello need not repeat it.
		if n := len(s.queue) - 1; n > 0 {
			s.queue = append([][]byte{s.queue[n]}, s.queue[:n]...)
		}
	}
	switch {
	case newer > 0:
		return DropVersion
	case newer < 0:
		// Nothing authenticates it: a Hello of our version takes it back.
		s.suspect(i.now, wire.ErrorVersion, false)
		return DropVersion
	case m.ZID == s.config.ZID:
		s.fail(i.now, wire.ErrorEqualZIDs)
		return nil
	}
	if err := s.pin(i); err != nil {
		return err
	}
	s.valid(i.now)
	if s.acked && s.ackFrom == i.ssrc {
		s.helloAcknowledged(i.now)
	}
	s.helloToo(i.now)
	if commits {
		s.commitNow(i.now)
	}
	return nil
}

// helloToo sends our Hello along with the answer to the peer's: one that has
// just begun to listen has missed the last.
func (s *Session) helloToo(now time.Time) {
	if !s.helloAt.IsZero() && now.Sub(s.helloSent) >= helloAgain {
		s.sendHello(now)
	}
}

// pin keeps the peer's Hello. From now on nobody else is listened to.
func (s *Session) pin(i in) error {
	raw := bytes.Clone(i.raw)
	m, err := wire.Parse(raw) // once more, for slices of our own
	if err != nil {
		return DropMessage
	}
	h := m.(*wire.Hello)
	s.peer = peer{known: true, ssrc: i.ssrc, raw: raw, hello: h}
	s.event(PeerHello{ZID: h.ZID, Client: s.peer.client(), SSRC: i.ssrc})
	return nil
}

func (p *peer) client() string { return strings.TrimRight(string(p.hello.Client[:]), " \x00") }

// onHelloRepeat answers the same Hello with another HelloACK.
func (s *Session) onHelloRepeat(i in, _ *wire.Hello) error {
	if !i.same(s.peer.raw) {
		return DropHello
	}
	s.valid(i.now)
	s.sendHelloACK()
	return nil
}

// onHelloStillThere takes a repeat in discovery. If ours was acknowledged, the
// peer need not have it for all that: HelloACK is not authenticated, and with
// our Hello it would commit. It gets it again.
func (s *Session) onHelloStillThere(i in, m *wire.Hello) error {
	err := s.onHelloRepeat(i, m)
	if err == nil && s.helloAt.IsZero() && i.now.Sub(s.helloSent) >= HelloInterval {
		s.helloSent = i.now
		s.send(s.hello)
	}
	return err
}

// onHelloWhileCommitted answers it with the Commit that stands for the
// HelloACK and was lost, it seems.
func (s *Session) onHelloWhileCommitted(i in, _ *wire.Hello) error {
	if !i.same(s.peer.raw) {
		return DropHello
	}
	s.valid(i.now)
	s.helloHeard = i.now
	s.helloToo(i.now)
	s.send(s.exchange.commit)
	return nil
}

// onHelloACK ends the repeats of our Hello, if it is the peer's. Before its
// own Hello anybody may have sent it: then the repeats go on.
func (s *Session) onHelloACK(i in, _ *wire.HelloACK) error {
	s.acked, s.ackFrom = true, i.ssrc
	if s.peer.known {
		s.helloAcknowledged(i.now)
	}
	return nil
}

// helloAcknowledged: the Hellos are exchanged.
func (s *Session) helloAcknowledged(now time.Time) {
	s.helloAt = time.Time{}
	if s.state == discovery && s.commitAt.IsZero() {
		s.commitAt = now.Add(CommitAfter)
	}
}

// onOwnSSRC takes a packet that bears our SSRC: our own one come back, or a
// peer that chose the same. The latter ends the session, as Section 4.1 asks;
// the call begins another with a new SSRC.
func (s *Session) onOwnSSRC(i in, m wire.Message) error {
	if _, ok := m.(*wire.Hello); !ok || s.state != discovery {
		return DropReflected
	}
	s.fail(i.now, wire.ErrorSSRCCollision)
	return nil
}

// onPing answers a ZRTP proxy, as every endpoint must (Section 5.15). Its
// version does not matter: there is one format so far (Section 5.16).
func (s *Session) onPing(i in, m *wire.Ping) error {
	ack := &wire.PingACK{Version: version, ReceivedEndpointHash: m.EndpointHash, SSRC: i.ssrc}
	copy(ack.SenderEndpointHash[:], s.config.ZID[:]) // the truncated ZID (Section 5.16)
	s.send(ack.Append(nil))
	return nil
}
