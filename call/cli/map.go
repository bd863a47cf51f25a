package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"securecall/call"
	"securecall/nat/mapping"
)

var errMappingLost = errors.New("the router no longer forwards the port")

// mapPort has the router forward the port of local to us, and tells if that changes.
func mapPort(ctx context.Context, local netip.AddrPort, q *queue) (*mapping.Port, error) {
	port, err := mapping.Open(ctx, mapping.Config{
		Local: local,
		OnChange: func(m mapping.Mapping) {
			fault := call.Fault{Err: errMappingLost, Hint: "it is asked for again; those who are in a call notice nothing"}
			if m.External.IsValid() {
				fault = call.Fault{Err: fmt.Errorf("the router forwards another port now: the other side types securecall dial %s", m.External)}
			}
			q.put(0, fault)
		},
	})
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	return port, err
}
