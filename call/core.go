package call

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
)

// phase is how far a call has come. It only ever grows.
type phase int

const (
	agreeing phase = iota // ZRTP runs
	ringing               // secured; the callee decides
	talking               // answered
	leaving               // our BYE is being repeated
	ended
)

const (
	maxDatagram = 2048

	silenceLimit  = 30 * time.Second        // then the peer is lost
	statsInterval = 5 * time.Second         // of the event
	foreignLimit  = 5 * time.Second         // of answers that are not ZRTP, before it is said
	pinnedLimit   = 1500 * time.Millisecond // for a peer whose Hello came to get on with it, while others say Hello
	settledLimit  = 3 * pinnedLimit         // for one of several addresses, while nobody knows who is at the others; twice that once it answers
	shunLimit     = time.Second             // of which these then have for themselves
	heardLimit    = 300 * time.Millisecond  // for the word that it was answered, once there is sound
	ringLimit     = 2 * time.Minute         // for which a callee lets it ring
	drainTime     = 500 * time.Millisecond  // for the last words to be heard before a hang-up at EOF
	byeCount      = 3
	byeInterval   = 100 * time.Millisecond
	helloLimit    = 3 * time.Second  // for a stranger to get from Hello to Commit
	halfOpenLimit = 15 * time.Second // for a stranger's exchange to get through
	shownLimit    = 3 * time.Second  // of that, from our share to the stranger's: until then he can choose
	maxShown      = 2                // exchanges that a dialler begins anew when the peer could know the SAS
	maxRestarts   = 20               // new sessions, for whatever reason
	restLimit     = time.Second      // after which there may be as many again
)

// A timer is one thing that a core waits for.
type timer int

const (
	timerTimeout  timer = iota // dialler: nobody has answered; listener: half-open for too long
	timerForeign               // something answers, but not with ZRTP
	timerPinned                // the peer that said Hello first has not got on with it
	timerAgain                 // a dialler that had too much to begin anew may again
	timerHeard                 // caller: media came, and so the callee has answered
	timerReport                // the next RTCP report
	timerLosses                // the next report of losses
	timerStats                 // the next Stats event
	timerSilence               // nothing valid heard
	timerDuration              // Config.Duration
	timerDrain                 // after the microphone's end
	timerBye                   // the next BYE
	timerPath                  // a challenge to an address is to be sent again, or was not answered
	timerSource                // we may be at another address
	timerTape                  // the peer should have heard that it is recorded; then, whether that goes on
	timers
)

// core is one call without I/O: datagrams and the time go in, datagrams and
// events come out. The control goroutine owns it; the media half inside has
// goroutines of its own (media.go).
type core struct {
	id     int
	conf   *Config
	caller bool
	called string         // whom a caller called, as typed
	remote netip.AddrPort // the peer's; not valid: nobody has said Hello yet
	path   source
	zid    wire.ZID
	ssrc   uint32
	cname  string

	rings bool // the callee has said that it rings there
	trust trust
	own   bool // the peer is our own installation, and so we have another ZID
	memos []memo

	met       bool         // the call of a Meeting
	byCode    bool         // that a call code has brought about
	announced Announcement // by its peer
	way       PathChanged  // by which it is reached

	// Of a caller: where the peer may be, and how many of these addresses have
	// been said Hello to. Whoever answers first has the call.
	peers  []netip.AddrPort
	tried  int
	asking netip.AddrPort   // whose datagram is being handled
	spread []netip.AddrPort // who gets spreading, a Hello, too

	spreading   []byte
	shunned     netip.AddrPort // said Hello and did not get on with it,
	shunnedTill time.Time      // and so the others come first

	session   *zrtp.Session
	restarts  int
	shown     int    // sessions given up whose SAS the other side could know
	resting   bool   // no further attempt is made
	hurried   bool   // a listener: the other side has our share and is to send its own
	client    string // the peer's, from its Hello
	peerSSRC  uint32 // once its Hello came
	greeted   bool   // a ZRTP Hello came
	broken    error  // why a session ended that was begun anew
	extended  bool   // a listener: the exchange got more time
	others    bool   // somebody else has said Hello since
	greetedAt time.Time
	foreign   bool // something that is not ZRTP came

	media       *media // nil until keys are there
	roam        roaming
	kind        string // of path, as told
	control     control
	copies      redundancy
	tape        tape
	peerRecords bool   // as the peer says
	texts       bucket // lines of the peer's,
	writes      bucket // and of ours: fewer than it takes
	unrecords   bucket
	spoke       bool        // the peer has said something through call control
	admit       func() bool // asks for the listener's slot; nil: a dialler

	phase    phase
	at       [timers]time.Time
	byes     int
	answered time.Time
	security Secured // what keys were agreed
	result   Ended

	sawReport time.Time // when the peer's last sender report came,
	reportNTP uint32    // and its timestamp
	rtt       time.Duration

	peerLoss     float64 // what the peer says of our stream
	peerJitter   time.Duration
	peer         PeerReport
	sawReference time.Time // when the peer's last receiver reference time came (RFC 3611, Section 4.4),
	referenceNTP uint32    // and what it is

	received, spent int // bytes, until the peer's address is proven
	drops           drops
	packets         []outgoing
	events          []Event
}

