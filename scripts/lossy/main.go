// Lossy is a network on which datagrams get lost. Whoever sends to its port is
// passed on to 127.0.0.1:PORT and gets the answers back; of what goes each way
// PERCENT are lost. Which ones, counted from the first of their direction,
// depends on the seed alone.
//
//	lossy PORT PERCENT SEED
//
// It prints "port N" and runs until it is ended.
package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lossy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: lossy PORT PERCENT SEED")
	}
	port, err := strconv.ParseUint(args[0], 10, 16)
	if err != nil {
		return fmt.Errorf("%s: no port", args[0])
	}
	percent, err := strconv.ParseFloat(args[1], 64)
	if err != nil || percent < 0 || percent > 100 {
		return fmt.Errorf("%s: no percentage", args[1])
	}
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return fmt.Errorf("%s: no seed", args[2])
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	front, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		return err
	}
	back, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, uint16(port))))
	if err != nil {
		return err
	}
	fmt.Println("port", front.LocalAddr().(*net.UDPAddr).Port)
	return relay(front, back, newLoss(percent, seed, 0), newLoss(percent, seed, 1))
}

// relay passes datagrams on from front to back, and from back to whoever sent
// to front last, until front is closed. What a socket refuses is lost as well.
func relay(front, back *net.UDPConn, there, home *loss) error {
	var caller atomic.Pointer[netip.AddrPort]
	go func() {
		defer front.Close()
		b := make([]byte, 65536)
		for {
			n, err := back.Read(b)
			if closed(err) {
				return
			}
			to := caller.Load()
			if err == nil && to != nil && !home.next() {
				_, _ = front.WriteToUDPAddrPort(b[:n], *to)
			}
		}
	}()
	defer back.Close()
	b := make([]byte, 65536)
	for {
		n, from, err := front.ReadFromUDPAddrPort(b)
		if closed(err) {
			return err
		}
		if err != nil {
			continue
		}
		caller.Store(&from)
		if !there.next() {
			_, _ = back.Write(b[:n])
		}
	}
}

// closed tells the end of a socket from what an ICMP message left on it.
func closed(err error) bool { return errors.Is(err, net.ErrClosed) }

// loss decides, datagram after datagram, in one direction.
type loss struct {
	percent float64
	random  *rand.Rand
}

func newLoss(percent float64, seed, direction uint64) *loss {
	return &loss{percent, rand.New(rand.NewPCG(seed, direction))}
}

// next says whether the next datagram is lost.
func (l *loss) next() bool { return l.random.Float64()*100 < l.percent }
