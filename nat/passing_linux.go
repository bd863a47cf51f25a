package nat

import "syscall"

// elsewhere: an ICMP "source host isolated".
var elsewhere = []syscall.Errno{syscall.ENONET}
