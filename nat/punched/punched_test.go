package punched

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"

	"securecall/nat"
	"securecall/nat/memnet"
	"securecall/nat/reflexive"
)

func TestWays(t *testing.T) {
	cases := []struct {
		name   string
		nats   []memnet.Router
		conf   Config
		kind   Kind
		within time.Duration
	}{
		{"no NAT", nil, Config{}, Direct, 2*roundTrip + 100*time.Millisecond},
		{
			"two ordinary NATs",
			[]memnet.Router{ordinary(aliceNAT, aliceNet), ordinary(bobNAT, bobNet)},
			withSTUN, Punched, 2*roundTrip + 100*time.Millisecond,
		},
		{
			"one ordinary NAT and one symmetric, which filters by address",
			[]memnet.Router{
				{Public: aliceNAT, Inside: aliceNet, Filtering: memnet.AddressDependent},
				symmetric(bobNAT, bobNet),
			},
			withSTUN, Punched, 2*roundTrip + 100*time.Millisecond,
		},
		{
			"two symmetric NATs",
			[]memnet.Router{symmetric(aliceNAT, aliceNet), symmetric(bobNAT, bobNet)},
			// Twice the way to the relay and back, once each for permission,
			// check and nomination; and the wait.
			withTURN, Relayed, 500*time.Millisecond + 6*roundTrip,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := network()
				for _, nat := range c.nats {
					n.AddRouter(nat)
				}
				serve(t, n)
				a, b := side(t, n, alice, true, c.conf), side(t, n, bob, false, c.conf)
				gather(t, a, b)
				took, err := connect(t, a, b)
				if err != nil {
					t.Fatalf("after %v: %v", took, err)
				}
				t.Logf("%v: %v and %v", took, a.Route(), b.Route())
				if took > c.within {
					t.Errorf("took %v, not %v", took, c.within)
				}
				if a.Route().Kind != c.kind || b.Route().Kind != c.kind {
					t.Errorf("%v and %v, not %v", a.Route(), b.Route(), c.kind)
				}
				talk(t, a, b)
			})
		})
	}
}

// Neither an address of this machine nor a packet may reach the peer but by the
// relay.
func TestRelayOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		n.AddRouter(ordinary(aliceNAT, aliceNet))
		serve(t, n)
		sent := make(map[netip.AddrPort]int) // by alice
		var mu sync.Mutex
		n.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if from == alice {
				sent[to]++
			}
			return b
		})
		hidden := withTURN
		hidden.RelayOnly = true
		hidden.STUN = []string{bob.String()} // would give the address away
		hidden.Mapped = []netip.AddrPort{netip.AddrPortFrom(aliceNAT, 5004)}
		a, b := side(t, n, alice, true, hidden), side(t, n, bob, false, withTURN)
		gather(t, a, b)
		described := a.Local().Append(nil)
		for _, addr := range []netip.Addr{alice.Addr(), aliceNAT} {
			if bytes.Contains(described, addr.AsSlice()) {
				t.Errorf("%v is in the description: %v", addr, a.Local())
			}
		}
		if took, err := connect(t, a, b); err != nil {
			t.Fatalf("after %v: %v", took, err)
		}
		talk(t, a, b)
		time.Sleep(time.Minute) // consent
		talk(t, a, b)
		if a.Route().Kind != Relayed || b.Route().Kind != Relayed {
			t.Errorf("%v and %v", a.Route(), b.Route())
		}
		mu.Lock()
		defer mu.Unlock()
		if len(sent) != 1 || sent[server] == 0 {
			t.Errorf("packets went to %v", sent)
		}
	})
}

// Without a configured server nobody but the peer is sent anything, and before
// Connect nobody at all.
func TestNobodyElseIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		var mu sync.Mutex
		sent := 0
		n.SetTap(func(_, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			sent++
			if to != alice && to != bob {
				t.Errorf("a packet to %v", to)
			}
			return b
		})
		a, b := side(t, n, alice, true, Config{}), side(t, n, bob, false, Config{})
		gather(t, a, b)
		time.Sleep(time.Minute)
		mu.Lock()
		if sent != 0 {
			t.Errorf("%d packets before Connect", sent)
		}
		mu.Unlock()
		if _, err := connect(t, a, b); err != nil {
			t.Fatal(err)
		}
	})
}

