//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package nat

import "net"

// expedite does nothing here: Windows leaves the mark to its administrator's
// policy, whatever a program asks for.
func expedite(*net.UDPConn) {}
