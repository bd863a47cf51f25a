package mapping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// firstWait is until a request is repeated; then twice that, and so on (RFC 6887,
// Section 8.1.1, without its random tenth: there is one request at a time).
const firstWait = 3 * time.Second

// pcp is a gateway that speaks PCP.
type pcp struct {
	server netip.AddrPort
	local  netip.AddrPort
	nonce  nonce

	external netip.AddrPort // what we have: to be suggested when renewing
}

func newPCP(random io.Reader, server, local netip.AddrPort) (*pcp, error) {
	p := &pcp{server: server, local: local}
	if _, err := io.ReadFull(random, p.nonce[:]); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	return p, nil
}

func (*pcp) protocol() Protocol { return PCP }

func (p *pcp) find(ctx context.Context) error {
	return p.exchange(ctx, func(client netip.Addr) []byte { return appendHeader(nil, opAnnounce, client, 0) },
		func(b []byte) (bool, error) {
			r, err := parseHeader(b, opAnnounce, headerSize)
			switch {
			case errors.Is(err, errOldVersion):
				return true, err
			case err != nil:
				return false, nil
			case r.code != 0:
				return true, r.code
			}
			return true, nil
		})
}

func (p *pcp) ask(ctx context.Context, lifetime time.Duration) (got grant, err error) {
	err = p.exchange(ctx, func(client netip.Addr) []byte {
		return mapRequest{client, lifetime, p.nonce, p.local.Port(), p.external}.append(nil)
	}, func(b []byte) (bool, error) {
		r, err := parseMapResponse(b)
		switch {
		case errors.Is(err, errOldVersion):
			return true, err
		case err != nil || r.nonce != p.nonce || r.internal != p.local.Port():
			return false, nil
		case r.code != 0:
			return true, r.code
		}
		p.external = r.external
		got = grant{r.external, r.lifetime}
		return true, nil
	})
	return got, err
}

// exchange sends a request until accept has had the response. It does so over a
// connected socket: the system drops what others than the gateway send.
func (p *pcp) exchange(ctx context.Context, request func(client netip.Addr) []byte, accept func([]byte) (bool, error)) error {
	var d net.Dialer
	if a := p.local.Addr(); a.IsValid() && !a.IsUnspecified() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	conn, err := d.DialContext(ctx, "udp4", p.server.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	b := request(conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
	buf := make([]byte, maxPCP+1)
	for wait := firstWait; ; wait *= 2 {
		if _, err := conn.Write(b); err != nil {
			return cause(ctx, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return cause(ctx, err) // refused: nothing there
			}
			if done, err := accept(buf[:n]); done {
				return err
			}
		}
	}
}

// cause is the context's error where that closed the socket.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
