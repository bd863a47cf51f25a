package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"securecall/call"
	"securecall/nat"
	"securecall/nat/mapping"
)

// far are addresses for documentation (RFC 5737, RFC 3849): the system tells from which of ours
// a packet to them would leave, and none does.
var far = [...]netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("[2001:db8::1]:9")}

// network looks at this machine alone.
func (d *checkup) network() (err error) {
	d.path, err = nat.Listen(d.ctx, d.bind)
	addrs := nat.LocalAddrs(d.bind)
	if err != nil {
		d.tell(addressesCheck(d.bind, addrs, true), failure("UDP port", err))
		return nil
	}
	d.tell(addressesCheck(d.bind, addrs, reaches(d.path, far[:]...)),
		check{label: "UDP port", what: fmt.Sprintf("%v can be used", d.path.LocalAddr())})
	return nil
}

// reaches reports whether there is a route to any of them from the path's address.
func reaches(path nat.Path, places ...netip.AddrPort) bool {
	for _, to := range places {
		if from := path.Source(to).Addr(); !from.IsUnspecified() && from.Is4() == to.Addr().Is4() {
			return true
		}
	}
	return false
}

// addressesCheck is about those at which somebody who listens at bind can be dialled. out: a
// route leads away from the machine's own networks.
func addressesCheck(bind netip.AddrPort, addrs []netip.AddrPort, out bool) check {
	k := check{label: "addresses"}
	var text []string
	v4, v6, public, inside := false, false, false, false
	for _, a := range addrs {
		addr := a.Addr()
		text = append(text, addr.String())
		v4, v6 = v4 || addr.Is4(), v6 || addr.Is6()
		inside = inside || addr.IsLoopback()
		public = public || !nat.IsPrivate(addr) && !addr.IsLoopback()
	}
	k.what = strings.Join(text, ", ")
	if !bind.Addr().IsUnspecified() {
		return k
	}
	switch {
	case inside || len(addrs) == 0:
		k.what, k.status = "none that another machine could reach", int(call.ReasonUnreachable)
		k.hint = "connect this machine to a network"
	case !out:
		k.doubt = true
		k.what += ": but no route leads out of the networks that they are in"
		k.hint = "calls within them work; for others the machine needs a default route, which most routers give by themselves"
	case !public:
		k.hint = "private: who is elsewhere calls by a code (--via), or by a port that the router forwards (--map)"
	}
	if bind.Addr().Is6() && (!v4 || !v6) && k.status == 0 {
		k.what += map[bool]string{true: "; no IPv6", false: "; no IPv4"}[v4]
	}
	return k
}

// router has a port forwarded, and gives that back.
func (d *checkup) router() error {
	if !d.mapPort || d.path == nil {
		return nil
	}
	var k check
	err := d.during("the router to forward a port", func(ctx context.Context) {
		port, err := mapping.Open(ctx, mapping.Config{Local: d.path.LocalAddr()})
		if err != nil {
			k = failure("port mapping", err)
			k.what = strings.ReplaceAll(err.Error(), "\n", "; ")
			return
		}
		k = mappingCheck(port.Mapping(), d.outside)
		port.Close()
	})
	if err == nil {
		d.tell(k)
	}
	return err
}

// mappingCheck is about what the router forwards; outside is where a STUN server sees us, and
// not valid where none has said.
func mappingCheck(m mapping.Mapping, outside netip.Addr) check {
	k := check{label: "port mapping", what: fmt.Sprintf("the router forwards %v to us (%s); it was given back", m.External, m.By)}
	if a := m.External.Addr(); nat.IsPrivate(a) || outside.IsValid() && outside != a {
		k.doubt = true
		k.what = fmt.Sprintf("the router forwards %v (%s), but another NAT is between it and the others", m.External, m.By)
		k.hint = "who is elsewhere calls by a code (--via); or the provider gives you a public address"
	}
	return k
}
