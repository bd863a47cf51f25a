package call

import (
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"securecall/crypto/zrtp"
	"securecall/crypto/zrtp/wire"
	"securecall/nat"
)

// stands is the address that stands for the peer in these tests.
var stands = netip.MustParseAddrPort("[100::1]:1")

// pipe is a Router over a path in memory.
type pipe struct {
	nat.Path
	peer   netip.AddrPort
	routes chan PathChanged
}

func (p *pipe) Routes() <-chan PathChanged { return p.routes }

func (p *pipe) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	for {
		n, from, err := p.Path.ReadPacket(b)
		if err != nil || from == p.peer {
			return n, stands, err
		}
	}
}

func (p *pipe) WritePacket(b []byte, _ netip.AddrPort) error { return p.Path.WritePacket(b, p.peer) }

// meet has both sides of w met; edit changes what they know of each other, lies what Bob
// announces.
func (w *world) meet(edit func(alice, bob *Meeting), lies ...func(bob *Announcement)) {
	w.t.Helper()
	secret := []byte("what the code gave both of them.")
	meetings := [2]Meeting{{Caller: true}, {}}
	sides := [2]*side{&w.alice, &w.bob}
	for i, s := range sides {
		routes := make(chan PathChanged, 1)
		routes <- PathChanged{Kind: "punched", Local: s.addr, Remote: sides[1-i].addr}
		s.path = w.net.Path(s.addr)
		meetings[i].Path = &pipe{s.path, sides[1-i].addr, routes}
		meetings[i].Peer, meetings[i].Auxiliary = stands, secret
	}
	if edit != nil {
		edit(&meetings[0], &meetings[1])
	}
	var es [2]*Endpoint
	for _, i := range []int{1, 0} { // the callee first, of whom the caller then knows
		var err error
		if es[i], err = NewMet(sides[i].conf, meetings[i]); err != nil {
			w.t.Fatal(err)
		}
		announced := es[i].Announce()
		meetings[0].Announced = &announced
	}
	for i := range es {
		a := es[1-i].Announce()
		if i == 0 {
			for _, lie := range lies {
				lie(&a)
			}
		}
		if err := es[i].Expect(a); err != nil {
			w.t.Fatal(err)
		}
	}
	w.alice.start(es[0])
	w.bob.start(es[1])
}

func TestMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.stop()
		w.alice.conf.Require, w.bob.conf.Require = RequireCode, RequireCode
		w.alice.conf.Duration = 3 * time.Second
		w.meet(nil)
		for _, s := range []*side{&w.alice, &w.bob} {
			if ended := s.result(t); ended.Reason != ReasonNormal || ended.Duration < 2*time.Second {
				t.Errorf("ended: %+v", ended)
			}
			if secured := await[Secured](t, s); !secured.ByCode || secured.Auxiliary != "match" || secured.Verified || secured.Remote == stands {
				t.Errorf("secured: %+v", secured)
			}
			if path := await[PathChanged](t, s); path.Kind != "punched" || path.Remote == stands {
				t.Errorf("path: %+v", path)
			}
		}
		if in := await[Incoming](t, &w.bob); in.Addr != w.alice.addr {
			t.Errorf("incoming from %v", in.Addr)
		}
		if i := slices.Index(w.bob.names(), "path"); i != 0 {
			t.Errorf("Bob was told %v", w.bob.names())
		}
	})
}

// The way changes in mid-call, which is told, and nothing else.
func TestMetByAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.stop()
		routes := make(chan PathChanged, 1)
		w.meet(func(alice, _ *Meeting) {
			p := alice.Path.(*pipe)
			routes <- <-p.routes
			p.routes = routes
		})
		await[Answered](t, &w.alice)
		relay := netip.MustParseAddrPort("203.0.113.9:40000")
		routes <- PathChanged{Kind: "relayed", Local: w.alice.addr, Remote: relay}
		time.Sleep(time.Second)
		w.alice.mu.Lock()
		last := w.alice.events[len(w.alice.events)-1]
		w.alice.mu.Unlock()
		if path, ok := last.(PathChanged); !ok || path.Remote != relay {
			t.Errorf("the last event is %+v", last)
		}
	})
}

// In a call by code an unmatched auxiliary secret ends the call before it rings.
func TestMetWithoutTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		defer w.stop()
		w.alice.conf.Cache = home(t, filepath.Join(t.TempDir(), "alice"))
		w.bob.conf.Cache = home(t, filepath.Join(t.TempDir(), "bob"))
		w.meet(func(alice, _ *Meeting) { alice.Auxiliary = []byte("what somebody in between gave one") })
		for _, s := range []*side{&w.alice, &w.bob} {
			if ended := s.result(t); ended.Reason != ReasonKeys || !errors.Is(ended.Err, ErrCodeSecret) {
				t.Errorf("ended: %+v", ended)
			}
			for _, never := range []string{"incoming", "ringing", "answered"} {
				if slices.Contains(s.names(), never) {
					t.Errorf("told: %v", s.names())
				}
			}
			if list, err := s.conf.Cache.List(); err != nil || len(list) != 0 {
				t.Errorf("remembered: %v, %v", list, err)
			}
		}
	})
}

