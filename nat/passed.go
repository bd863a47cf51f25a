package nat

import "net"

// Passed is the path of Listen over a socket that somebody else has bound, such as a service
// manager. The path closes it. The error is a *BindError, and leaves the socket open.
func Passed(conn *net.UDPConn) (Path, error) {
	bind := localAddr(conn)
	socket, err := newSocket(conn)
	if err != nil {
		return nil, newBindError(bind, err)
	}
	enlarge(conn)
	expedite(conn)
	return listenOn(socket, bind), nil
}