func TestServersOfNoUse(t *testing.T) {
	const secret = "swordfish"
	silent := netip.MustParseAddrPort("203.0.113.77:3478").String()
	for _, c := range []struct {
		name string
		conf Config
		want error
	}{
		{"STUN that does not answer", Config{STUN: []string{silent}}, reflexive.ErrNoAnswer},
		{"TURN that does not answer", Config{TURN: []TURN{{Server: silent, Username: "user", Password: secret}}}, reflexive.ErrNoAnswer},
		{"a wrong password", Config{TURN: []TURN{{Server: server.String(), Username: "user", Password: secret}}}, ErrCredentials},
		{"a wrong user", Config{TURN: []TURN{{Server: server.String(), Username: "nobody", Password: secret}}}, ErrCredentials},
		{"a server of another family", Config{STUN: []string{"[2001:db8::1]:3478"}}, nat.ErrNoRoute},
		{"no address", Config{STUN: []string{"a b"}}, nat.ErrAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := network()
				serve(t, n)
				p := side(t, n, alice, true, c.conf)
				start := time.Now()
				err := p.Gather(t.Context())
				var which *ServerError
				if !errors.Is(err, c.want) || !errors.As(err, &which) {
					t.Errorf("%v, not %v", err, c.want)
				}
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a secret in %q", err)
				}
				if took := time.Since(start); took > gatherTime {
					t.Errorf("took %v", took)
				}
				if d := p.Local(); len(d.Candidates) != 1 || !d.Complete {
					t.Errorf("%v", d)
				}
			})
		})
	}
}

// A session goes on by the candidates that come in after it began.
func TestTrickle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		n.AddRouter(ordinary(aliceNAT, aliceNet))
		n.AddRouter(ordinary(bobNAT, bobNet))
		serve(t, n)
		var a, b *Path
		trickling := func(to **Path) Config {
			c := withSTUN
			c.OnLocal = func(d Description) {
				time.Sleep(oneWay)
				if !(*to).Add(passed(t, d)) {
					t.Errorf("%v was not taken", d)
				}
			}
			return c
		}
		a, b = side(t, n, alice, true, trickling(&b)), side(t, n, bob, false, trickling(&a))
		if a.Add(passed(t, b.Local())) {
			t.Error("candidates were taken before the session began")
		}
		if err := errors.Join(a.Begin(passed(t, b.Local())), b.Begin(passed(t, a.Local()))); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Path{a, b} {
			go p.Gather(t.Context())
		}
		took, err := connect(t, a, b)
		if err != nil {
			t.Fatal(err)
		}
		// A round trip to the server, and half of one to the peer.
		if limit := roundTrip + oneWay + 2*roundTrip + 100*time.Millisecond; took > limit {
			t.Errorf("took %v, not %v", took, limit)
		}
		talk(t, a, b)
	})
}

// Checks by a peer's relay may be here before the relay's address is, and are answered
// sooner than those of the direct way. They are not taken for that way, whichever side
// selects it.
func TestChecksBeforeTheRelayIsHeardOf(t *testing.T) {
	for _, controlling := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			n := network()
			n.AddRouter(memnet.Router{Public: aliceNAT, Inside: aliceNet, Filtering: memnet.AddressDependent})
			n.AddRouter(ordinary(bobNAT, bobNet))
			serve(t, n)
			a, b := side(t, n, alice, controlling, withSTUN), side(t, n, bob, !controlling, withTURN)
			gather(t, a, b)
			whole := passed(t, b.Local())
			unaware := whole
			last := len(whole.Candidates) - 1
			unaware.Candidates = whole.Candidates[:last:last]
			relay := whole.Candidates[last]
			if relay.Type != Relay {
				t.Fatalf("no relay in %v", whole)
			}
			for _, addr := range []netip.AddrPort{server, relay.Addr} {
				near := memnet.Conditions{Delay: oneWay / 10}
				n.SetConditions(addr, netip.AddrPort{}, near)
				n.SetConditions(netip.AddrPort{}, addr, near)
			}
			if err := errors.Join(a.Begin(unaware), b.Begin(passed(t, a.Local()))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(oneWay)
			a.Add(whole)
			took, err := connect(t, a, b)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v: %v and %v", took, a.Route(), b.Route())
			if a.Route().Kind != Punched || b.Route().Kind != Punched {
				t.Errorf("%v and %v, where there is a direct way", a.Route(), b.Route())
			}
			talk(t, a, b)
		})
	}
}

// A server that was started again answers where it did, and has forgotten what it had allocated.
func TestServerThatHasForgottenUs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		s := serve(t, n)
		a := side(t, n, alice, true, withTURN)
		gather(t, a)
		first := a.readyRelays()[0]
		gather(t, a)
		if again := a.readyRelays(); len(again) != 1 || again[0] != first {
			t.Error("a relay that stands is allocated anew")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		serve(t, n)
		gather(t, a)
		if after := a.readyRelays(); len(after) != 1 || after[0] == first {
			t.Error("one that nobody knows any more is not")
		}
	})
}

