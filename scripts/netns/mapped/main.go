// Command mapped has a gateway map a UDP port in one protocol, for
// scripts/netns.sh: it prints protocol and external address, waits for a word on
// the port, prints that, gives the mapping back and ends.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"securecall/nat/mapping"
)

func main() {
	if err := run(mapping.Protocol(os.Args[1])); err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func run(protocol mapping.Protocol) error {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	port := uint16(conn.LocalAddr().(*net.UDPAddr).Port)
	start := time.Now()
	p, err := mapping.Open(context.Background(), mapping.Config{
		Local:     netip.AddrPortFrom(netip.IPv4Unspecified(), port),
		Protocols: []mapping.Protocol{protocol},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	m := p.Mapping()
	fmt.Println(m.By, m.External.Addr(), m.External.Port(), time.Since(start).Milliseconds())
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, 100)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	fmt.Printf("heard %s\n", buf[:n])
	return nil
}
