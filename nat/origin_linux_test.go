package nat

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// 127.0.0.1 and 127.0.0.2 stand for the two addresses of a multi-homed host.
func TestAnswersFromAddressCalled(t *testing.T) {
	for _, bind := range []string{"[::]:0", "0.0.0.0:0"} {
		l := mustListen(t, bind)
		for _, called := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"} {
			peer := netip.AddrPortFrom(netip.MustParseAddr(called), port(l))
			// Always from the same address, so that routing alone would always
			// answer from the same one.
			d := mustDial(t, addrPort("127.0.0.1:0"), peer)
			send(t, d, "hello", peer)
			caller := expect(t, l, "hello")
			for range 3 {
				send(t, l, "answer", caller)
				expect(t, d, "answer")
			}
		}
	}
}

// The same peer may call another of our addresses later.
func TestAnswersFromAddressCalledLast(t *testing.T) {
	l := mustListen(t, "[::]:0")
	for _, called := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		caller := mustListen(t, "127.0.0.1:0")
		to := netip.AddrPortFrom(netip.MustParseAddr(called), port(l))
		send(t, caller, "hello", to)
		send(t, l, "answer", expect(t, l, "hello"))
		if from := expect(t, caller, "answer"); from != to {
			t.Errorf("called %v, answered from %v", to, from)
		}
	}
}

// Far more peers than there is room for: memory is bounded by the type, the
// newest are kept, and one that calls steadily is not pushed out even if all
// the others should fall into its set.
func TestOriginsBounded(t *testing.T) {
	l := mustListen(t, "[::]:0").(*listening)
	o := l.origins
	steady := addrPort("192.0.2.1:5004")
	for i := range uint32(20000) {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], 10<<24|i)
		o.in[interface6Off-1] = byte(i)
		peer := netip.AddrPortFrom(netip.AddrFrom4(a), uint16(i))
		o.remember(peer)
		if control, known := o.lookUp(peer); !known || control[interface6Off-1] != byte(i) {
			t.Fatalf("peer %d not remembered", i)
		}
		if i%(originWays-1) == 0 {
			o.remember(steady)
		}
		if _, known := o.lookUp(steady); !known {
			t.Fatalf("a peer that calls steadily forgotten after %d others", i)
		}
	}
	held := 0
	for _, set := range o.sets {
		for _, origin := range set {
			if origin.used > 0 {
				held++
			}
		}
	}
	if held != originSets*originWays {
		t.Errorf("%d peers held", held)
	}
	if _, known := o.lookUp(addrPort("10.0.0.0:0")); known {
		t.Error("the oldest peer is still held")
	}
}

// An origin that cannot be used, such as an address gone since, costs nothing
// but the choice.
func TestOriginGone(t *testing.T) {
	l := mustListen(t, "[::]:0").(*listening)
	caller := mustListen(t, "127.0.0.1:0")
	send(t, caller, "hello", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port(l)))
	from := expect(t, l, "hello")
	l.origins.in[interface6Off-1] = 77
	l.origins.in[interface6Off-4] = 192 // 192.0.0.77
	l.origins.remember(from)
	send(t, l, "answer", from)
	expect(t, caller, "answer")
}
