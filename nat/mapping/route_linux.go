package mapping

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// defaultGateways are those of the IPv4 default routes.
func defaultGateways() []netip.Addr {
	f, err := os.Open("/proc/self/net/route")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseRoutes(f)
}

// parseRoutes reads the table as proc(5) has it: an interface a line, with
// destination, gateway, flags and, eighth, mask; addresses are in hexadecimal, in
// the machine's byte order.
func parseRoutes(r io.Reader) (gateways []netip.Addr) {
	for s := bufio.NewScanner(r); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 {
			continue
		}
		var octets [4]byte
		binary.NativeEndian.PutUint32(octets[:], binary.BigEndian.Uint32(b))
		if a := netip.AddrFrom4(octets); a.IsGlobalUnicast() && !slices.Contains(gateways, a) {
			gateways = append(gateways, a)
		}
	}
	return gateways
}
