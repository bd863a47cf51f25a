package mapping

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// PCP's MAP opcode (RFC 6887, Sections 7 and 11). Options are neither sent nor
// read: none is needed to map a port.
const (
	pcpVersion = 2
	pcpPort    = 5351 // NAT-PMP's too
	opAnnounce = 0
	opMap      = 1
	isResponse = 0x80

	headerSize  = 24 // of requests and responses
	mapSize     = 36
	maxPCP      = 1100 // bytes of any message (Section 7)
	protocolUDP = 17   // of IANA's numbers
)

var (
	errNotPCP     = errors.New("not a PCP response to what was asked")
	errOldVersion = errors.New("the gateway knows no PCP")
)

// A nonce belongs to a mapping: only who has it changes the mapping or knows its
// answers (RFC 6887, Section 11.2).
type nonce [12]byte

// mapRequest asks for, renews or, with no lifetime, gives back a mapping.
type mapRequest struct {
	client   netip.Addr // the address that the request is sent from
	lifetime time.Duration
	nonce    nonce
	internal uint16
	external netip.AddrPort // suggested; not valid: any
}

// appendHeader appends that of a request (RFC 6887, Section 7.1).
func appendHeader(b []byte, op byte, client netip.Addr, lifetime time.Duration) []byte {
	b = append(b, pcpVersion, op, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(lifetime/time.Second))
	addr := client.As16()
	return append(b, addr[:]...)
}

func (r mapRequest) append(b []byte) []byte {
	b = appendHeader(b, opMap, r.client, r.lifetime)
	b = append(b, r.nonce[:]...)
	b = append(b, protocolUDP, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external.Port())
	suggested := netip.AddrFrom4([4]byte{}).As16() // "any" keeps the family: ::ffff:0.0.0.0
	if r.client.Is6() && !r.client.Is4In6() {
		suggested = [16]byte{}
	}
	if r.external.IsValid() {
		suggested = r.external.Addr().As16()
	}
	return append(b, suggested[:]...)
}

// mapResponse is what the gateway says. Only nonce and internal tell whether it is
// to our request.
type mapResponse struct {
	code     resultCode
	lifetime time.Duration // of the mapping, or of the error
	epoch    uint32        // seconds since the gateway lost its mappings
	nonce    nonce
	internal uint16
	external netip.AddrPort
}

// parseHeader takes that of a response to op (RFC 6887, Section 7.2). The error is
// errOldVersion for a gateway that speaks NAT-PMP alone.
func parseHeader(b []byte, op byte, least int) (mapResponse, error) {
	switch {
	case len(b) >= 4 && b[0] == 0 && b[1]&isResponse != 0:
		return mapResponse{}, errOldVersion // RFC 6886, Section 3.5, and RFC 6887, Section 9
	case len(b) < least || len(b) > maxPCP || len(b)%4 != 0, b[0] != pcpVersion, b[1] != isResponse|op:
		return mapResponse{}, errNotPCP
	}
	return mapResponse{
		code:     resultCode(b[3]),
		lifetime: time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second,
		epoch:    binary.BigEndian.Uint32(b[8:]),
	}, nil
}

// parseMapResponse takes a response to MAP for UDP, with or without options
// behind it.
func parseMapResponse(b []byte) (mapResponse, error) {
	r, err := parseHeader(b, opMap, headerSize+mapSize)
	if err != nil {
		return r, err
	}
	b = b[headerSize:]
	copy(r.nonce[:], b)
	if b[12] != protocolUDP {
		return mapResponse{}, errNotPCP
	}
	r.internal = binary.BigEndian.Uint16(b[16:])
	r.external = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[20:36])).Unmap(), binary.BigEndian.Uint16(b[18:]))
	return r, nil
}

// resultCode is PCP's (RFC 6887, Section 7.4).
type resultCode uint8

func (c resultCode) Error() string {
	names := [...]string{
		"success", "unsupported version", "not authorized", "malformed request", "unsupported opcode",
		"unsupported option", "malformed option", "network failure", "no resources", "unsupported protocol",
		"quota exceeded", "cannot provide the external port", "there is another NAT before the gateway",
		"too many remote peers",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("result %d", uint8(c))
}
