package mapping

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
	"github.com/huin/goupnp/soap"
)

const (
	maxDocument = 256 << 10 // bytes of XML that a gateway may send at once
	fetchTime   = 3 * time.Second

	// Errors of AddPortMapping (WANIPConnection:1, Section 2.4.16).
	conflict      = "718" // the external port is another machine's
	permanentOnly = "725"
)

var (
	ssdpGroup = &net.UDPAddr{IP: net.IPv4(239, 255, 255, 250), Port: 1900}

	errElsewhere = errors.New("the gateway refers to another machine")
	errNoService = errors.New("it is no Internet gateway")
)

// wanConnection is what WANIPConnection:1, :2 and WANPPPConnection:1 have in
// common.
type wanConnection interface {
	AddPortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string, internalPort uint16,
		internalClient string, enabled bool, description string, leaseDuration uint32) error
	DeletePortMappingCtx(ctx context.Context, remoteHost string, externalPort uint16, protocol string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
}

// upnp is a gateway that speaks UPnP. The library reads its description and calls
// it; searching is ours, since the library's search fetches whatever any machine
// of the network names, and writes what it does not understand to the terminal.
type upnp struct {
	server netip.Addr
	local  netip.AddrPort

	service  wanConnection
	internal netip.Addr // ours, as the gateway sees it
	external uint16     // what we have; 0: nothing
}

func (*upnp) protocol() Protocol { return UPnP }

// find searches by multicast, as routers expect, and hears only the gateway.
func (u *upnp) find(ctx context.Context) error {
	probe, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(u.server, uint16(ssdpGroup.Port))))
	if err != nil {
		return err
	}
	internal := probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	probe.Close()
	if a := u.local.Addr(); a.IsValid() && !a.IsUnspecified() {
		internal = a
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: internal.AsSlice()})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	for version := 1; version <= 2; version++ {
		search := fmt.Sprintf("M-SEARCH * HTTP/1.1\r\nHOST: %v\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:%d\r\n\r\n", ssdpGroup, version)
		for range 2 { // multicast has no retransmission
			if _, err := conn.WriteToUDP([]byte(search), ssdpGroup); err != nil {
				return cause(ctx, err)
			}
		}
	}
	failed := errNoService
	seen := make(map[string]bool)
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), failed)
		}
		if err != nil {
			return err
		}
		location := u.location(from.Addr().Unmap(), buf[:n])
		if location == nil || seen[location.String()] || len(seen) > 3 {
			continue
		}
		seen[location.String()] = true
		if u.service, failed = u.describe(ctx, location); failed == nil {
			u.internal = internal
			return nil
		}
	}
}

// location is where a search's response says that the gateway's description is;
// nil if that is not at the gateway, or it is no such response.
func (u *upnp) location(from netip.Addr, b []byte) *url.URL {
	if from != u.server {
		return nil
	}
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil
	}
	defer r.Body.Close()
	at, err := url.Parse(r.Header.Get("Location"))
	if r.StatusCode != http.StatusOK || err != nil || !u.owns(at) {
		return nil
	}
	return at
}

// owns reports whether an address of the web is the gateway's.
func (u *upnp) owns(at *url.URL) bool {
	addr, err := netip.ParseAddr(at.Hostname())
	return err == nil && addr == u.server && at.Scheme == "http" && at.User == nil
}

// RoundTrip goes to the gateway alone, and brings back only so much.
func (u *upnp) RoundTrip(r *http.Request) (*http.Response, error) {
	if !u.owns(r.URL) {
		return nil, errElsewhere
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxDocument), response.Body}
	}
	return response, err
}

func (u *upnp) web() *http.Client { return &http.Client{Transport: u, Timeout: fetchTime} }

// describe reads the description and finds the service that maps ports.
func (u *upnp) describe(ctx context.Context, at *url.URL) (wanConnection, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := u.web().Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	root := new(goupnp.RootDevice)
	decoder := xml.NewDecoder(response.Body)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	if err := decoder.Decode(root); err != nil {
		return nil, err
	}
	base := at
	if root.URLBaseStr != "" {
		if base, err = url.Parse(root.URLBaseStr); err != nil {
			return nil, err
		}
	}
	root.SetURLBase(base)
	// The first service of the best kind.
	if all, err := internetgateway2.NewWANIPConnection2ClientsFromRootDevice(root, at); err == nil && len(all) > 0 {
		return all[0], u.confine(&all[0].ServiceClient)
	}
	if all, err := internetgateway2.NewWANIPConnection1ClientsFromRootDevice(root, at); err == nil && len(all) > 0 {
		return all[0], u.confine(&all[0].ServiceClient)
	}
	if all, err := internetgateway2.NewWANPPPConnection1ClientsFromRootDevice(root, at); err == nil && len(all) > 0 {
		return all[0], u.confine(&all[0].ServiceClient)
	}
	return nil, errNoService
}

// confine has a service called at the gateway alone.
func (u *upnp) confine(c *goupnp.ServiceClient) error {
	if !u.owns(&c.SOAPClient.EndpointURL) {
		return errElsewhere
	}
	c.SOAPClient.HTTPClient = *u.web()
	return nil
}

func (u *upnp) ask(ctx context.Context, lifetime time.Duration) (grant, error) {
	if lifetime == 0 {
		if u.external == 0 {
			return grant{}, nil
		}
		return grant{}, u.service.DeletePortMappingCtx(ctx, "", u.external, "UDP")
	}
	text, err := u.service.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return grant{}, err
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return grant{}, fmt.Errorf("the gateway gave an address that is none: %q", text)
	}
	// The same port outside, or the one that we have; where that is another
	// machine's, a few others.
	port := u.local.Port()
	if u.external != 0 {
		port = u.external
	}
	lease := uint32(lifetime / time.Second)
	for try := 0; ; try++ {
		err := u.service.AddPortMappingCtx(ctx, "", port, "UDP", u.local.Port(), u.internal.String(), true, "securecall", lease)
		switch {
		case err == nil:
			u.external = port
			return grant{netip.AddrPortFrom(addr, port), lifetime}, nil
		case errorCode(err) == permanentOnly && lease != 0:
			lease = 0 // until it is given back, or the router restarts
		case errorCode(err) == conflict && try < 4:
			port = port*31 + 1031 | 1024 // spread, and not privileged
		default:
			return grant{}, err
		}
	}
}

// errorCode is what the gateway gave for a reason; empty: it gave none.
func errorCode(err error) string {
	var fault *soap.SOAPFaultError
	if !errors.As(err, &fault) {
		return ""
	}
	return fmt.Sprint(fault.Detail.UPnPError.Errorcode)
}
