package cli

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"securecall/nat"
)

// reach finds the peer that a person typed and opens a path to it. There is
// one kind of peer for now, a host, and host: may say so.
func reach(ctx context.Context, bind netip.AddrPort, typed string) (nat.Path, netip.AddrPort, error) {
	addrs, err := nat.Resolve(ctx, strings.TrimPrefix(typed, "host:"), nat.DefaultPort)
	if ctx.Err() != nil {
		return nil, netip.AddrPort{}, errInterrupted
	}
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	// A name can have addresses of a family that this machine has no network
	// of: the first that there is a way to.
	for _, a := range addrs {
		path, dialErr := nat.Dial(ctx, bind, a)
		if dialErr == nil {
			return path, a, nil
		}
		err = dialErr
		if !errors.Is(err, nat.ErrNoRoute) {
			break
		}
	}
	return nil, netip.AddrPort{}, err
}
