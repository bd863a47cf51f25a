package call

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"securecall/audio"
	"securecall/crypto/sas"
	"securecall/crypto/srtp"
	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// How a call goes from one phase to the next.

// failed handles the end of a session without keys. An SSRC collision is
// nobody's fault: the dialler tries again under another SSRC.
func (c *core) failed(now time.Time, f zrtp.Failed) {
	if c.phase != agreeing {
		return
	}
	switch {
	case c.met && f.Peer:
		c.end(now, ReasonKeys, fmt.Errorf("%w: %w", ErrBrokenOff, f.Err))
	case c.met: // the other side waits for the Hello that it was told of, and no other
		c.end(now, ReasonKeys, f.Err)
	case f.Code == wire.ErrorSSRCCollision && c.caller && c.restarts < maxRestarts,
		f.Code == wire.ErrorTimeout && !f.Peer && c.caller && !c.session.Proven() &&
			!errors.Is(f.Err, zrtp.ErrLargeCommit) && c.restarts < maxRestarts:
		// A collision, or a peer that had to forget us; nobody's fault.
		c.restart(now)
	case f.Code == wire.ErrorEqualZIDs && !f.Peer && c.caller && c.conf.Cache != nil && !c.own && c.restarts < maxRestarts:
		c.callOurselves(now)
	case f.Peer:
		c.giveUp(now, fmt.Errorf("%w: %w", ErrBrokenOff, f.Err))
	default:
		c.giveUp(now, f.Err)
	}
}

// giveUp ends an exchange that has failed. But nothing authenticates what a
// dialler hears before the peer has proved itself: somebody may want it to give
// up, or to be less strict. It says so, and waits for the peer itself until
// --timeout.
func (c *core) giveUp(now time.Time, err error) {
	if !c.caller || c.session.Proven() || errors.Is(err, zrtp.ErrLargeCommit) {
		c.end(now, ReasonKeys, err)
		return
	}
	if c.broken == nil {
		c.tell(Fault{Err: err, Hint: "nothing shows yet that it was the other side who said that: trying on until --timeout"})
	}
	c.broken = err
	if c.restarts >= maxRestarts {
		c.rest(now, err)
		return
	}
	c.restart(now)
}

// rest makes no further attempt for a while, or where the other side has had as
// many as it may have, until --timeout ends the call.
func (c *core) rest(now time.Time, err error) {
	c.broken, c.resting = err, true
	c.session.Close()
	c.at[timerPinned], c.at[timerForeign] = time.Time{}, time.Time{}
	if c.shown <= maxShown {
		c.at[timerAgain] = now.Add(restLimit)
	}
}

// unpin gives up a peer that said Hello and does not get on with it, where
// somebody else says Hello too: a false Hello may have come first, or the peer
// was started anew, or had to forget us.
func (c *core) unpin(now time.Time) {
	switch {
	case c.phase != agreeing || c.session.Proven():
	case c.others && c.restarts < maxRestarts:
		c.restart(now)
	case c.stuck(now) && c.restarts < maxRestarts:
		c.shunned, c.shunnedTill = c.remote, now.Add(shunLimit)
		c.restart(now)
	default:
		c.at[timerPinned] = now.Add(pinnedLimit)
	}
}

// stuck tells whether the peer may well be at another of the addresses that were
// called, and somebody writes Hellos in the name of this one.
func (c *core) stuck(now time.Time) bool {
	limit := settledLimit
	if c.session.Begun() {
		limit *= 2
	}
	return len(c.peers) > 1 && now.Sub(c.greetedAt) >= limit
}

// isHello tells whether a datagram that was dropped is a whole ZRTP Hello.
func isHello(b []byte) bool {
	p, err := wire.ParsePacket(b)
	if err != nil {
		return false
	}
	m, err := wire.Parse(p.Message)
	if err != nil {
		return false
	}
	return m.Type() == wire.TypeHello
}

// restart begins another session with the same peer.
func (c *core) restart(now time.Time) {
	if c.session.Shown() {
		if c.shown++; c.shown > maxShown {
			c.rest(now, errTried)
			return
		}
	}
	c.restarts++
	for b, ok := c.session.NextPacket(); ok; b, ok = c.session.NextPacket() {
		c.packets = append(c.packets, outgoing{b: bytes.Clone(b), to: c.there()}) // the Error that the other side must see
	}
	c.session.Close()
	if err := c.newSession(); err != nil {
		c.end(now, ReasonFault, err)
		return
	}
	c.session.Start(now)
}

