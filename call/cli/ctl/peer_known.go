//go:build linux || darwin

package ctl

import (
	"fmt"
	"net"
)

// checkPeer refuses a connection whose other end is not of the user uid.
func checkPeer(conn *net.UnixConn, uid int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer int
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = peerUID(int(fd)) }); err != nil {
		return err
	}
	if peerErr != nil {
		return peerErr
	}
	if peer != uid {
		return fmt.Errorf("the other side is of another user (%d)", peer)
	}
	return nil
}
