package call

import (
	"errors"
	"net/netip"

	"securecall/crypto/zrtp/wire"
	"securecall/nat"
)

// Two people who have met elsewhere, by a call code, are in a call that differs
// in three ways. Its path reaches the one peer and nobody else. Each side knows the
// hash of the other's Hello, and drops every other (RFC 6189, Section 8.1). And what
// the code gave both is their auxiliary secret (Section 4.3): who does not have it
// is not rung for.

// A Router is a path to one peer, by a way that may change: through NATs, over a
// relay. The call never knows how it came about, only what it is.
type Router interface {
	nat.Path
	// Routes gives the way as soon as there is one, and whenever it has changed; of
	// several changes that nobody has taken, the last.
	Routes() <-chan PathChanged
}

// A Meeting is what two people know of each other when they have met.
type Meeting struct {
	Path      Router
	Peer      netip.AddrPort // the address that stands for the peer on Path
	PeerZID   *wire.ZID      // the peer's as it has said; nil: not known yet
	Auxiliary []byte         // that both have from the code; borrowed until Run returns
	Caller    bool           // we have dialled
	Called    string         // whom, as typed; without the words of a code
}

// NewMet prepares the one call of a meeting. The other side is to be told HelloHash
// and OwnZID; what it says is for ExpectHello, before Run.
func NewMet(c Config, m Meeting) (*Endpoint, error) {
	if len(m.Auxiliary) == 0 {
		return nil, errors.New("call: a meeting without a secret")
	}
	c.Auxiliary, c.ByCode = m.Auxiliary, true
	e, err := newEndpoint(c, m.Path)
	if err != nil {
		return nil, err
	}
	e.peers = []netip.AddrPort{m.Peer}
	core := &core{conf: &e.conf, zid: e.ownZID(), path: m.Path, met: true, caller: m.Caller, called: m.Called}
	if m.Caller {
		core.peers = e.peers
	} else {
		core.remote = m.Peer
	}
	if m.PeerZID != nil && *m.PeerZID == core.zid && c.Cache != nil {
		// Our own installation: one of the two has to say another ZID.
		if err := core.anonymous(); err != nil {
			return nil, err
		}
	}
	if core, err = newCore(core); err != nil {
		return nil, err
	}
	e.met = core
	return e, nil
}

// HelloHash is the SHA-256 of the Hello that a call of two who have met begins with.
func (e *Endpoint) HelloHash() [32]byte { return e.met.session.HelloHash() }

// OwnZID is the ZID in that Hello.
func (e *Endpoint) OwnZID() wire.ZID { return e.met.zid }

// ExpectHello has all Hellos dropped but that of the hash.
func (e *Endpoint) ExpectHello(hash [32]byte) { e.met.session.ExpectHello(hash) }

// rerouted is told by which way packets go from now on.
func (c *core) rerouted(way PathChanged) {
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

// ErrCodeSecret is the Err of an Ended: whoever answered by a call code does not know
// what it gave.
var ErrCodeSecret = errors.New("the other side does not have the secret that the call code gave: somebody may be in between")