// callOurselves goes on under another ZID, without a cache: the other end is
// our own installation, and two ends of a call may not have the same ZID (RFC
// 6189, Section 5.9, error 0x90).
func (c *core) callOurselves(now time.Time) {
	if err := c.anonymous(); err != nil {
		c.end(now, ReasonFault, err)
		return
	}
	c.restart(now)
}

// anonymous gives us a ZID of this call alone.
func (c *core) anonymous() error {
	c.own = true
	if _, err := io.ReadFull(c.conf.Rand, c.zid[:]); err != nil {
		return fmt.Errorf("random source: %w", err)
	}
	return nil
}

// greet notes that the peer speaks ZRTP. A Hello is not authenticated:
// somebody may have said our own ZID to make us forget the peer. Then the peer
// says another now, and we go on as if nothing had been.
func (c *core) greet(now time.Time, h zrtp.PeerHello) {
	if c.met && h.ZID != c.announced.ZID {
		// What was announced decided whether it is our own installation.
		c.end(now, ReasonKeys, ErrNotMet)
		return
	}
	c.greeted, c.client, c.peerSSRC = true, h.Client, h.SSRC
	c.greetedAt = now
	if c.caller {
		c.remote = c.asking
	}
	c.at[timerForeign] = time.Time{}
	if c.caller && !c.met {
		c.at[timerPinned] = now.Add(pinnedLimit)
	}
	if c.own && !c.met && h.ZID != c.conf.Cache.ZID() {
		c.own, c.zid = false, c.conf.Cache.ZID()
		if c.restarts >= maxRestarts {
			c.rest(now, errImpostor)
			return
		}
		c.restart(now)
	}
}

var errImpostor = errors.New("somebody answers in the name of this installation")

// install makes the media half from the keys. From here on SRTP can be opened;
// whether it may be sent is decided by phase.
func (c *core) install(now time.Time, k zrtp.KeysReady) error {
	s, err := srtp.New(srtp.Keys{
		Cipher: k.Cipher.String(), Auth: k.Auth.String(),
		LocalKey: k.LocalKey, LocalSalt: k.LocalSalt,
		RemoteKey: k.RemoteKey, RemoteSalt: k.RemoteSalt,
		LocalSSRC: c.ssrc, RemoteSSRC: k.SSRC,
	})
	defer k.Wipe()
	if err != nil {
		return fmt.Errorf("srtp: %w", err)
	}
	if err := c.judge(k); err != nil {
		return err
	}
	// A random start (RFC 3550, Section 5.1), the sequence number in the lower
	// half so that a loss of the first packets cannot be taken for a wrap
	// (RFC 3711, Section 3.3.1).
	var b [6]byte
	if _, err := io.ReadFull(c.conf.Rand, b[:]); err != nil {
		return fmt.Errorf("random source: %w", err)
	}
	seq, timestamp := binary.BigEndian.Uint16(b[:])>>1, binary.BigEndian.Uint32(b[2:])
	c.client, c.peerSSRC = k.Client, k.SSRC
	c.media = newMedia(now, s, c.conf.Law, c.conf.frame(), c.ssrc, seq, timestamp)
	c.media.tap = c.conf.tap
	c.media.at.Store(provenPlace(c.remote)) // an exchange of keys is a challenge too

	role := "initiator"
	own, other, _ := sas.Halves(c.trust.sasType, c.trust.sas)
	if k.Role == zrtp.Responder {
		role, own = "responder", other
	}
	c.security = Secured{
		Role:         role,
		ZID:          hex.EncodeToString(k.ZID[:]),
		Remote:       c.seen(),
		Hash:         name(k.Hash),
		Cipher:       name(k.Cipher),
		Auth:         name(k.Auth),
		KeyAgreement: name(k.KeyAgreement),
		SASType:      name(k.SAS),
		SAS:          c.trust.sas,
		Own:          own,
		Continuity:   [...]string{zrtp.None: "new", zrtp.Matched: "match", zrtp.Mismatch: "mismatch"}[k.Continuity],
		Another:      c.unexpected(),
		Verified:     k.Verified && !c.unexpected(),
		PeerVerified: k.PeerV && k.Continuity == zrtp.Matched,
		Auxiliary:    [...]string{zrtp.None: "none", zrtp.Matched: "match", zrtp.Mismatch: "mismatch"}[k.Auxiliary],
		ByCode:       c.byCode,
		Discloses:    k.PeerD,
		Itself:       c.own,
		PeerClient:   k.Client,
	}
	c.security.Contact = c.name()
	return nil
}

func name(n wire.Name) string { return strings.TrimRight(n.String(), " ") }

