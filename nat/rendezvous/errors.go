package rendezvous

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// What is wrong with a server: the Kind of a *ServerError.
var (
	// ErrUnreachable: no such name, no route, nobody answers in time.
	ErrUnreachable = errors.New("unreachable")
	// ErrRefused: it is there and does not want us, now or at all.
	ErrRefused = errors.New("refused")
	// ErrNotTrusted: its certificate is not one that this machine trusts for
	// that name.
	ErrNotTrusted = errors.New("its certificate is not trusted")
	// ErrNotRendezvous: something answers that is no rendezvous.
	ErrNotRendezvous = errors.New("not a rendezvous")
	// ErrLost: the connection has ended.
	ErrLost = errors.New("the connection was lost")
	// ErrUnavailable: the server cannot reach what it shares with others.
	ErrUnavailable = errors.New("it cannot reach its other nodes")
)

// What is wrong with a code, or a name.
var (
	// ErrUnknown: there is no such mailbox: mistyped, or of another server.
	ErrUnknown = errors.New("no such code here")
	// ErrUsed: somebody has joined it before.
	ErrUsed = errors.New("the code was used")
	// ErrExpired: its time is over, or whoever waited has gone.
	ErrExpired = errors.New("the code has expired")
	// ErrLimit: the server lets this network, or all, have no more of it now.
	ErrLimit = errors.New("too many at this time")
)

// A ServerError is a server that cannot be used.
type ServerError struct {
	Server string
	Kind   error // ErrUnreachable, ErrRefused, …
	Err    error // what was the matter, in detail
}

func (e *ServerError) Error() string {
	text := fmt.Sprintf("rendezvous %s: %v", e.Server, e.Kind)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Anonymous is the same without the server's name and address.
func (e *ServerError) Anonymous() string { return fmt.Sprintf("the rendezvous server: %v", e.Kind) }

// Unwrap gives both Kind and Err.
func (e *ServerError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// dialError finds out what kind of failure err is. seen tells how far
// it came, response is what an HTTP server said.
func dialError(server string, seen *watch, response *http.Response, err error) error {
	e := &ServerError{Server: server, Kind: ErrUnreachable, Err: plain(err)}
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		timeout     net.Error
	)
	switch {
	case errors.As(err, &certificate):
		e.Kind, e.Err = ErrNotTrusted, certificate.Err
	case errors.As(err, &record):
		e.Kind, e.Err = ErrNotRendezvous, errors.New("it speaks no TLS")
	case response != nil:
		e.Kind, e.Err = ErrNotRendezvous, fmt.Errorf("it answers with HTTP status %d", response.StatusCode)
		switch response.StatusCode {
		case http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable:
			e.Kind = ErrRefused
		case http.StatusSwitchingProtocols:
			e.Err = errors.New("it speaks another protocol")
		}
	case !seen.connected.Load():
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Err = errors.New("it does not answer")
	case !seen.heard.Load():
		e.Kind, e.Err = ErrRefused, errors.New("it closed the connection without an answer")
	default:
		e.Kind = ErrNotRendezvous
	}
	return e
}

// plain is err without the names of calls and URLs around it.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return errors.New("there is no such name")
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return errors.New("it speaks no TLS")
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// codeError is what a reason of the server's means for who asked.
func codeError(reason string) error {
	switch reason {
	case reasonUnknown:
		return ErrUnknown
	case reasonUsed:
		return ErrUsed
	case reasonExpired:
		return ErrExpired
	case reasonLimit:
		return ErrLimit
	}
	return ErrUnavailable
}
