// Flood sends Hellos to a listener on loopback, each from another address of
// 127.0.0.0/8, with another ZID, hash image and SSRC, and says what came back:
//
//	flood 127.0.0.1:PORT COUNT A_SECOND
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"securecall/crypto/zrtp/wire"
)

// open is how many of the latest senders still hear what is answered.
const open = 500

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: flood 127.0.0.1:PORT COUNT A_SECOND")
	}
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	rate, err := strconv.Atoi(args[2])
	if err != nil || rate < 1 {
		return fmt.Errorf("%s: not a rate", args[2])
	}

	var sent, answered atomic.Int64 // octets
	var senders [open]*net.UDPConn
	began := time.Now()
	for i := range count {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		if old := senders[i%open]; old != nil {
			old.Close()
		}
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: source(i)}, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		senders[i%open] = c
		go func() {
			b := make([]byte, 2048)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				answered.Add(int64(n))
			}
		}()
		n, err := c.Write(hello())
		if err != nil {
			return err
		}
		sent.Add(int64(n))
	}
	took := time.Since(began)
	time.Sleep(time.Second) // for what is still answered
	fmt.Printf("hellos %d seconds %.1f sent %d answered %d ratio %.2f\n",
		count, took.Seconds(), sent.Load(), answered.Load(), float64(answered.Load())/float64(sent.Load()))
	return nil
}

// source is one of 2^23 addresses, none of them 127.0.0.x.
func source(i int) net.IP {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 127<<24|1<<23|uint32(i)&(1<<23-1))
	return ip[:]
}

func hello() []byte {
	m := wire.Hello{
		Version:       [4]byte([]byte("1.10")),
		Client:        [16]byte([]byte("flood           ")),
		Hashes:        []wire.Name{{'S', '2', '5', '6'}},
		Ciphers:       []wire.Name{{'A', 'E', 'S', '1'}},
		Auths:         []wire.Name{{'H', 'S', '8', '0'}},
		KeyAgreements: []wire.Name{{'X', '2', '5', '5'}, {'D', 'H', '3', 'k'}},
		SASTypes:      []wire.Name{{'B', '3', '2', ' '}},
	}
	var ssrc [4]byte
	for _, b := range [][]byte{m.H3[:], m.ZID[:], m.MAC[:], ssrc[:]} {
		rand.Read(b)
	}
	return wire.AppendPacket(nil, 1, binary.BigEndian.Uint32(ssrc[:]), m.Append(nil))
}
