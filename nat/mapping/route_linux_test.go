package mapping

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100010A	0003	0	0	0	00000000	0	0	0
eth1	00000000	0100010A	0003	0	0	9	00000000	0	0	0
tun0	00000000	00000000	0001	0	0	0	00000000	0	0	0
tun0	00000000	0100020A	0003	0	0	0	00000080	0	0	0
eth0	0000010A	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	00000000	nonsense	0003	0	0	0	00000000	0	0	0
short	00000000
`
	got := parseRoutes(strings.NewReader(table))
	if want := []netip.Addr{netip.MustParseAddr("10.1.0.1")}; !slices.Equal(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}
