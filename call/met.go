package call

import (
	"errors"
	"net/netip"
	"time"

	"securecall/crypto/zrtp/wire"
	"securecall/nat"
)

// Two people who have met elsewhere, by a call code or as contacts, are in a call that
// differs in three ways. Its path reaches the one peer and nobody else. Each side has told
// the other which Hello it will say, and under which SSRC, and drops every other (RFC 6189,
// Section 8.1). And what a code gave both is their auxiliary secret (Section 4.3): who
// does not have it is not rung for. Contacts have their retained secrets.

// A Router is a path to one peer, by a way that may change: through NATs, over a
// relay. The call never knows how it came about, only what it is.
type Router interface {
	nat.Path
	// Routes gives the way as soon as there is one, and whenever it has changed; of
	// several changes that nobody has taken, the last.
	Routes() <-chan PathChanged
}

// A Meeting is what NewMet needs to know.
type Meeting struct {
	Path      Router
	Peer      netip.AddrPort // the address that stands for the peer on Path
	Announced *Announcement  // what the peer has announced; nil: nothing yet
	Auxiliary []byte         // that a code gave both; borrowed until Run returns
	Contact   *wire.ZID      // or the contact who has been met
	Caller    bool           // we have dialled
}

// An Announcement is how somebody will begin ZRTP.
type Announcement struct {
	HelloHash [32]byte // SHA-256 of the Hello
	SSRC      uint32   // under which it comes
	ZID       wire.ZID // that is in it
}

// NewMet prepares the one call of a meeting. Each side is to be told the other's
// Announcement, for Expect, before Run.
func NewMet(c Config, m Meeting) (*Endpoint, error) {
	byCode := len(m.Auxiliary) > 0
	if byCode == (m.Contact != nil) {
		return nil, errors.New("call: a meeting is either by a code's secret or of contacts")
	}
	if byCode {
		c.Auxiliary = m.Auxiliary
	}
	e, err := newEndpoint(c, m.Path)
	if err != nil {
		return nil, err
	}
	e.peers = []netip.AddrPort{m.Peer}
	core := &core{conf: &e.conf, zid: e.ownZID(), path: m.Path, met: true, byCode: byCode, caller: m.Caller}
	if m.Caller {
		core.peers = e.peers
	} else {
		core.remote = m.Peer
	}
	if m.Announced != nil && m.Announced.ZID == core.zid && c.Cache != nil {
		// Our own installation: one of the two has to say another ZID.
		if err := core.anonymous(); err != nil {
			return nil, err
		}
	}
	if core, err = newCore(core); err != nil {
		return nil, err
	}
	for m.Announced != nil && m.Announced.SSRC == core.ssrc {
		if err := core.newSession(); err != nil {
			return nil, err
		}
	}
	e.met, e.awaited = core, m.Contact
	return e, nil
}

// Announce is for the other side.
func (e *Endpoint) Announce() Announcement {
	return Announcement{e.met.session.HelloHash(), e.met.ssrc, e.met.zid}
}

// Expect takes the other side's. Errors: ErrStranger with Config.KnownOnly, and ErrNotMet for
// an SSRC that is ours, or a ZID that is not the contact's.
func (e *Endpoint) Expect(a Announcement) error {
	switch {
	case e.conf.KnownOnly && !e.knows(time.Now(), a.ZID):
		return ErrStranger
	case a.SSRC == e.met.ssrc, e.awaited != nil && a.ZID != *e.awaited:
		return ErrNotMet
	}
	e.met.announced = a
	e.met.session.Expect(a.HelloHash, a.SSRC)
	return nil
}

// rerouted is told by which way packets go from now on.
func (c *core) rerouted(way PathChanged) {
	if way == c.way {
		return
	}
	c.way = way
	if c.phase == ringing || c.phase == talking {
		c.tell(way)
	}
}

// seen is where the peer is, for people: the address that stands for it on a Router
// tells them nothing.
func (c *core) seen() netip.AddrPort {
	if c.met {
		return c.way.Remote
	}
	return c.remote
}

// hasCodeSecret tells whether the peer has what a call code gave both sides.
func (c *core) hasCodeSecret() bool { return c.byCode && c.security.Auxiliary == "match" }

// lacksCodeSecret tells whether a call by a code is with somebody who has not.
func (c *core) lacksCodeSecret() bool { return c.byCode && !c.hasCodeSecret() }

var (
	// ErrCodeSecret is the Err of an Ended: whoever answered by a call code does not
	// have what it gave.
	ErrCodeSecret = errors.New("the other side does not have the secret that the call code gave: somebody may be in between")
	// ErrStranger: nobody who is not known is answered.
	ErrStranger = errors.New("somebody who is not known has called by a code")
	// ErrNotMet is the Err of an Ended as well.
	ErrNotMet = errors.New("what comes by the way that was found is not from the one who was met")
)