// secured begins what keys make possible: reports, call control, ringing.
func (c *core) secured(now time.Time) {
	if c.phase != agreeing {
		return
	}
	c.phase = ringing
	c.at[timerForeign], c.at[timerPinned] = time.Time{}, time.Time{}
	c.at[timerSilence] = now.Add(silenceLimit)
	c.at[timerReport] = now.Add(reportInterval(true))
	c.keep(now)
	if c.admit != nil && !c.admit() {
		c.leave(now, ReasonBusy, wordBusy, nil)
		return
	}
	c.security.Attempts = c.shown
	if g := c.conf.guesses; g != nil {
		c.security.Attempts = g.finished(now, c.remote.Addr())
	}
	if c.met {
		c.tell(c.way)
	} else {
		c.kind = "direct"
		c.announce(c.path.Source(c.remote), c.remote)
	}
	c.tell(c.security)
	if !c.decide(now) {
		return
	}
	if c.ours() && !c.met {
		c.control.say(now, wordFollows, nil)
	}
	switch {
	case !c.caller:
		c.at[timerTimeout] = now.Add(ringLimit)
		c.tell(Incoming{Addr: c.seen(), ZID: c.security.ZID, Contact: c.security.Contact})
		c.say(now, wordRinging)
	case !c.ours():
		// A plain ZRTP endpoint has no call control: it has answered.
		c.begin(now, false)
	default:
		c.say(now, wordDialled)
	}
}

// ours tells whether to use call control with the peer: to a caller, whether it
// is a securecall and so says by it when it answers. The responder's Hello, which
// named our client, is in total_hash, and so the Confirm MAC has shown that
// nobody changed it (RFC 6189, Section 4.4.1.4). That of an initiator is in no
// hash: a callee does not rely on it, and says to everybody what a securecall
// wants to hear; another program ignores an APP packet that it does not know
// (RFC 3550, Section 6.7).
func (c *core) ours() bool { return !c.caller || strings.HasPrefix(c.client, clientPrefix) }

// answer is the callee's yes, once its sound devices are open.
func (c *core) answer(now time.Time) {
	if c.phase != ringing || c.caller {
		return
	}
	c.say(now, wordAnswered)
	c.begin(now, false)
}

// begin is the moment from which both sides may speak. mutual: both have dialled.
func (c *core) begin(now time.Time, mutual bool) {
	c.phase, c.answered = talking, now
	c.at[timerTimeout] = time.Time{}
	c.at[timerStats] = now.Add(statsInterval)
	c.at[timerLosses] = now.Add(reportEvery)
	if c.conf.Duration > 0 {
		c.at[timerDuration] = now.Add(c.conf.Duration)
	}
	c.tookPlace()
	c.tell(Answered{Mutual: mutual})
	if c.peerRecords {
		c.tell(PeerRecording{On: true})
	}
	cover := coverTime
	if c.caller && c.heeds() {
		cover = farAway // its Hello is proved: it will say how it takes them
	}
	c.media.keys.cover(now.Add(cover))
	if c.conf.RecordAtOnce {
		c.record()
	}
}

// drain ends the call once what the microphone gave has been heard.
func (c *core) drain(now time.Time) {
	if c.phase == talking && c.at[timerDrain].IsZero() {
		c.at[timerDrain] = now.Add(drainTime)
	}
}

// decline is the callee's no.
func (c *core) decline(now time.Time) {
	if c.phase == ringing && !c.caller {
		c.leave(now, ReasonDeclined, wordDeclined, nil)
	}
}

// busy is the callee's not now.
func (c *core) busy(now time.Time) {
	if c.phase == ringing && !c.caller {
		c.leave(now, ReasonBusy, wordBusy, nil)
	}
}

// hangup ends the call from our side; before it took place, for the reason
// given.
func (c *core) hangup(now time.Time, before Reason) {
	switch {
	case c.phase == talking:
		c.leave(now, ReasonNormal, wordHangup, nil)
	case c.phase == ringing && !c.caller:
		c.leave(now, before, wordDeclined, nil)
	case c.phase < leaving:
		c.leave(now, before, wordHangup, nil)
	}
}

// leave says why and BYE, three times, and ends.
func (c *core) leave(now time.Time, r Reason, w word, err error) {
	if c.phase >= leaving {
		return
	}
	if c.phase == agreeing {
		c.end(now, r, err) // there are no keys to say it with
		return
	}
	c.finish(now, r, err)
	c.phase = leaving
	c.at = [timers]time.Time{}
	if c.ours() {
		c.control.say(now, w, because(r))
	}
	c.bye(now)
}

