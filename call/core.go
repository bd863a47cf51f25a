package call

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
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
	timers
)

// core is one call without I/O: datagrams and the time go in, datagrams and
// events come out. The control goroutine owns it; the media half inside has
// goroutines of its own (media.go).
type core struct {
	id     int
	conf   *Config
	caller bool
	remote netip.AddrPort
	local  netip.AddrPort
	zid    wire.ZID
	ssrc   uint32
	cname  string

	trust trust
	own   bool // the peer is our own installation, and so we have another ZID
	memos []memo

	session  *zrtp.Session
	restarts int
	shown    int    // sessions given up whose SAS the other side could know
	resting  bool   // no further attempt is made
	hurried  bool   // a listener: the other side has our share and is to send its own
	client   string // the peer's, from its Hello
	peerSSRC uint32 // once its Hello came
	greeted  bool   // a ZRTP Hello came
	broken   error  // why a session ended that was begun anew
	extended bool   // a listener: the exchange got more time
	others   bool   // somebody else has said Hello since
	foreign  bool   // something that is not ZRTP came

	media   *media // nil until keys are there
	control control
	copies  redundancy
	spoke   bool        // the peer has said something through call control
	admit   func() bool // asks for the listener's slot; nil: a dialler

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
	packets         [][]byte
	events          []Event
}

func newCore(conf *Config, zid wire.ZID, local, remote netip.AddrPort, caller bool) (*core, error) {
	c := &core{conf: conf, zid: zid, local: local, remote: remote, caller: caller}
	var err error
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
	c.at[timerPinned] = time.Time{}
	return nil
}

// start sends the first Hello.
func (c *core) start(now time.Time) {
	limit := helloLimit
	if c.caller {
		limit = c.conf.Timeout
	}
	c.at[timerTimeout] = now.Add(limit)
	c.session.Start(now)
	c.pump(now)
}

// Receive handles one datagram of the peer that is not SRTP.
func (c *core) Receive(now time.Time, k kind, b []byte) {
	c.received += len(b)
	switch {
	case c.phase == ended:
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
	case k == kindRTCP && c.media != nil:
		c.receiveRTCP(now, b)
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
	case c.caller || c.phase != agreeing || !c.session.Shown():
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
			c.begin(now)
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

// NextPacket returns the next datagram to send. An address that has not
// proved that it sees our packets gets at most three times the bytes that it
// sent, so that nobody can be flooded through us.
func (c *core) NextPacket() ([]byte, bool) {
	for {
		b, ok := c.session.NextPacket()
		if !ok {
			break
		}
		if !c.caller && !c.session.Proven() {
			if c.spent+len(b) > 3*c.received {
				c.drops.add(dropThrottled)
				continue
			}
			c.spent += len(b)
		}
		return b, true
	}
	if len(c.packets) == 0 {
		return nil, false
	}
	b := c.packets[0]
	c.packets = c.packets[1:]
	return b, true
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
