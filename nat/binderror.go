package nat

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// A BindError is a local address that cannot be used.
type BindError struct {
	Network string // UDP or TCP
	Addr    netip.AddrPort
	Err     error  // the system's
	Hint    string // what a person can do about it; may be empty
}

func (e *BindError) Error() string {
	return fmt.Sprintf("cannot use %s %v: %v", e.Network, e.Addr, e.Err)
}
func (e *BindError) Unwrap() error { return e.Err }

// Anonymous is the same without the address.
func (e *BindError) Anonymous() string {
	return fmt.Sprintf("cannot use %s port %d: %v", e.Network, e.Addr.Port(), e.Err)
}

func newBindError(addr netip.AddrPort, err error) *BindError { return NewBindError("UDP", addr, err) }

// NewBindError explains the system's refusal of an address.
func NewBindError(network string, addr netip.AddrPort, err error) *BindError {
	e := &BindError{Network: network, Addr: addr, Err: cause(err)}
	switch {
	case anyOf(err, syscall.EADDRINUSE, wsaEADDRINUSE):
		e.Hint = fmt.Sprintf("another program has port %d: end it, or choose another port", addr.Port())
	case anyOf(err, syscall.EADDRNOTAVAIL, wsaEADDRNOTAVAIL):
		e.Hint = fmt.Sprintf("this machine has no address %v", addr.Addr())
	case anyOf(err, syscall.EACCES, syscall.EPERM, wsaEACCES) && addr.Port() > 0 && addr.Port() < 1024:
		e.Hint = "ports below 1024 are for privileged users: choose one above"
	case noFamily(err):
		e.Hint = "this machine has no network of that address family"
	}
	return e
}

// cause is the system's error without the names of calls around it.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
