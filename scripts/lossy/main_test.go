package main

import (
	"net"
	"slices"
	"testing"
	"time"
)

func TestLoss(t *testing.T) {
	lost := func(seed, direction uint64) (which []int) {
		l := newLoss(15, seed, direction)
		for i := range 10_000 {
			if l.next() {
				which = append(which, i)
			}
		}
		return which
	}
	first := lost(1, 0)
	if n := len(first); n < 1400 || n > 1600 {
		t.Errorf("of 10000 datagrams %d are lost, not about 15 %%", n)
	}
	if !slices.Equal(first, lost(1, 0)) {
		t.Error("the same seed loses others")
	}
	if slices.Equal(first, lost(2, 0)) || slices.Equal(first, lost(1, 1)) {
		t.Error("another seed or direction loses the same")
	}
}

// What a caller sends arrives, and the answer comes back, but not what is lost.
func TestRelay(t *testing.T) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	callee, caller, front := listen(), listen(), listen()
	_ = front.SetDeadline(time.Time{})
	back, err := net.DialUDP("udp4", nil, callee.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	there := newLoss(50, 3, 0)
	go func() { ended <- relay(front, back, there, newLoss(0, 3, 1)) }()

	expect := newLoss(50, 3, 0)
	b := make([]byte, 100)
	for i := range 20 {
		if _, err := caller.WriteTo([]byte{byte(i)}, front.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if expect.next() {
			continue // the next that comes shows that this one did not
		}
		n, from, err := callee.ReadFrom(b)
		if err != nil || n != 1 || b[0] != byte(i) {
			t.Fatalf("datagram %d: %v, %v arrived", i, err, b[:n])
		}
		if _, err := callee.WriteTo([]byte{byte(i), 1}, from); err != nil {
			t.Fatal(err)
		}
		n, sender, err := caller.ReadFromUDPAddrPort(b)
		if err != nil || n != 2 || b[0] != byte(i) || sender != front.LocalAddr().(*net.UDPAddr).AddrPort() {
			t.Fatalf("answer %d: %v, %v from %v", i, err, b[:n], sender)
		}
	}
	front.Close()
	<-ended
	if _, err := back.Write([]byte{0}); err == nil {
		t.Error("the other socket is still open")
	}
}
