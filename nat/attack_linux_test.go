package nat

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Whoever writes a peer's address into a datagram to another address of ours
// does not decide from where a call that runs is sent on.
func TestOriginIsNotTurnedAside(t *testing.T) {
	l, err := Listen(t.Context(), netip.MustParseAddrPort("[::]:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.LocalAddr().Port()
	peer, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	b := make([]byte, 2048)
	send := func(to string) netip.AddrPort {
		t.Helper()
		if _, err := peer.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(to), port)); err != nil {
			t.Fatal(err)
		}
		_, from, err := l.ReadPacket(b)
		if err != nil {
			t.Fatal(err)
		}
		return from
	}
	answer := func(to netip.AddrPort) netip.Addr {
		t.Helper()
		if err := l.WritePacket([]byte("y"), to); err != nil {
			t.Fatal(err)
		}
		if err := peer.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, at, err := peer.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		return at.Addr()
	}
	from := send("127.0.0.1")
	heard := func(before time.Duration) {
		o := l.(*listening).origins
		o.mu.Lock()
		defer o.mu.Unlock()
		for s := range o.sets {
			for w := range o.sets[s] {
				o.sets[s][w].heard = o.sets[s][w].heard.Add(-before)
			}
		}
	}
	heard(-time.Hour) // however slow we are
	for range 3 {
		send("127.0.0.2") // spoofed, as far as anybody can tell
		if at := answer(from); at != netip.MustParseAddr("127.0.0.1") {
			t.Fatalf("the call's packet comes from %v, and a connected peer drops it", at)
		}
	}
	// A peer that has been silent there may have moved.
	heard(time.Hour + originQuiet)
	send("127.0.0.2")
	if at := answer(from); at != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("answered from %v", at)
	}
}

// ICMP messages come from routers, and from anybody: none of them keeps a
// datagram from being sent, or ends a path. (To write one takes root.)
func TestICMPDelaysNothing(t *testing.T) {
	raw, err := net.Dial("ip4:icmp", "127.0.0.1")
	if err != nil {
		t.Skipf("only root can write ICMP: %v", err)
	}
	defer raw.Close()
	l := mustListen(t, "127.0.0.1:0")
	p := mustDial(t, netip.AddrPort{}, l.LocalAddr())
	for _, code := range []byte{0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13} { // destination unreachable, RFC 1122
		for range 5 {
			for range 2 {
				if _, err := raw.Write(unreachable(code, p.LocalAddr().Port(), l.LocalAddr().Port())); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.WritePacket([]byte("speech"), l.LocalAddr()); err != nil {
				t.Errorf("code %d: %v", code, err)
			}
			expect(t, l, "speech")
		}
	}
	done := make(chan error, 1)
	go func() {
		b := make([]byte, 100)
		for {
			_, _, err := p.ReadPacket(b)
			if !errors.Is(err, ErrRefused) {
				done <- err
				return
			}
		}
	}()
	send(t, l, "answer", p.Source(l.LocalAddr()))
	if err := <-done; err != nil {
		t.Errorf("the reader ends with %v", err)
	}
}

// unreachable is an ICMP message about a datagram on loopback.
func unreachable(code byte, from, to uint16) []byte {
	m := make([]byte, 8+20+8)
	m[0], m[1] = 3, code
	ip, udp := m[8:], m[28:]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], 100)
	copy(ip[12:], []byte{127, 0, 0, 1})
	copy(ip[16:], []byte{127, 0, 0, 1})
	binary.BigEndian.PutUint16(udp, from)
	binary.BigEndian.PutUint16(udp[2:], to)
	binary.BigEndian.PutUint16(udp[4:], 80)
	sum := uint32(0)
	for i := 0; i < len(m); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(m[2:], ^uint16(sum))
	return m
}
