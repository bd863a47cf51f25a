//go:build !linux

package nat

import "syscall"

// elsewhere: no other error number stands for an ICMP message here.
var elsewhere []syscall.Errno
