//go:build unix

package main

import (
	"net"
	"net/netip"
	"time"
)

// A line is a UDP path of a given delay between one caller, who sends to
// addr, and a listener. Nothing is lost or reordered.
type line struct{ near, far *net.UDPConn }

func newLine(to string, delay time.Duration) (*line, error) {
	addr, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, err
	}
	near, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	far, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		near.Close()
		return nil, err
	}
	l := &line{near, far}
	caller := make(chan netip.AddrPort, 1)
	go func() {
		first := true
		out := delayed(delay, func(b []byte) { _, _ = far.Write(b) })
		defer close(out)
		for {
			b := make([]byte, 2048)
			n, from, err := near.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			if first {
				caller <- from
				first = false
			}
			out <- datagram{b[:n], time.Now()}
		}
	}()
	go func() {
		var to netip.AddrPort
		out := delayed(delay, func(b []byte) { _, _ = near.WriteToUDPAddrPort(b, to) })
		defer close(out)
		for {
			b := make([]byte, 2048)
			n, err := far.Read(b)
			if err != nil {
				return
			}
			if !to.IsValid() { // nothing comes back before something went out
				to = <-caller
			}
			out <- datagram{b[:n], time.Now()}
		}
	}()
	return l, nil
}

type datagram struct {
	b    []byte
	came time.Time
}

// delayed passes on what is sent to the channel, each that much later, until
// the channel is closed.
func delayed(d time.Duration, pass func([]byte)) chan<- datagram {
	c := make(chan datagram, 1000)
	go func() {
		for p := range c {
			time.Sleep(time.Until(p.came.Add(d)))
			pass(p.b)
		}
	}()
	return c
}

func (l *line) addr() string { return l.near.LocalAddr().String() }

func (l *line) Close() {
	l.near.Close()
	l.far.Close()
}
