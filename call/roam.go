package call

import (
	"crypto/subtle"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// Where the peer is. Its address may change in mid-call: another network, another
// port at its NAT, sleep and wake. What says so is a packet from elsewhere that
// is good under the call's keys and newer than all before. But whoever is on the
// way can copy such a packet and have his copy arrive first, from where he likes.
// So the new address is challenged (as in QUIC, RFC 9000, Section 8.2): a random
// number goes there and nowhere else, encrypted, and the peer says it back by
// whatever way. Before that:
//
//   - If the old address was heard in the last 200 ms, the call stays there.
//   - If it was silent, the call goes to the new one at once, with at most three
//     times the bytes that came from there; and the old one is challenged too. If
//     the peer is still there, the call is back (RFC 9000, Section 9.3.3).
//
// A copy that is first makes the true packet a repeat, and nothing else of it: so
// repeats count as signs of life of the address that they come from.
//
// There must be two securecalls for it, since a peer has to know the challenge.

const (
	oldQuiet     = 200 * time.Millisecond // after which an address is silent
	attemptLimit = 2 * time.Second        // for a challenge to be answered
	probeEvery   = time.Second            // while nothing is heard, the place before is asked
	attemptFirst = 100 * time.Millisecond // until it is sent again; then twice as long, and so on
	maxAttempts  = 4                      // addresses under challenge at once
	tokenSize    = 16                     // octets of a challenge
	sourceEvery  = time.Second            // how often at most we look where we are ourselves
)

// roaming is what a core knows about where its peer is.
type roaming struct {
	able     bool   // the peer answers challenges
	last     *place // proven, where it was before; nil: nowhere
	moved    time.Time
	attempts []*attempt
	turned   bool // the reader does not know yet

	announced, local netip.AddrPort // the peer's address, proven, and ours, as told
	looked           time.Time      // when we last looked for ours
}

// An attempt is a challenge to a place.
type attempt struct {
	place    *place
	token    [tokenSize]byte
	first    time.Time // when it began
	until    time.Time // when it is forgotten
	again    time.Time // when to send it again; zero: no more
	wait     time.Duration
	answered bool
}

// here is the place where the peer is.
func (c *core) here() *place { return c.media.at.Load() }

// hearOfPlace acts on what the peer says about where it is, or we are. The path of two who
// have met follows both by itself.
func (c *core) hearOfPlace(now time.Time, m message) {
	switch {
	case c.met:
	case m.word == wordFollows:
		c.roam.turned = c.roam.turned || !c.roam.able // the reader is to know
		c.roam.able = true
	case m.word == wordChallenge:
		c.challenged(now, c.asking, m.body)
	case m.word == wordResponse:
		c.responded(now, m.body)
	}
}

// follows tells whether the call goes where its peer goes.
func (c *core) follows() bool {
	return c.roam.able && c.media != nil && (c.phase == ringing || c.phase == talking)
}

// elsewhere is told that a packet of n bytes came from another address than the
// peer's: good, and newer than all before.
func (c *core) elsewhere(now time.Time, from netip.AddrPort, n int) {
	here := c.here()
	if !c.follows() || from == here.addr {
		return
	}
	if last := c.roam.last; last != nil && from == last.addr && !here.proven.Load() {
		c.back(now) // it is where it was, and nobody has shown to be anywhere else
		return
	}
	a := c.attemptAt(now, from)
	a.place.came(now.Sub(c.media.begun), n)
	if a.answered {
		a.until = now.Add(attemptLimit)
	}
	if c.silent(now, here) || a.answered && c.silentSince(here, a.first) {
		c.move(now, a)
	}
	c.challenge(now)
}

// silent tells whether nothing of the peer's has come from p for a while.
func (c *core) silent(now time.Time, p *place) bool {
	return now.Sub(c.media.begun)-time.Duration(p.heard.Load()) >= oldQuiet
}

// silentSince tells whether nothing has since then.
func (c *core) silentSince(p *place, then time.Time) bool {
	return time.Duration(p.heard.Load()) <= then.Sub(c.media.begun)
}

// attemptAt is the challenge to an address, new if there is none. One too many
// takes the place of any other: the oldest might be the true one.
func (c *core) attemptAt(now time.Time, addr netip.AddrPort) *attempt {
	for _, a := range c.roam.attempts {
		if a.place.addr == addr {
			return a
		}
	}
	p := &place{addr: addr}
	if last := c.roam.last; last != nil && last.addr == addr {
		p = last
	}
	return c.attemptOf(now, p)
}

func (c *core) attemptOf(now time.Time, p *place) *attempt {
	a := &attempt{place: p, first: now, until: now.Add(attemptLimit), again: now, wait: attemptFirst}
	if _, err := io.ReadFull(c.conf.Rand, a.token[:]); err != nil {
		c.end(now, ReasonFault, fmt.Errorf("random source: %w", err))
	}
	if len(c.roam.attempts) < maxAttempts {
		c.roam.attempts = append(c.roam.attempts, a)
		return a
	}
	n := rand.N(maxAttempts)
	for c.roam.attempts[n].place == c.here() || c.roam.attempts[n].place == c.roam.last {
		n = (n + 1) % maxAttempts // these two have to end one way or the other
	}
	c.roam.attempts[n] = a
	return a
}

// challenge sends those challenges that are due, ends those that were not
// answered, and says when it wants to be called next.
func (c *core) challenge(now time.Time) {
	var next time.Time
	kept := c.roam.attempts[:0]
	failed := false
	for _, a := range c.roam.attempts {
		if !now.Before(a.until) {
			failed = failed || a.place == c.here() && !a.answered
			continue
		}
		if !a.again.IsZero() && !now.Before(a.again) {
			c.whisper(now, a.place, wordChallenge, a.token[:])
			a.again, a.wait = now.Add(a.wait), 2*a.wait
		}
		kept = append(kept, a)
		next = earlier(earlier(next, a.again), a.until)
	}
	clear(c.roam.attempts[len(kept):])
	c.roam.attempts = kept
	if failed && c.roam.last != nil {
		c.back(now) // nobody there hears us: better where it was
	}
	if c.roam.last != nil {
		next = earlier(next, now.Add(probeEvery))
	}
	c.at[timerPath] = next
}

// probe asks whether the peer is where it was before, when it is not to be heard
// any more where it is: it has gone back, or somebody has let the call come his
// way and has had enough of it.
func (c *core) probe(now time.Time) {
	if c.roam.last == nil || !c.follows() || now.Sub(c.media.lastHeard()) < probeEvery {
		return
	}
	c.attemptAt(now, c.roam.last.addr)
}

// responded is told that the peer has heard a challenge. It went to one place,
// and so the peer hears us there, by whatever way the response came (RFC 9000,
// Section 8.2.3): on that way somebody may be first with a copy.
func (c *core) responded(now time.Time, token []byte) {
	i := slices.IndexFunc(c.roam.attempts, func(a *attempt) bool {
		return subtle.ConstantTimeCompare(a.token[:], token) == 1
	})
	if i < 0 || c.roam.attempts[i].answered || !c.follows() {
		return
	}
	a, here := c.roam.attempts[i], c.here()
	a.answered, a.again = true, time.Time{}
	a.place.proven.Store(true)
	switch {
	case a.place == here:
		c.settled()
	case a.place == c.roam.last:
		// It can be reached where it was. That is where it is, unless it hears us
		// here too and nothing comes from there any more.
		if !here.proven.Load() || !c.silentSince(a.place, c.roam.moved) {
			c.back(now)
		}
	case c.silentSince(here, a.first):
		c.move(now, a)
	}
}

// move goes to the place of a.
func (c *core) move(now time.Time, a *attempt) {
	here := c.here()
	if here.proven.Load() {
		c.roam.last = here
	}
	c.goTo(now, a.place)
	if last := c.roam.last; last != nil && last != a.place {
		c.roam.attempts = slices.DeleteFunc(c.roam.attempts, func(b *attempt) bool { return b.place == last })
		c.attemptOf(now, last)
	}
	if a.place.proven.Load() {
		c.settled()
	}
	c.challenge(now)
}

// back returns to where the peer was before.
func (c *core) back(now time.Time) {
	last := c.roam.last
	left := c.here()
	c.roam.last = nil
	c.roam.attempts = slices.DeleteFunc(c.roam.attempts, func(a *attempt) bool {
		return a.place == last || a.place == left && !a.answered && !now.Before(a.until)
	})
	c.goTo(now, last)
	c.settled()
}

func (c *core) goTo(now time.Time, p *place) {
	c.roam.moved, c.roam.turned = now, true
	p.heard.Store(max(1, int64(now.Sub(c.media.begun))))
	c.media.at.Store(p)
	c.remote = p.addr
}

// settled tells where the peer is, once it has shown it.
func (c *core) settled() {
	if c.remote != c.roam.announced {
		c.announce(c.path.Source(c.remote), c.remote)
	}
}

// announce tells between which addresses packets go.
func (c *core) announce(local, remote netip.AddrPort) {
	c.roam.local, c.roam.announced = local, remote
	c.tell(PathChanged{Kind: c.kind, Local: local, Remote: remote})
}

// challenged says a challenge back, to where it came from, and takes it for a
// hint that it is we who have moved.
func (c *core) challenged(now time.Time, from netip.AddrPort, token []byte) {
	if len(token) != tokenSize {
		c.media.drops.add(dropMalformed)
		return
	}
	c.whisper(now, c.placeAt(from), wordResponse, token)
	if next := c.roam.looked.Add(sourceEvery); now.Before(next) {
		c.at[timerSource] = next // we may have moved once more
		return
	}
	c.findSource(now)
}

// findSource looks where we are ourselves, and tells it if it has changed.
func (c *core) findSource(now time.Time) {
	c.roam.looked = now
	local := c.path.Source(c.remote)
	if local.Addr().IsUnspecified() && !c.roam.local.Addr().IsUnspecified() {
		return // there is no network at this moment
	}
	if local != c.roam.local && c.follows() {
		c.announce(local, c.roam.announced)
	}
}

// placeAt is the place of an address that a packet has just come from; where it
// was an old one, and so made no place, the one where the peer is.
func (c *core) placeAt(addr netip.AddrPort) *place {
	if last := c.roam.last; last != nil && last.addr == addr {
		return last
	}
	for _, a := range c.roam.attempts {
		if a.place.addr == addr {
			return a.place
		}
	}
	return c.here()
}

// whisper says one thing to one place, beside call control's numbers: it is
// neither acknowledged nor part of any other packet, and so nobody hears it
// anywhere else.
func (c *core) whisper(now time.Time, p *place, w word, body []byte) {
	data := appData{ack: c.control.taken, messages: []message{{0, w, body}}}.append(nil)
	c.seal(now, p, []rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: c.ssrc},
		c.description(),
		&rtcp.ApplicationDefined{SSRC: c.ssrc, Name: appName, Data: data},
	})
}