// A check that is quicker than the peer's words makes its address look like a hole in a NAT,
// until the peer has named it.
func TestDirectWayThatIsNamedLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		a, b := side(t, n, alice, true, Config{}), side(t, n, bob, false, Config{})
		gather(t, a, b)
		whole := passed(t, b.Local())
		nameless := whole
		nameless.Candidates = nil
		if err := errors.Join(a.Begin(nameless), b.Begin(passed(t, a.Local()))); err != nil {
			t.Fatal(err)
		}
		for a.Route().Kind == None {
			time.Sleep(oneWay)
		}
		if r := a.Route(); r.Kind != Punched {
			t.Fatalf("to an address without a name: %v", r)
		}
		if !a.Add(whole) {
			t.Fatal("of another session")
		}
		if ra, rb := a.Route(), b.Route(); ra.Kind != Direct || rb.Kind != Direct {
			t.Errorf("named: %v and %v", ra, rb)
		}
		talk(t, a, b)
	})
}

// The routers restart, and with them every hole closes. Both sides restart ICE.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		n.AddRouter(ordinary(aliceNAT, aliceNet))
		n.AddRouter(ordinary(bobNAT, bobNet))
		serve(t, n)
		var mu sync.Mutex
		var routes []Kind
		conf := withSTUN
		conf.TURN = withTURN.TURN
		watched := conf
		watched.OnRoute = func(r Route) {
			mu.Lock()
			defer mu.Unlock()
			routes = append(routes, r.Kind)
		}
		a, b := side(t, n, alice, true, watched), side(t, n, bob, false, conf)
		gather(t, a, b)
		if _, err := connect(t, a, b); err != nil {
			t.Fatal(err)
		}
		before := a.Route()
		// While nothing has happened to the way, a restart does not cut it.
		first := a.Local()
		restarted, err := a.Restart()
		if err != nil {
			t.Fatal(err)
		}
		if restarted.SameSession(first) {
			t.Error("a restart changed nothing")
		}
		if len(restarted.Candidates) != 3 || restarted.Complete {
			t.Errorf("after a restart there are %v", restarted)
		}
		if err := b.Connect(t.Context(), passed(t, restarted)); !errors.Is(err, ErrRestart) {
			t.Errorf("a restart of one side: %v", err)
		}
		if b.Add(restarted) {
			t.Error("candidates of another session were taken")
		}
		talk(t, a, b)
		if _, err := b.Restart(); err != nil {
			t.Fatal(err)
		}
		talk(t, a, b)
		if took, err := connect(t, a, b); err != nil {
			t.Fatalf("after %v: %v", took, err)
		}
		talk(t, a, b)

		n.Forget()
		for _, p := range []*Path{a, b} {
			if _, err := p.Restart(); err != nil {
				t.Fatal(err)
			}
			if err := p.Gather(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		took, err := connect(t, a, b)
		if err != nil {
			t.Fatalf("after %v: %v", took, err)
		}
		if limit := 2*roundTrip + 100*time.Millisecond; took > limit {
			t.Errorf("took %v, not %v", took, limit)
		}
		if a.Route() == before || a.Route().Kind != Punched {
			t.Errorf("%v before, %v after", before, a.Route())
		}
		talk(t, a, b)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(routes) < 2 || slices.Contains(routes, None) {
			t.Errorf("told of %v", routes)
		}
	})
}

// RFC 7675, Section 5.1: consent expires after 30 s without an answer. Neither
// media nor indications nor old answers keep it.
func TestConsentExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		var mu sync.Mutex
		var answer []byte
		mute, spoken := false, 0
		n.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if from == bob && !mute && isSTUN(b) && b[0] == 1 && b[1] == 1 {
				answer = bytes.Clone(b)
			}
			if from == bob && mute {
				return nil
			}
			if from == alice && mute && !isSTUN(b) {
				spoken++
			}
			return b
		})
		var told []Route
		conf := Config{OnRoute: func(r Route) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r)
		}}
		a, b := side(t, n, alice, true, conf), side(t, n, bob, false, Config{})
		if _, err := connect(t, a, b); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		talk(t, a, b)
		if kind := a.Route().Kind; kind != Direct {
			t.Fatalf("control: after a minute %v", kind)
		}
		mu.Lock()
		mute = true
		mu.Unlock()
		start := time.Now()
		for a.Route().Kind != None && time.Since(start) < time.Minute {
			n.Inject(bob, alice, []byte("\x80media"))
			n.Inject(bob, alice, append([]byte("\x00\x11\x00\x00\x21\x12\xa4\x42"), "abcdefghijkl"...))
			n.Inject(bob, alice, answer)
			a.WritePacket([]byte("\x80media"), Peer)
			time.Sleep(time.Second)
		}
		// Consent was asked for up to 6 s before, and is looked at as often.
		if took := time.Since(start); took < 20*time.Second || took > 37*time.Second {
			t.Errorf("consent expired after %v", took)
		}
		if err := a.WritePacket([]byte("\x80media"), Peer); !errors.Is(err, ErrNoRoute) {
			t.Errorf("writing without consent: %v", err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if spoken == 0 || len(told) != 2 || told[1].Kind != None {
			t.Errorf("%d packets sent, told of %v", spoken, told)
		}
	})
}

func TestStrangersAreNotHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		a, b := side(t, n, alice, true, Config{}), side(t, n, bob, false, Config{})
		if _, err := connect(t, a, b); err != nil {
			t.Fatal(err)
		}
		stranger := netip.MustParseAddrPort("192.0.2.66:5004")
		n.Inject(stranger, alice, []byte("\x80stranger"))
		n.Inject(stranger, alice, request(t, stun.NewUsername(a.Local().textUfrag()+":"+b.Local().textUfrag()), ice.UseCandidate(), stun.NewShortTermIntegrity("guess"), stun.Fingerprint))
		time.Sleep(time.Second)
		n.Inject(stranger, alice, []byte("\x80stranger"))
		time.Sleep(time.Second)
		talk(t, b, a)
		if a.Route().Remote != bob {
			t.Errorf("%v", a.Route())
		}
		if err := a.WritePacket([]byte("\x80hello"), bob); err == nil {
			t.Error("a packet to an address other than Peer was sent")
		}
	})
}

// Checks of an address of loopback would go to this machine's own programs.
func TestLoopbackIsNobodyElses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		sent := 0
		var mu sync.Mutex
		n.SetTap(func(_, to netip.AddrPort, b []byte) []byte {
			mu.Lock()
			defer mu.Unlock()
			if to.Addr().IsLoopback() {
				sent++
			}
			return b
		})
		for at, want := range map[string]bool{"10.1.0.2:5004": false, "127.0.0.1:5004": true} {
			sent = 0
			p := side(t, n, netip.MustParseAddrPort(at), true, Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := p.Connect(ctx, described(t, Candidate{Host, netip.MustParseAddrPort("127.0.0.1:53")}))
			cancel()
			if !errors.Is(err, ErrNoRoute) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			mu.Lock()
			if (sent > 0) != want {
				t.Errorf("at %s: %d packets to loopback", at, sent)
			}
			mu.Unlock()
			p.Close()
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := network()
		serve(t, n)
		p := side(t, n, alice, true, withTURN)
		gather(t, p)
		relayed := p.Local().Candidates[1].Addr
		read := make(chan error)
		go func() {
			_, _, err := p.ReadPacket(make([]byte, 10))
			read <- err
		}()
		connected := make(chan error)
		go func() {
			connected <- p.Connect(t.Context(), described(t, Candidate{Host, bob}))
		}()
		time.Sleep(time.Second)
		p.Close()
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading: %v", err)
		}
		if err := <-connected; !errors.Is(err, ErrNoRoute) {
			t.Errorf("connecting: %v", err)
		}
		if err := p.Gather(t.Context()); err == nil {
			t.Error("gathering after Close")
		}
		// The relayed address was given back: another can have it.
		time.Sleep(time.Second)
		n.Path(relayed).Close()
	})
}

func TestPacketsDoNotAllocate(t *testing.T) {
	sink := &sinkPath{addr: alice}
	p := &Path{inbox: newInbox(), path: reflexive.New(sink, rand.Reader)}
	p.admitted.Store(&admitted{bob})
	p.relays.Store(new([]*relay))
	p.bases.Store(new(bases))
	p.way.Store(&way{carrier: carrierFunc(p.send), route: Route{Direct, alice, bob}})
	packet, buf := append([]byte{0x80}, make([]byte, 181)...), make([]byte, maxDatagram)
	if allocs := testing.AllocsPerRun(100, func() {
		p.arrive(nil, packet, bob)
		if n, _, err := p.ReadPacket(buf); n != len(packet) || err != nil {
			t.Fatal(n, err)
		}
		if err := p.WritePacket(packet, Peer); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if sink.written == 0 {
		t.Error("nothing was written")
	}
}

type sinkPath struct {
	nat.Path
	addr    netip.AddrPort
	written int
}

func (s *sinkPath) WritePacket([]byte, netip.AddrPort) error { s.written++; return nil }