// outgoing is a datagram and where it goes: under the limit of a place, if that is
// not nil.
type outgoing struct {
	b     []byte
	to    netip.AddrPort
	place *place
}

// source tells from where we send to an address: a nat.Path.
type source interface {
	Source(to netip.AddrPort) netip.AddrPort
}

// newCaller makes a call to somebody who may be at any of peers.
func newCaller(conf *Config, zid wire.ZID, path source, peers []netip.AddrPort, called string) (*core, error) {
	return newCore(&core{conf: conf, zid: zid, path: path, caller: true, peers: peers, called: called})
}

// newCallee makes a call of somebody who has called from remote.
func newCallee(conf *Config, zid wire.ZID, path source, remote netip.AddrPort) (*core, error) {
	return newCore(&core{conf: conf, zid: zid, path: path, remote: remote})
}

func newCore(c *core) (*core, error) {
	conf := c.conf
	var err error
	c.texts = bucket{rate: textRate, burst: textRate}
	c.writes = bucket{rate: 0.8 * textRate, burst: 0.8 * textRate}
	c.unrecords = bucket{rate: unrecordRate, burst: unrecordBurst}
	if c.cname, err = newCNAME(conf.Rand); err != nil {
		return nil, err
	}
	return c, c.newSession()
}

// newSession begins ZRTP afresh, with a new SSRC.
func (c *core) newSession() error {
	var b [4]byte
	if _, err := io.ReadFull(c.conf.Rand, b[:]); err != nil {
		return fmt.Errorf("random source: %w", err)
	}
	c.ssrc = binary.BigEndian.Uint32(b[:])
	z := zrtp.Config{
		Initiate:   c.caller,
		ZID:        c.zid,
		SSRC:       c.ssrc,
		Client:     c.conf.Client,
		Algorithms: c.conf.Algorithms,
		Auxiliary:  c.conf.Auxiliary,
		Rand:       c.conf.Rand,
	}
	if c.conf.Cache != nil && !c.own {
		z.Retained = c.retained
	}
	if g := c.conf.guesses; g != nil {
		z.AllowKey = func(now time.Time, finiteField bool) bool { return g.allow(now, c.remote.Addr(), finiteField) }
	}
	s, err := zrtp.New(z)
	if err != nil {
		return err
	}
	c.session, c.greeted, c.others, c.peerSSRC = s, false, false, 0
	if c.caller {
		c.remote = netip.AddrPort{}
	}
	c.at[timerPinned] = time.Time{}
	return nil
}

// start sends the first Hello.
func (c *core) start(now time.Time) {
	limit := helloLimit
	if c.caller || c.met {
		limit = c.conf.Timeout
	}
	c.at[timerTimeout] = now.Add(limit)
	c.session.Start(now)
	c.pump(now)
}

// hears tells whether what comes from an address may be of this call.
func (c *core) hears(from netip.AddrPort) bool {
	return from == c.remote || c.phase == agreeing && slices.Contains(c.peers, from)
}

// Receive handles one datagram of the peer that is not SRTP.
func (c *core) Receive(now time.Time, k kind, from netip.AddrPort, b []byte) {
	c.received += len(b)
	c.asking = from
	switch {
	case c.phase == ended:
	case k == kindRTCP && c.media != nil && (from == c.remote || c.follows()):
		c.receiveRTCP(now, from, b)
	case c.remote.IsValid() && from != c.remote: // another of the addresses that were tried, too late
	case from == c.shunned && now.Before(c.shunnedTill):
	case k == kindZRTP:
		if c.resting {
			return
		}
		// Why it was dropped is counted by the session. Our own packets sent
		// back, for one, are an answer, but not ZRTP.
		err := c.session.Receive(now, b)
		c.others = c.others || c.greeted && (err == zrtp.DropForeign || err == zrtp.DropHello) && isHello(b)
		c.pump(now)
		c.hurry(now)
		c.foreign = c.foreign || err != nil && !c.greeted
	case k == kindSTUN:
		c.foreign = true
		c.drops.add(dropSTUN)
	default:
		c.foreign = true
		c.drops.add(dropForeign)
		if c.caller && !c.greeted && c.at[timerForeign].IsZero() {
			c.at[timerForeign] = now.Add(foreignLimit)
		}
	}
}

// hurry gives a stranger little time to choose whether a SAS suits him, and the
// rest of it once he has.
func (c *core) hurry(now time.Time) {
	switch {
	case c.caller || c.met || c.phase != agreeing || !c.session.Shown():
	case !c.hurried:
		c.hurried, c.extended = true, true
		c.at[timerTimeout] = now.Add(shownLimit)
	case c.session.Proven() && c.extended:
		c.extended = false // once
		c.at[timerTimeout] = now.Add(halfOpenLimit)
	}
}

