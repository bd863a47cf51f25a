package call

import (
	"net/netip"
	"testing"

	"securecall/audio"
	"securecall/audio/device"
	"securecall/nat"
)

// Over real UDP: the first of two addresses refuses, which is told, and the call
// is with the other. 127.0.0.2 stands for an address where nobody listens.
func TestSecondAddressOverUDP(t *testing.T) {
	none := func() (audio.Source, error) { return device.OpenSource("none", device.Options{}) }
	deaf := func() (audio.Sink, error) { return device.OpenSink("none", device.Options{}) }
	in, err := nat.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	bob, err := NewListener(Config{Mic: none, Speaker: deaf, AcceptAll: true, Once: true}, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	callee := make(chan Ended, 1)
	go func() { callee <- bob.Run(t.Context()) }()
	there := in.LocalAddr()
	nobody := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), there.Port())
	out, peers, err := nat.Dial(t.Context(), netip.AddrPort{}, nobody, there)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]netip.AddrPort{}
	var alice *Endpoint
	alice, err = NewDialer(Config{Mic: none, Speaker: deaf, OnEvent: func(_ int, e Event) {
		switch e := e.(type) {
		case Refused:
			told[e.Name()] = e.Addr
		case PathChanged:
			told[e.Name()] = e.Remote
			if e.Local != netip.AddrPortFrom(there.Addr(), out.LocalAddr().Port()) {
				t.Errorf("from %v", e.Local)
			}
		case Answered:
			alice.Do(0, Hangup)
		}
	}}, out, peers, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if r := alice.Run(t.Context()); r.Reason != ReasonNormal || told["refused"] != nobody || told["path"] != there {
		t.Errorf("ended with %v, %v; told %v", r.Reason, r.Err, told)
	}
	if r := <-callee; r.Reason != ReasonNormal {
		t.Errorf("Bob's ended with %v, %v", r.Reason, r.Err)
	}
}