// RFC 6189, Section 8.1: "If the ZRTP endpoint receives a Hello message that does not
// match the value of the zrtp-hash … the Hello message must be ignored".
func TestMetAndAnotherHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 5)
		defer w.stop()
		w.alice.conf.Timeout, w.bob.conf.Timeout = 5*time.Second, 5*time.Second
		secret := []byte("what the code gave both of them.")
		ways := [2]*pipe{}
		sides := [2]*side{&w.alice, &w.bob}
		for i, s := range sides {
			s.path = w.net.Path(s.addr)
			ways[i] = &pipe{s.path, sides[1-i].addr, make(chan PathChanged, 1)}
		}
		var es [2]*Endpoint
		for i, s := range sides {
			e, err := NewMet(s.conf, Meeting{Path: ways[i], Peer: stands, Auxiliary: secret, Caller: i == 0})
			if err != nil {
				t.Fatal(err)
			}
			es[i] = e
		}
		for i, s := range sides {
			a := es[1-i].Announce()
			a.HelloHash[0]++ // the other one's is not that
			if err := es[i].Expect(a); err != nil {
				t.Fatal(err)
			}
			s.start(es[i])
		}
		for _, s := range sides {
			if ended := s.result(t); ended.Reason != ReasonKeys || ended.Stats.Dropped[string(zrtp.DropHelloHash)] == 0 {
				t.Errorf("ended: %+v", ended)
			}
			if slices.Contains(s.names(), "secured") {
				t.Errorf("told: %v", s.names())
			}
		}
	})
}

// Two ends of one installation have the same ZID, and one of them says another (RFC
// 6189, Section 5.9, error 0x90).
func TestMetOurselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6)
		defer w.stop()
		cache := home(t, filepath.Join(t.TempDir(), "state"))
		w.alice.conf.Cache, w.bob.conf.Cache = cache, cache
		w.alice.conf.Duration = time.Second
		w.meet(nil)
		if ended := w.alice.result(t); ended.Reason != ReasonNormal {
			t.Errorf("ended: %+v", ended)
		}
		if secured := await[Secured](t, &w.alice); !secured.Itself || secured.Auxiliary != "match" {
			t.Errorf("secured: %+v", secured)
		}
	})
}

func TestNewMetWithoutASecret(t *testing.T) {
	w := newWorld(t, 7)
	if _, err := NewMet(w.alice.conf, Meeting{Path: &pipe{}, Peer: stands}); err == nil {
		t.Error("there is a call by code without a secret")
	}
}

// One datagram that anybody who sees the packets can make ends no call: a Hello under our
// own SSRC, and the peer's true one under another.
func TestMetAndStraySSRC(t *testing.T) {
	for _, own := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 8)
			defer w.stop()
			w.alice.conf.Duration = time.Second
			w.meet(func(alice, _ *Meeting) {
				alice.Path = &mirror{pipe: alice.Path.(*pipe), own: own}
			})
			for _, s := range []*side{&w.alice, &w.bob} {
				if ended := s.result(t); ended.Reason != ReasonNormal {
					t.Errorf("own %v: ended: %+v", own, ended)
				}
			}
		})
	}
}

// mirror puts a Hello of somebody else before the first packet of the peer: under the SSRC of
// what we have sent last (own), or the peer's own Hello under one more.
type mirror struct {
	*pipe
	own   bool
	mu    sync.Mutex
	ssrc  uint32
	next  []byte
	since int
}

func (m *mirror) WritePacket(b []byte, to netip.AddrPort) error {
	m.mu.Lock()
	if isHello(b) {
		m.ssrc = ssrcOf(kindZRTP, b)
	}
	m.mu.Unlock()
	return m.pipe.WritePacket(b, to)
}

func (m *mirror) ReadPacket(b []byte) (int, netip.AddrPort, error) {
	if m.next != nil {
		n := copy(b, m.next)
		m.next = nil
		return n, stands, nil
	}
	n, from, err := m.pipe.ReadPacket(b)
	if err != nil || m.since > 0 || !isHello(b[:n]) {
		return n, from, err
	}
	m.since++
	m.next = bytes.Clone(b[:n])
	p, err := wire.ParsePacket(b[:n])
	if err != nil {
		return n, from, err
	}
	ssrc := p.SSRC + 1
	if m.own {
		m.mu.Lock()
		ssrc = m.ssrc
		m.mu.Unlock()
	}
	return copy(b, wire.AppendPacket(nil, p.Seq, ssrc, bytes.Clone(p.Message))), from, nil
}

// With --accept known a code lets nobody in who is not known, however often he tries.
func TestMetByAStranger(t *testing.T) {
	w := newWorld(t, 9)
	w.bob.conf.Cache, w.bob.conf.KnownOnly = home(t, filepath.Join(t.TempDir(), "bob")), true
	e, err := NewMet(w.bob.conf, Meeting{Path: &pipe{}, Peer: stands, Auxiliary: []byte("what the code gave both of them.")})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Expect(Announcement{ZID: wire.ZID{1}, SSRC: 1}); !errors.Is(err, ErrStranger) {
		t.Errorf("the error is %v", err)
	}
}

// Who announces one ZID and says another does not get the better of what is remembered.
func TestMetAndAnotherZID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10)
		defer w.stop()
		w.alice.conf.Cache = home(t, filepath.Join(t.TempDir(), "alice"))
		w.meet(nil, func(bob *Announcement) { bob.ZID[0]++ })
		if ended := w.alice.result(t); ended.Reason != ReasonKeys || !errors.Is(ended.Err, ErrNotMet) {
			t.Errorf("ended: %+v", ended)
		}
	})
}
