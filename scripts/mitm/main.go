// Mitm is a man in the middle, to be put between two securecalls: whoever dials
// its port is passed on to ADDR, through a ZRTP exchange with either side in the
// name of the other. Both get a call, and hear one another; he hears all of it.
//
//	mitm ADDR:PORT
//
// It prints "port N", then "towards the caller: WORDS" and "towards the callee:
// WORDS", the SAS that either shows, and how much speech he has heard. What the
// two people can do about him is in SECURITY.md.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"

	"securecall/scripts/mitm/between"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mitm ADDR:PORT")
		os.Exit(2)
	}
	target, err := netip.ParseAddrPort(os.Args[1])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		err = between.Run(ctx, target, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mitm:", err)
		os.Exit(1)
	}
}
