package nat

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	for s, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1:5004",
		"192.0.2.1:1":             "192.0.2.1:1",
		"192.0.2.1:65535":         "192.0.2.1:65535",
		"[2001:db8::1]":           "[2001:db8::1]:5004",
		"[2001:db8::1]:6000":      "[2001:db8::1]:6000",
		"2001:db8::1":             "[2001:db8::1]:5004",
		"[fe80::1%eth0]:6000":     "[fe80::1%eth0]:6000",
		"[::ffff:192.0.2.1]:6000": "192.0.2.1:6000",
	} {
		got, err := Resolve(ctx, s, DefaultPort)
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%s: %v, %v; want %s", s, got, err, want)
		}
	}
	// From /etc/hosts, in the system's order.
	got, err := Resolve(ctx, "localhost:7000", DefaultPort)
	if err != nil || len(got) == 0 || !got[0].Addr().IsLoopback() || got[0].Port() != 7000 {
		t.Errorf("localhost: %v, %v", got, err)
	}
	for i, a := range got {
		if slices.Contains(got[:i], a) {
			t.Errorf("localhost: %v repeats", a)
		}
	}
}

func TestResolveStrict(t *testing.T) {
	for _, s := range []string{
		"", ":5004", "host:", "host:0", "host:65536", "host:+1", "host:-1", "host:05004", "host:0x10", "host:5004x", "host: 5004",
		"host:99999999999999999999", "host:sip", "a:b:c", "2001:db8::g", "[2001:db8::1", "[2001:db8::1]5004", "[2001:db8::1]:",
		"[192.0.2.1]:5004", "[host]:5004", "[]", "a b", "host\x1b[2J", "user@host", "zrtp://host", "host/path:1",
	} {
		if got, err := Resolve(ctx, s, DefaultPort); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v, %v; want ErrAddress", s, got, err)
		}
	}
}

func TestNameError(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := Resolve(cancelled, "no-such-host.invalid", DefaultPort) // RFC 2606, Section 2
	var name *NameError
	if !errors.As(err, &name) || name.Name != "no-such-host.invalid" || !strings.Contains(err.Error(), `"no-such-host.invalid"`) {
		t.Errorf("%v", err)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"host", "host:5004", "[::1]:1", "::1", "[::1%a]", "1.2.3.4:5", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, err := splitHostPort(s, DefaultPort)
		if err != nil {
			return
		}
		if host == "" || port == 0 {
			t.Fatalf("%q: host %q, port %d", s, host, port)
		}
		if strings.ContainsAny(host, "\x00\x1b\n ") {
			t.Fatalf("%q: host %q", s, host)
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			// What it takes for an address reads the same once written out.
			ap := netip.AddrPortFrom(addr, port)
			again, portAgain, err := splitHostPort(ap.String(), 1)
			if err != nil || portAgain != port || netip.MustParseAddr(again) != addr {
				t.Fatalf("%q: %v reads as %q, %d, %v", s, ap, again, portAgain, err)
			}
		}
	})
}

func TestLocalAddrs(t *testing.T) {
	bound := addrPort("192.0.2.7:6000")
	if got := LocalAddrs(bound); !slices.Equal(got, []netip.AddrPort{bound}) {
		t.Errorf("%v", got)
	}
	got := LocalAddrs(addrPort("[::]:5004"))
	if len(got) == 0 {
		t.Error("no address at all")
	}
	for _, a := range got {
		if a.Port() != 5004 || a.Addr().IsUnspecified() || a.Addr().IsLinkLocalUnicast() {
			t.Errorf("%v is not one to dial", a)
		}
	}
}

func TestDialable(t *testing.T) {
	for _, test := range []struct{ bind, have, want string }{
		{
			"[::]:5004",
			"127.0.0.1 ::1 fe80::1 fd00::1 192.168.1.2 2001:db8::1 203.0.113.1 100.64.0.9 169.254.1.1 192.168.1.2",
			"203.0.113.1:5004 [2001:db8::1]:5004 192.168.1.2:5004 100.64.0.9:5004 [fd00::1]:5004",
		},
		{"0.0.0.0:6000", "127.0.0.1 ::1 10.0.0.1 2001:db8::1", "10.0.0.1:6000"},
		{"[::]:5004", "127.0.0.1 ::1 fe80::1", "127.0.0.1:5004 [::1]:5004"},
		{"0.0.0.0:5004", "127.0.0.1 ::1", "127.0.0.1:5004"},
		{"[::]:5004", "", ""},
	} {
		var have []netip.Addr
		for s := range strings.FieldsSeq(test.have) {
			have = append(have, netip.MustParseAddr(s))
		}
		var got []string
		for _, a := range dialable(addrPort(test.bind), have) {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s, %s:\n got %s\nwant %s", test.bind, test.have, strings.Join(got, " "), test.want)
		}
	}
}
