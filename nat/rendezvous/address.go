package rendezvous

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ErrAddress is what the error of an address is that no server can have.
var ErrAddress = errors.New("not the address of a rendezvous server")

// An Address is where a server is.
type Address struct {
	Host  string // a name, or an IP address without brackets
	Port  uint16
	Plain bool // ws://: without TLS
}

// ParseAddress reads HOST[:PORT], wss://HOST[:PORT] and ws://HOST[:PORT]. An
// IPv6 address stands in brackets. The port is 443, and 80 for ws.
func ParseAddress(s string) (Address, error) {
	bad := func(why string) (Address, error) { return Address{}, fmt.Errorf("%q: %w: %s", s, ErrAddress, why) }
	a := Address{Port: 443}
	rest := s
	if scheme, after, found := strings.Cut(s, "://"); found {
		switch scheme {
		case "wss":
		case "ws":
			a.Plain, a.Port = true, 80
		default:
			return bad("it begins with a host, wss:// or ws://")
		}
		rest = strings.TrimSuffix(after, "/")
	}
	a.Host = rest
	host, port, err := net.SplitHostPort(rest)
	switch {
	case strings.Contains(rest, "/"):
		return bad("after host and port comes nothing")
	case err == nil:
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return bad("ports are numbers from 1 to 65535")
		}
		a.Host, a.Port = host, uint16(n)
	case strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]"):
		a.Host = rest[1 : len(rest)-1]
	case strings.Contains(rest, ":"):
		return bad("an IPv6 address stands in brackets, and after the port comes nothing")
	}
	if a.Host == "" {
		return bad("no host")
	}
	if strings.ContainsFunc(a.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/@?#[]\\\"<>%^`{|}", r) }) {
		return bad("no host has such a name")
	}
	return a, nil
}

// String is what ParseAddress reads.
func (a Address) String() string {
	hostPort, scheme := net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))), ""
	if a.Plain {
		scheme = "ws://"
	}
	return scheme + hostPort
}

func (a Address) url() string {
	scheme := "wss://"
	if a.Plain {
		scheme = "ws://"
	}
	return scheme + net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) + path
}
