package mapping

import (
	"context"
	"net/netip"
	"time"

	natpmp "github.com/jackpal/go-nat-pmp"
)

// natPMP is a gateway that speaks NAT-PMP. The library drops what comes from other
// addresses than the gateway's.
type natPMP struct {
	server netip.Addr
	port   uint16

	external uint16 // what we have: to be suggested when renewing
}

func (*natPMP) protocol() Protocol { return NATPMP }

// client is the library's, which knows no context but a time.
func (n *natPMP) client(ctx context.Context) *natpmp.Client {
	timeout := giveUpAfter
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline), time.Millisecond)
	}
	return natpmp.NewClientWithTimeout(n.server.AsSlice(), timeout)
}

// find asks for the external address.
func (n *natPMP) find(ctx context.Context) error {
	client, failed := n.client(ctx), make(chan error, 1)
	go func() {
		_, err := client.GetExternalAddress()
		failed <- err
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask waits for the library: what it maps must not be forgotten.
func (n *natPMP) ask(ctx context.Context, lifetime time.Duration) (grant, error) {
	client := n.client(ctx)
	if lifetime == 0 {
		_, err := client.AddPortMapping("udp", int(n.port), 0, 0)
		return grant{}, err
	}
	suggested := n.external
	if suggested == 0 {
		suggested = n.port
	}
	got, err := client.AddPortMapping("udp", int(n.port), int(suggested), int(lifetime/time.Second))
	if err != nil {
		return grant{}, err
	}
	addr, err := client.GetExternalAddress()
	if err != nil {
		return grant{}, err
	}
	n.external = got.MappedExternalPort
	return grant{
		netip.AddrPortFrom(netip.AddrFrom4(addr.ExternalIPAddress), got.MappedExternalPort),
		time.Duration(got.PortMappingLifetimeInSeconds) * time.Second,
	}, nil
}