// bye sends one BYE, with all that call control has not had acknowledged.
func (c *core) bye(now time.Time) {
	if c.byes == byeCount {
		c.end(now, c.result.Reason, c.result.Err)
		return
	}
	c.byes++
	c.sendRTCP(now, true)
	c.at[timerBye] = now.Add(byeInterval)
}

// finish notes the outcome, once.
func (c *core) finish(now time.Time, r Reason, err error) {
	if c.phase >= leaving {
		return
	}
	c.closeTape(nil)
	c.result.Reason, c.result.Err = r, err
	if !c.answered.IsZero() {
		c.result.Duration = now.Sub(c.answered)
	}
	c.result.Stats = c.stats()
}

// end is the last step; nothing is sent any more but what is queued.
func (c *core) end(now time.Time, r Reason, err error) {
	if c.phase == ended {
		return
	}
	c.finish(now, r, err)
	c.phase = ended
	c.at = [timers]time.Time{}
}

// close wipes the keys; the media goroutines have ended.
func (c *core) close() {
	c.session.Close()
	c.trust.forget()
	if c.media != nil {
		c.media.srtp.Close()
	}
}

// say sends a call-control message, to a peer that knows them.
func (c *core) say(now time.Time, w word) {
	if c.ours() {
		c.control.say(now, w, nil)
		c.sendRTCP(now, false)
	}
}

// ErrBrokenOff is in the Err of an Ended whose key agreement the peer ended, or
// whoever wrote an Error in its name: nothing authenticates that.
var ErrBrokenOff = errors.New("the other side, or somebody in its name, has broken off")

// ErrHalfway is the Err of an Ended whose key agreement began, and came to no end in time.
var ErrHalfway = errors.New("the other side speaks ZRTP, but the key agreement did not get through")

var (
	errTried   = errors.New("the key agreement was broken off again and again when the other side could know the words: somebody may be trying for the same ones")
	errNotZRTP = errors.New("something answers there, but not with ZRTP")
	errRang    = errors.New("it rang here for two minutes, and nobody answered")
	errLost    = errors.New("nothing was heard from the other side for 30 seconds")
)

// timeout: nobody has answered in time.
func (c *core) timeout(now time.Time) {
	switch {
	case c.phase == ringing && !c.caller:
		c.leave(now, ReasonNoAnswer, wordDeclined, errRang)
	case c.phase == ringing:
		c.leave(now, ReasonNoAnswer, wordHangup, nil)
	case !c.caller && c.session.Begun() && !c.extended && !c.hurried:
		c.extended = true // past Hello: it gets the rest of the time
		c.at[timerTimeout] = now.Add(halfOpenLimit - helloLimit)
	case c.met && c.foreign && !c.greeted:
		c.end(now, ReasonKeys, ErrNotMet)
	case c.broken != nil && !c.session.Begun():
		c.end(now, ReasonKeys, c.broken)
	case c.greeted:
		c.end(now, ReasonKeys, ErrHalfway)
	case c.foreign:
		c.end(now, ReasonNotZRTP, errNotZRTP)
	default:
		c.end(now, ReasonUnreachable, nil)
	}
}

// silence checks whether the peer was heard at all in the last 30 s.
func (c *core) silence(now time.Time) {
	last := c.media.lastHeard()
	if deadline := last.Add(silenceLimit); !last.IsZero() && now.Before(deadline) {
		c.at[timerSilence] = deadline
		return
	}
	c.leave(now, ReasonLost, wordHangup, errLost)
}

// stats are the figures of the call so far.
func (c *core) stats() Stats {
	s := Stats{
		RTT: c.rtt, PeerLoss: c.peerLoss, PeerJitter: c.peerJitter, Peer: c.peer,
		Redundancy: int(c.copies.now.copies), Dropped: map[string]uint64{},
	}
	maps.Copy(s.Dropped, c.session.Drops())
	c.drops.into(s.Dropped)
	m := c.media
	if m == nil {
		return s
	}
	m.drops.into(s.Dropped)
	s.Sent = m.sent.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Received, s.PacketTime = m.received, audio.Duration(m.length)
	s.Jitter = time.Duration(m.reception.jitter / audio.SampleRate * float64(time.Second))
	if e := m.reception.expected(); e > 0 {
		s.Loss = 100 * float64(m.reception.lost()) / float64(e)
	}
	s.Playout = m.buffer.Stats()
	s.PlayoutDelay, s.Concealed = s.Playout.Delay, s.Playout.Concealed
	s.Recovered = s.Playout.Restored
	if s.Playout.Frames > 0 {
		way := s.connection()
		s.MOS = way.MOS()
		way.Delay = 0
		s.MOSListening = way.MOS()
	}
	return s
}
