package nat_test

import (
	"context"
	"fmt"
	"net/netip"

	"securecall/nat"
)

// Bob listens at any free port, Alice finds a way to him, and a datagram goes there and back.
func Example() {
	ctx := context.Background()
	bob, err := nat.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		panic(err)
	}
	defer bob.Close()

	alice, peers, err := nat.Dial(ctx, netip.AddrPort{}, bob.LocalAddr())
	if err != nil {
		panic(err)
	}
	defer alice.Close()
	if err := alice.WritePacket([]byte("hello"), peers[0]); err != nil {
		panic(err)
	}

	var b [1500]byte
	n, from, err := bob.ReadPacket(b[:])
	if err != nil {
		panic(err)
	}
	fmt.Printf("Bob reads %q\n", b[:n])
	if err := bob.WritePacket([]byte("and to you"), from); err != nil {
		panic(err)
	}
	if n, _, err = alice.ReadPacket(b[:]); err != nil {
		panic(err)
	}
	fmt.Printf("Alice reads %q\n", b[:n])
	// Output:
	// Bob reads "hello"
	// Alice reads "and to you"
}

// A peer is a host, with a port or without.
func ExampleResolve() {
	for _, peer := range []string{"192.0.2.7", "192.0.2.7:6000", "2001:db8::7", "[2001:db8::7]:6000"} {
		addrs, err := nat.Resolve(context.Background(), peer, nat.DefaultPort)
		fmt.Println(addrs, err)
	}
	// Output:
	// [192.0.2.7:5004] <nil>
	// [192.0.2.7:6000] <nil>
	// [[2001:db8::7]:5004] <nil>
	// [[2001:db8::7]:6000] <nil>
}
