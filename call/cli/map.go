package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"securecall/call"
	"securecall/nat/mapping"
)

// A remappedError is that the router forwards another port.
type remappedError struct{ at netip.AddrPort }

func (e *remappedError) Error() string {
	return fmt.Sprintf("%s: the other side types securecall dial %s", e.Anonymous(), e.at)
}

// Anonymous is the same without our address.
func (e *remappedError) Anonymous() string { return "the router forwards another port now" }

var errMappingLost = errors.New("the router no longer forwards the port")

// mapPort has the router forward the port of local to us, and tells if that changes.
func mapPort(ctx context.Context, local netip.AddrPort, q *queue) (*mapping.Port, error) {
	port, err := mapping.Open(ctx, mapping.Config{
		Local: local,
		OnChange: func(m mapping.Mapping) {
			fault := call.Fault{Err: errMappingLost, Hint: "it is asked for again; those who are in a call notice nothing"}
			if m.External.IsValid() {
				fault = call.Fault{Err: &remappedError{m.External}}
			}
			q.put(0, fault)
		},
	})
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	return port, err
}
