package mapping

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"
	"time"
)

var (
	client   = netip.MustParseAddr("10.1.0.2")
	external = netip.MustParseAddrPort("198.51.100.1:40001")
	mine     = nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
)

// respond builds a response as RFC 6887, Sections 7.2 and 11.1, have it.
func respond(code resultCode, lifetime uint32, n nonce, internal uint16, ext netip.AddrPort) []byte {
	b := []byte{pcpVersion, isResponse | opMap, 0, byte(code)}
	b = binary.BigEndian.AppendUint32(b, lifetime)
	b = binary.BigEndian.AppendUint32(b, 77)
	b = append(b, make([]byte, 12)...)
	b = append(b, n[:]...)
	b = append(b, protocolUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, internal)
	b = binary.BigEndian.AppendUint16(b, ext.Port())
	addr := ext.Addr().As16()
	return append(b, addr[:]...)
}

// RFC 6887, Sections 7.1 and 11.1.
func TestMapRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		r    mapRequest
		want string
	}{
		{
			"new",
			mapRequest{client, 20 * time.Minute, mine, 5004, netip.AddrPort{}},
			"02010000" + "000004b0" + "00000000000000000000ffff0a010002" +
				"0102030405060708090a0b0c" + "11000000" + "138c" + "0000" + "00000000000000000000ffff00000000",
		},
		{
			"again",
			mapRequest{client, 20 * time.Minute, mine, 5004, external},
			"02010000" + "000004b0" + "00000000000000000000ffff0a010002" +
				"0102030405060708090a0b0c" + "11000000" + "138c" + "9c41" + "00000000000000000000ffffc6336401",
		},
	} {
		if got := hex.EncodeToString(c.r.append(nil)); got != c.want {
			t.Errorf("%s:\n%s, not\n%s", c.name, got, c.want)
		}
	}
}

func TestMapResponse(t *testing.T) {
	good := respond(0, 1200, mine, 5004, external)
	got, err := parseMapResponse(good)
	want := mapResponse{0, 20 * time.Minute, 77, mine, 5004, external}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := parseMapResponse(append(bytes.Clone(good), 1, 0, 0, 0)); err != nil || got != want {
		t.Errorf("with an option: %+v, %v", got, err)
	}
	if got, err := parseMapResponse(respond(8, 30, mine, 5004, external)); err != nil || got.code.Error() != "no resources" {
		t.Errorf("an error: %+v, %v", got, err)
	}
	change := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty":              nil,
		"cut off":            good[:len(good)-4],
		"of an odd length":   append(bytes.Clone(good), 0),
		"too long":           append(bytes.Clone(good), make([]byte, maxPCP)...),
		"another version":    change(0, 3),
		"a request":          change(1, opMap),
		"another opcode":     change(1, isResponse|2),
		"another protocol":   change(headerSize+12, 6),
		"an announcement":    change(1, isResponse),
		"NAT-PMP's, cut off": {0, 0x81},
	} {
		if r, err := parseMapResponse(b); !errors.Is(err, errNotPCP) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := parseMapResponse([]byte{0, 0x81, 0, 1, 0, 0, 0, 9}); !errors.Is(err, errOldVersion) {
		t.Errorf("NAT-PMP's: %v", err)
	}
}

func FuzzMapResponse(f *testing.F) {
	f.Add(respond(0, 1200, mine, 5004, external))
	f.Add(respond(200, 1, nonce{}, 0, netip.MustParseAddrPort("[2001:db8::1]:1")))
	f.Add([]byte{0, 0x81, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseMapResponse(b)
		if err != nil {
			return
		}
		_ = r.code.Error()
		again, err := parseMapResponse(respond(r.code, uint32(r.lifetime/time.Second), r.nonce, r.internal, r.external))
		again.epoch = r.epoch
		if err != nil || again != r {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
		if g, err := (grant{r.external, r.lifetime}).check(); err == nil && (g.lifetime < leastGrant || g.lifetime > mostGrant) {
			t.Errorf("%v", g)
		}
	})
}
