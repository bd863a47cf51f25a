package memnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"securecall/nat"
)

var (
	alice = netip.MustParseAddrPort("192.0.2.1:5004")
	bob   = netip.MustParseAddrPort("[2001:db8::2]:5004")
	zero  netip.AddrPort
)

// arrival is a datagram as the reader saw it.
type arrival struct {
	text  string
	from  netip.AddrPort
	after time.Duration
	err   error
}

// collect reads p until it is closed, from start on; the result is complete
// once the channel is closed.
func collect(p nat.Path, start time.Time) <-chan []arrival {
	out := make(chan []arrival, 1)
	go func() {
		var all []arrival
		b := make([]byte, 2000)
		for {
			n, from, err := p.ReadPacket(b)
			if errors.Is(err, net.ErrClosed) {
				out <- all
				return
			}
			all = append(all, arrival{string(b[:n]), from, time.Since(start), err})
		}
	}()
	return out
}

// run sends count datagrams, one every 20 ms, from alice to bob.
func run(t *testing.T, n *Network, count int) (arrived []arrival) {
	synctest.Test(t, func(t *testing.T) {
		a, b := n.Path(alice), n.Path(bob)
		got := collect(b, time.Now())
		for i := range count {
			if err := a.WritePacket([]byte(fmt.Sprint(i)), bob); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		b.Close()
		a.Close()
		arrived = <-got
	})
	return arrived
}

func TestPerfect(t *testing.T) {
	for i, a := range run(t, New(1), 100) {
		want := arrival{fmt.Sprint(i), alice, time.Duration(i) * 20 * time.Millisecond, nil}
		if a != want {
			t.Fatalf("%+v, want %+v", a, want)
		}
	}
}

func TestDelayKeepsOrder(t *testing.T) {
	n := New(1)
	n.SetConditions(alice, bob, Conditions{Delay: 70 * time.Millisecond})
	synctest.Test(t, func(t *testing.T) {
		a, b := n.Path(alice), n.Path(bob)
		got := collect(b, time.Now())
		for i := range 100 { // all at one instant
			_ = a.WritePacket([]byte(fmt.Sprint(i)), bob)
		}
		time.Sleep(time.Second)
		b.Close()
		all := <-got
		if len(all) != 100 {
			t.Fatalf("%d arrived", len(all))
		}
		for i, d := range all {
			if d.text != fmt.Sprint(i) || d.after != 70*time.Millisecond {
				t.Fatalf("datagram %d: %+v", i, d)
			}
		}
	})
}

func TestConditions(t *testing.T) {
	n := New(7)
	n.SetConditions(alice, zero, Conditions{Loss: 0.1, Duplicate: 0.05, Delay: 30 * time.Millisecond, Jitter: 50 * time.Millisecond})
	all := run(t, n, 2000)
	seen := map[string]int{}
	swapped, repeated := 0, 0
	for i, a := range all {
		var number int
		if _, err := fmt.Sscan(a.text, &number); err != nil {
			t.Fatal(err)
		}
		late := a.after - time.Duration(number)*20*time.Millisecond
		if late < 30*time.Millisecond || late > 80*time.Millisecond {
			t.Fatalf("%s took %v", a.text, late)
		}
		if i > 0 && len(all[i-1].text) == len(a.text) && all[i-1].text > a.text {
			swapped++
		}
		if seen[a.text]++; seen[a.text] == 2 {
			repeated++
		}
	}
	if lost := 2000 - len(seen); lost < 150 || lost > 250 {
		t.Errorf("%d of 2000 lost", lost)
	}
	if repeated < 60 || repeated > 120 || swapped < 100 {
		t.Errorf("%d repeated, %d swapped", repeated, swapped)
	}
}

func TestDeterministic(t *testing.T) {
	once := func(seed uint64) []arrival {
		n := New(seed)
		n.SetConditions(zero, zero, Conditions{Loss: 0.2, Duplicate: 0.1, Jitter: 90 * time.Millisecond})
		return run(t, n, 300)
	}
	if !slices.Equal(once(3), once(3)) {
		t.Error("the same seed, another network")
	}
	if slices.Equal(once(3), once(4)) {
		t.Error("another seed, the same network")
	}
}

func TestClosestConditionsCount(t *testing.T) {
	n := New(1)
	for i, d := range []direction{{}, {to: bob}, {from: alice}, {alice, bob}} {
		n.SetConditions(d.from, d.to, Conditions{Delay: time.Duration(i + 1)})
		if got := n.conditionsOf(direction{alice, bob}).Delay; got != time.Duration(i+1) {
			t.Errorf("%+v set: delay %d", d, got)
		}
	}
	if got := n.conditionsOf(direction{bob, alice}).Delay; got != 1 {
		t.Errorf("the other direction: delay %d", got)
	}
}

func TestTap(t *testing.T) {
	n := New(1)
	n.SetTap(func(from, to netip.AddrPort, b []byte) []byte {
		if from != alice || to != bob {
			t.Errorf("%v to %v", from, to)
		}
		switch string(b) {
		case "1":
			return nil
		case "2":
			b[0] = 'x'
		case "3":
			n.Inject(from, to, b)
			n.Inject(netip.MustParseAddrPort("203.0.113.6:6"), to, []byte("forged"))
		}
		return b
	})
	var got []string
	for _, a := range run(t, n, 5) {
		got = append(got, a.text+" "+a.from.Addr().String()[:3])
	}
	if s := strings.Join(got, ","); s != "0 192,x 192,3 192,forged 203,3 192,4 192" {
		t.Error(s)
	}
}

func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetConditions(zero, zero, Conditions{Delay: 40 * time.Millisecond})
		a := n.Path(alice)
		got := collect(a, time.Now())
		_ = a.WritePacket([]byte("lost without a word"), bob)
		time.Sleep(time.Second)
		n.SetRefuse(true)
		_ = a.WritePacket([]byte("refused"), bob)
		time.Sleep(time.Second)
		a.Close()
		want := arrival{"", bob, time.Second + 80*time.Millisecond, nat.ErrRefused}
		if all := <-got; len(all) != 1 || all[0] != want {
			t.Errorf("%+v", all)
		}
	})
}

func TestQueueBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := n.Path(alice), n.Path(bob)
		for range 5 * queueSize {
			_ = a.WritePacket([]byte("x"), bob)
		}
		got := collect(b, time.Now())
		time.Sleep(time.Second)
		b.Close()
		if all := <-got; len(all) != queueSize {
			t.Errorf("%d kept", len(all))
		}
	})
}

// synctest itself fails the test if a goroutine is left behind.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetConditions(zero, zero, Conditions{Delay: time.Minute})
		a, b := n.Path(alice), n.Path(bob)
		ended := make(chan error)
		go func() {
			_, _, err := b.ReadPacket(make([]byte, 100))
			ended <- err
		}()
		_ = a.WritePacket([]byte("on its way for a minute"), bob)
		synctest.Wait()
		b.Close()
		b.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if err := b.WritePacket(nil, alice); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		// The address is free again, and what was under way does not come to
		// the one who has it now.
		again := n.Path(bob)
		got := collect(again, time.Now())
		time.Sleep(time.Hour)
		again.Close()
		if all := <-got; len(all) != 0 {
			t.Errorf("%+v", all)
		}
		a.Close()
	})
}

func TestPorts(t *testing.T) {
	n := New(1)
	first, second := n.Path(netip.AddrPortFrom(alice.Addr(), 0)), n.Path(netip.AddrPortFrom(alice.Addr(), 0))
	if first.LocalAddr() == second.LocalAddr() || first.LocalAddr().Port() == 0 {
		t.Error(first.LocalAddr(), second.LocalAddr())
	}
	for _, bad := range []netip.AddrPort{first.LocalAddr(), zero, netip.MustParseAddrPort("[::]:5004")} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v bound", bad)
				}
			}()
			n.Path(bad)
		}()
	}
}

// What a NAT of each kind lets in: from somebody written to, from another port of
// his, and from somebody else.
func TestNAT(t *testing.T) {
	outside := netip.MustParseAddr("203.0.113.1")
	for filter, want := range map[Dependence]string{
		EndpointIndependent:     "bob same-host stranger",
		AddressDependent:        "bob same-host",
		AddressAndPortDependent: "bob",
	} {
		synctest.Test(t, func(t *testing.T) {
			n := New(1)
			router := n.NAT(outside, filter)
			a, b := router.Path(netip.MustParseAddrPort("10.0.0.2:5004")), n.Path(bob)
			got, seen := collect(a, time.Now()), collect(b, time.Now())
			mapped := netip.AddrPortFrom(outside, 5004)
			n.Inject(bob, mapped, []byte("too early"))
			_ = a.WritePacket([]byte("hello"), bob)
			n.Inject(bob, mapped, []byte("bob"))
			n.Inject(netip.AddrPortFrom(bob.Addr(), 1), mapped, []byte("same-host"))
			n.Inject(alice, mapped, []byte("stranger"))
			n.Inject(bob, netip.AddrPortFrom(outside, 5005), []byte("another port"))
			n.Inject(bob, a.LocalAddr(), []byte("past the NAT"))
			router.Rebind()
			n.Inject(bob, mapped, []byte("too late"))
			_ = a.WritePacket([]byte("from elsewhere"), bob)
			time.Sleep(time.Second)
			a.Close()
			b.Close()
			var texts []string
			for _, d := range <-got {
				texts = append(texts, d.text)
			}
			if text := strings.Join(texts, " "); text != want {
				t.Errorf("filtering %d let in %q", filter, text)
			}
			all := <-seen
			if len(all) != 2 || all[0].from != mapped || all[1].from != netip.AddrPortFrom(outside, 5005) {
				t.Errorf("seen outside: %+v", all)
			}
		})
	}
}

func TestSeveralAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b := n.Path(alice), n.Path(bob)
		second, third := netip.MustParseAddrPort("192.0.2.7:5004"), netip.MustParseAddrPort("198.51.100.9:6000")
		n.Also(b, second)
		n.SetConditions(netip.AddrPort{}, netip.AddrPort{}, Conditions{Delay: 10 * time.Millisecond})
		got, seen := collect(b, time.Now()), collect(a, time.Now())
		for _, to := range []netip.AddrPort{bob, second} {
			_ = a.WritePacket([]byte("x"), to)
			_ = b.WritePacket([]byte("y"), alice)
		}
		n.Move(b, third)
		_ = a.WritePacket([]byte("lost"), bob)
		_ = b.WritePacket([]byte("y"), alice)
		_ = a.WritePacket([]byte("x"), third)
		time.Sleep(time.Second)
		a.Close()
		b.Close()
		if all := <-got; len(all) != 1 { // the two before were under way when it moved
			t.Errorf("%+v", all)
		}
		all := <-seen
		if len(all) != 3 || all[0].from != bob || all[1].from != second || all[2].from != third || b.LocalAddr() != third {
			t.Errorf("%+v", all)
		}
	})
}
