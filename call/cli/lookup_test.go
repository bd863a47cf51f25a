package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"securecall/nat"
)

// A name server that does not answer is said to be waited for, and no longer than --timeout.
func TestLookupIsWaitedFor(t *testing.T) {
	kept := net.DefaultResolver
	defer func() { net.DefaultResolver = kept }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	var b bytes.Buffer
	p := &phone{s: &settings{timeout: 2 * atOnce}, screen: &screen{results: &b, talk: &b, errors: &b}}
	_, err := p.lookup(t.Context(), "bob.example")
	var name *nat.NameError
	if !errors.As(err, &name) || name.Name != "bob.example" || diagnose(err).status != 13 {
		t.Errorf("%v", err)
	}
	if !strings.HasPrefix(b.String(), "looking up bob.example since ") {
		t.Errorf("said %q", &b)
	}

	// On a terminal the line that says so is taken away before what went wrong is told.
	var shown bytes.Buffer
	c := &console{w: &shown, terminal: true}
	live := &phone{s: &settings{timeout: 2 * atOnce}, screen: &screen{results: c, talk: c, errors: c, live: c}}
	_, err = live.lookup(t.Context(), "bob.example")
	_ = live.fail(err)
	if before, _, _ := strings.Cut(shown.String(), "securecall: "); !strings.Contains(before, "looking up bob.example") || !strings.HasSuffix(before, "\x1b[K") {
		t.Errorf("shown: %q", &shown)
	}

	// An interrupt ends the wait, and an address is none.
	p.s.timeout = time.Hour
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(2*atOnce, stop)
	if _, err := p.lookup(ctx, "bob.example"); !errors.Is(err, errInterrupted) {
		t.Errorf("%v", err)
	}
	b.Reset()
	if addrs, err := p.lookup(t.Context(), "192.0.2.7"); err != nil || len(addrs) != 1 || b.Len() > 0 {
		t.Errorf("%v, %v, said %q", addrs, err, &b)
	}
}