// heardMedia is told when the first valid SRTP packet has come.
func (c *core) heardMedia(now time.Time) {
	c.session.Confirmed(now)
	c.pump(now)
	if c.caller && c.phase == ringing && c.ours() {
		// Only one that has answered sends any, and it is authenticated. The
		// word that says so should be here soon, and may be lost.
		c.at[timerHeard] = now.Add(heardLimit)
	}
}

// pump takes what the ZRTP session has to tell.
func (c *core) pump(now time.Time) {
	for c.phase != ended {
		ev, ok := c.session.NextEvent()
		if !ok {
			return
		}
		switch ev := ev.(type) {
		case zrtp.PeerHello:
			c.greet(now, ev)
		case zrtp.KeysReady:
			if err := c.install(now, ev); err != nil {
				c.end(now, ReasonFault, err)
			}
		case zrtp.Secured:
			c.secured(now)
		case zrtp.Failed:
			c.failed(now, ev)
		}
	}
}

// Tick does what is due.
func (c *core) Tick(now time.Time) {
	if c.phase == ended {
		return
	}
	if d := c.session.Deadline(); !d.IsZero() && !now.Before(d) {
		c.session.Advance(now)
		c.pump(now)
	}
	for t := range timers {
		if at := c.at[t]; c.phase != ended && !at.IsZero() && !now.Before(at) {
			c.at[t] = time.Time{}
			c.fire(now, t)
		}
	}
	if c.phase < ended && c.control.due(now) {
		c.sendRTCP(now, c.phase == leaving)
	}
}

func (c *core) fire(now time.Time, t timer) {
	switch t {
	case timerTimeout:
		c.timeout(now)
	case timerForeign:
		// It may be somebody who wants us to give up: said, and no more.
		c.tell(Fault{Err: errNotZRTP, Hint: "trying on until --timeout"})
	case timerHeard:
		if c.phase == ringing {
			c.begin(now, false)
		}
	case timerPinned:
		c.unpin(now)
	case timerAgain:
		c.restarts, c.resting = 0, false
		c.restart(now)
	case timerReport:
		c.sendReport(now)
		c.at[timerReport] = now.Add(reportInterval(false))
	case timerLosses:
		c.reportLosses(now)
	case timerStats:
		c.tell(c.stats())
		c.at[timerStats] = now.Add(statsInterval)
	case timerSilence:
		c.silence(now)
	case timerDuration, timerDrain:
		c.leave(now, ReasonNormal, wordHangup, nil)
	case timerBye:
		c.bye(now)
	case timerPath:
		c.probe(now)
		c.challenge(now)
	case timerSource:
		c.findSource(now)
	case timerTape:
		c.watchTape(now, true)
	}
}

// Deadline is when Tick wants to be called next; zero: never.
func (c *core) Deadline() time.Time {
	if c.phase == ended {
		return time.Time{}
	}
	next := earlier(c.session.Deadline(), c.control.again)
	for _, at := range c.at {
		next = earlier(next, at)
	}
	return next
}

// earlier is the earlier of two moments of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// NextPacket returns the next datagram to send, and where to. An address that
// has not proved that it sees our packets gets at most three times the bytes
// that it sent, so that nobody can be flooded through us.
func (c *core) NextPacket() ([]byte, netip.AddrPort, bool) {
	if len(c.spread) > 0 {
		to := c.spread[0]
		c.spread = c.spread[1:]
		return c.spreading, to, true
	}
	for {
		b, ok := c.session.NextPacket()
		if !ok {
			break
		}
		if !c.caller && !c.met && !c.session.Proven() {
			if c.spent+len(b) > 3*c.received {
				c.drops.add(dropThrottled)
				continue
			}
			c.spent += len(b)
		}
		if !c.remote.IsValid() && isHello(b) {
			return c.seek(b)
		}
		return b, c.there(), true
	}
	for len(c.packets) > 0 {
		p := c.packets[0]
		c.packets = c.packets[1:]
		if p.place == nil || p.place.takes(len(p.b)) {
			return p.b, p.to, true
		}
		c.drops.add(dropThrottled)
	}
	return nil, netip.AddrPort{}, false
}

// seek sends a Hello to each address that was tried before, and to one more: the
// next is so tried when nobody has answered for HelloInterval (RFC 8305, Section
// 5: "Connection Attempt Delay", 100 ms to 2 s).
func (c *core) seek(hello []byte) ([]byte, netip.AddrPort, bool) {
	if c.tried < len(c.peers) {
		if !c.met {
			c.tell(Dialing{Peer: c.called, Addr: c.peers[c.tried]})
		}
		c.tried++
	}
	c.spreading, c.spread = hello, c.peers[1:c.tried]
	return hello, c.peers[0], true
}

// there is where the peer is or, before it has said Hello, whoever it is whose
// datagram we answer.
func (c *core) there() netip.AddrPort {
	if c.remote.IsValid() {
		return c.remote
	}
	return c.asking
}

// NextEvent returns the next event.
func (c *core) NextEvent() (Event, bool) {
	if len(c.events) == 0 {
		return nil, false
	}
	e := c.events[0]
	c.events = c.events[1:]
	return e, true
}

func (c *core) tell(e Event) { c.events = append(c.events, e) }
