//go:build !linux

package nat

import (
	"net"
	"net/netip"
)

// errorQueues: there are none here.
const errorQueues = false

func askForErrors(*net.UDPConn) {}

func takeError(*net.UDPConn) (to netip.AddrPort, err error, more bool) { return to, nil, false }
