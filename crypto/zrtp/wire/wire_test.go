package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
)

// one of each message, every field with something in it.
func samples() []Message {
	fill := func(n int, with byte) []byte { return bytes.Repeat([]byte{with}, n) }
	return []Message{
		&Hello{
			Version: [4]byte{'1', '.', '1', '0'}, Client: [16]byte(fill(16, 'c')), H3: [32]byte(fill(32, 3)), ZID: ZID(fill(12, 9)),
			S: true, P: true, Hashes: []Name{S256, S384}, Ciphers: []Name{AES3, AES1}, Auths: []Name{HS80},
			KeyAgreements: []Name{X255, EC25, EC38, DH3k, Mult, Prsh, {'?', '?', '?', '?'}}, SASTypes: []Name{B256, B32}, MAC: MAC(fill(8, 1)),
		},
		&Hello{M: true},
		&HelloACK{},
		&Commit{H2: [32]byte(fill(32, 2)), ZID: ZID(fill(12, 8)), Hash: S256, Cipher: AES1, Auth: HS32, KeyAgreement: DH3k, SAS: B32, HVI: [32]byte(fill(32, 7)), MAC: MAC(fill(8, 2))},
		&Commit{KeyAgreement: XM76, HVI: [32]byte(fill(32, 7)), KEM: fill(1184, 3), MAC: MAC(fill(8, 2))},
		&SASrelay{MAC: [8]byte(fill(8, 1)), IV: [16]byte(fill(16, 2)), Encrypted: fill(40, 3)},
		&RelayACK{},
		&Commit{KeyAgreement: Mult, Nonce: [16]byte(fill(16, 5)), MAC: MAC(fill(8, 2))},
		&Commit{KeyAgreement: Prsh, Nonce: [16]byte(fill(16, 5)), KeyID: [8]byte(fill(8, 6)), MAC: MAC(fill(8, 2))},
		&DHPart{Part: 1, H1: [32]byte(fill(32, 1)), RS1ID: ID(fill(8, 1)), RS2ID: ID(fill(8, 2)), AuxID: ID(fill(8, 3)), PBXID: ID(fill(8, 4)), PV: fill(32, 0xee), MAC: MAC(fill(8, 3))},
		&DHPart{Part: 2, PV: fill(384, 0xdd)},
		&Confirm{Part: 1, MAC: [8]byte(fill(8, 4)), IV: [16]byte(fill(16, 5)), Encrypted: fill(40, 6)},
		&Confirm{Part: 2, Encrypted: fill(minEncrypted+4*maxSignature, 6)},
		&Conf2ACK{},
		&Error{Code: ErrorHVI},
		&ErrorACK{},
		&Ping{Version: [4]byte{'1', '.', '1', '0'}, EndpointHash: [8]byte(fill(8, 1))},
		&PingACK{Version: [4]byte{'1', '.', '1', '0'}, SenderEndpointHash: [8]byte(fill(8, 1)), ReceivedEndpointHash: [8]byte(fill(8, 2)), SSRC: 0x01020304},
		&Other{Kind: Type{'G', 'o', 'C', 'l', 'e', 'a', 'r', ' '}, Body: fill(8, 9)},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, m := range samples() {
		b := m.Append([]byte("before"))
		if !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("%s: overwrites what was there", m.Type())
		}
		got, err := Parse(b[len("before"):])
		if err != nil {
			t.Errorf("%s: %v", m.Type(), err)
			continue
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s: %+v became %+v", m.Type(), m, got)
		}
	}
}

// RFC 6189, Section 5.2: "a 16-bit length in 32-bit words. This length includes
// only the ZRTP message (including the preamble and the length) but not the ZRTP
// packet header or CRC". The figures say how many words each message has.
func TestLengths(t *testing.T) {
	want := map[Type]int{
		TypeHelloACK: 3, TypeConf2ACK: 3, TypeErrorACK: 3, TypeError: 4, TypePing: 6, TypePingACK: 9,
	}
	for _, m := range samples() {
		b := m.Append(nil)
		if words := int(binary.BigEndian.Uint16(b[2:])); words*4 != len(b) {
			t.Errorf("%s: %d words, %d octets", m.Type(), words, len(b))
		} else if want[m.Type()] != 0 && words != want[m.Type()] {
			t.Errorf("%s: %d words, the RFC's figure has %d", m.Type(), words, want[m.Type()])
		}
	}
	if n := len((&Commit{KeyAgreement: X255}).Append(nil)); n != 29*4 {
		t.Errorf("Commit in DH mode: %d octets", n)
	}
	if n := len((&Commit{KeyAgreement: Mult}).Append(nil)); n != 25*4 {
		t.Errorf("Commit in Multistream mode: %d octets", n)
	}
	if n := len((&Commit{KeyAgreement: Prsh}).Append(nil)); n != 27*4 {
		t.Errorf("Commit in Preshared mode: %d octets", n)
	}
	if n := len((&DHPart{PV: make([]byte, 384)}).Append(nil)); n != (21+96)*4 {
		t.Errorf("DHPart of DH3k: %d octets", n)
	}
}

// Every cut, and every word too many, is refused, but for the messages whose
// length is free: of those the fields that are left must still be all there.
func TestWrongLengths(t *testing.T) {
	set := func(b []byte) []byte {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4))
		return b
	}
	for _, m := range samples() {
		b := m.Append(nil)
		for n := range b {
			if _, err := Parse(b[:n]); err == nil {
				t.Errorf("%s: %d of %d octets are taken", m.Type(), n, len(b))
			}
		}
		if _, err := Parse(append(bytes.Clone(b), 0, 0, 0, 0)); err == nil {
			t.Errorf("%s: a word too many is taken", m.Type())
		}
		switch m := m.(type) {
		case *Other, *DHPart, *SASrelay:
			continue
		case *Confirm:
			if len(b) == 12+8+16+minEncrypted {
				if _, err := Parse(set(bytes.Clone(b[:len(b)-4]))); err == nil {
					t.Errorf("%s without its expiry is taken", m.Type())
				}
			}
			continue
		case *Commit:
			if m.KEM != nil {
				continue // of any whole number of words: the session checks it
			}
		}
		if _, err := Parse(set(append(bytes.Clone(b), 0, 0, 0, 0))); err == nil {
			t.Errorf("%s: a word too many that its length counts is taken", m.Type())
		}
		if len(b) > headerSize {
			if _, err := Parse(set(bytes.Clone(b[:len(b)-4]))); err == nil {
				t.Errorf("%s: a word too few that its length does not count is taken", m.Type())
			}
		}
	}
	for what, m := range map[string]Message{
		"a DHPart without pv":          &DHPart{Part: 1},
		"a DHPart larger than any":     &DHPart{Part: 2, PV: make([]byte, maxPV+4)},
		"a Confirm longer than 9 bits": &Confirm{Part: 1, Encrypted: make([]byte, minEncrypted+4*maxSignature+4)},
	} {
		if _, err := Parse(m.Append(nil)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// RFC 6189, Section 5.2: "All ZRTP messages begin with the preamble value 0x505a".
func TestPreamble(t *testing.T) {
	for _, m := range samples() {
		for at, want := range []byte{0x50, 0x5a} {
			b := m.Append(nil)
			if b[at] != want {
				t.Errorf("%s begins with %x", m.Type(), b[:2])
			}
			b[at] ^= 1
			if _, err := Parse(b); err == nil {
				t.Errorf("%s is taken with %x for its preamble", m.Type(), b[:2])
			}
		}
	}
}

// RFC 6189, Section 5.2, of each list in the figure: "(0 to 7 values)".
func TestHelloCounts(t *testing.T) {
	for field := range 5 {
		for count := 8; count <= 15; count++ {
			b := (&Hello{}).Append(nil)
			at := []int{77, 78, 78, 79, 79}[field]
			if field == 1 || field == 3 {
				b[at] |= byte(count << 4)
			} else {
				b[at] |= byte(count)
			}
			b = append(b[:80], append(bytes.Repeat([]byte("NAME"), count), b[80:]...)...)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4))
			if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("list %d with %d names: %v", field, count, err)
			}
		}
	}
}

func TestParsePacketRefuses(t *testing.T) {
	good := AppendPacket(nil, 7, 42, (&Hello{}).Append(nil))
	if p, err := ParsePacket(good); err != nil || p.Seq != 7 || p.SSRC != 42 {
		t.Fatalf("%+v, %v", p, err)
	}
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	// seal makes the CRC right again after a change.
	seal := func(b []byte) []byte {
		end := len(b) - 4
		binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"empty":           {nil, ErrNotZRTP},
		"RTP":             {with(func(b []byte) []byte { b[0] = 0x80; return seal(b) }), ErrNotZRTP},
		"fragment":        {with(func(b []byte) []byte { b[0] = 0x11; return seal(b) }), ErrNotZRTP},
		"cookie":          {with(func(b []byte) []byte { b[5] ^= 1; return seal(b) }), ErrNotZRTP},
		"CRC":             {with(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), ErrCRC},
		"CRC swapped":     {with(func(b []byte) []byte { n := len(b); b[n-4], b[n-1] = b[n-1], b[n-4]; return b }), ErrCRC},
		"word too many":   {with(func(b []byte) []byte { return seal(append(b, 0, 0, 0, 0)) }), ErrLength},
		"octet too many":  {with(func(b []byte) []byte { return seal(append(b, 0)) }), ErrLength},
		"word missing":    {with(func(b []byte) []byte { return seal(b[:len(b)-4]) }), ErrLength},
		"length too long": {with(func(b []byte) []byte { b[15]++; return seal(b) }), ErrLength},
		"header alone":    {seal(append(bytes.Clone(good[:12]), 0, 0, 0, 0)), ErrLength},
	} {
		if _, err := ParsePacket(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if _, err := ParsePacket(b); err == nil {
				t.Errorf("bit %d of octet %d changed, and taken", bit, i)
			}
		}
	}
}

// RFC 6189, Section 5: "The 12 unused bits are set to zero and MUST be ignored
// when received" (but see ParsePacket of the first four). Section 5.2, of Hello:
// "The next 8 bits are unused and SHOULD be set to zero when sent and MUST be
// ignored on receipt". Section 5.7, of Confirm: "The next 15 bits are not used
// and SHOULD be set to zero when sent and MUST be ignored when received";
// "Undefined flags are set to zero and ignored".
func TestUnusedBits(t *testing.T) {
	hello := &Hello{M: true, Hashes: []Name{S384}}
	message := hello.Append(nil)
	if message[76] != flagM || message[77] != 1 {
		t.Fatalf("flags and counts of Hello: %x", message[76:80])
	}
	datagram := AppendPacket(nil, 1, 2, message)
	if datagram[1] != 0 {
		t.Errorf("second octet of a packet: %x", datagram[1])
	}
	datagram[1] = 0xff
	end := len(datagram) - packetCRC
	binary.LittleEndian.PutUint32(datagram[end:], crc32.Checksum(datagram[:end], castagnoli))
	if p, err := ParsePacket(datagram); err != nil || !bytes.Equal(p.Message, message) {
		t.Errorf("packet: %+v, %v", p, err)
	}

	message[76] |= 0x8f
	message[77] |= 0xf0
	if got, err := Parse(message); err != nil || !reflect.DeepEqual(got, hello) {
		t.Errorf("Hello: %+v, %v", got, err)
	}

	body := &ConfirmBody{V: true, Expiry: 7, SignatureType: Name{'P', 'G', 'P', ' '}, Signature: []byte("sign")}
	b := body.Append(nil)
	if got := binary.BigEndian.Uint32(b[32:]); got != 2<<8|flagV {
		t.Fatalf("signature length and flags: %x", got)
	}
	b[32], b[33], b[35] = 0xff, b[33]|0xfe, b[35]|0xf0
	if got, err := ParseConfirmBody(b); err != nil || !reflect.DeepEqual(got, body) {
		t.Errorf("ConfirmBody: %+v, %v", got, err)
	}
}

func TestConfirmBody(t *testing.T) {
	for _, c := range []*ConfirmBody{
		{},
		{H0: [32]byte{1, 2, 3}, E: true, D: true, Expiry: 0xffffffff},
		{V: true, A: true, SignatureType: Name{'P', 'G', 'P', ' '}, Signature: make([]byte, 4*510)},
		{SignatureType: Name{'X', '5', '0', '9'}, Signature: []byte{}},
	} {
		b := c.Append(nil)
		got, err := ParseConfirmBody(b)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
		for n := range b {
			if _, err := ParseConfirmBody(b[:n]); err == nil {
				t.Errorf("%d of %d octets are taken", n, len(b))
			}
		}
		if _, err := ParseConfirmBody(append(b, 0, 0, 0, 0)); err == nil {
			t.Error("a word too many is taken")
		}
	}
}

// RFC 6189, Section 5.9, Table 8.
func TestErrorCodesSpeak(t *testing.T) {
	codes := map[string]ErrorCode{"": 0}
	for _, c := range []ErrorCode{0x10, 0x20, 0x30, 0x40, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x61, 0x62, 0x63, 0x70, 0x80, 0x90, 0x91, 0xa0, 0xb0, 0x100} {
		text := c.String()
		if before, ok := codes[text]; ok || strings.HasPrefix(text, "unknown") {
			t.Errorf("code 0x%x has no words of its own: %q, as 0x%x", uint32(c), text, uint32(before))
		}
		codes[text] = c
	}
	if got := ErrorCode(0x77).String(); got != "unknown error 0x77" {
		t.Error(got)
	}
}

func FuzzParsePacket(f *testing.F) {
	for _, d := range datagrams(f) {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		p, err := ParsePacket(d)
		if err != nil {
			return
		}
		// The octet after the first is not used and not kept.
		got := AppendPacket(nil, p.Seq, p.SSRC, p.Message)
		if again, err := ParsePacket(got); err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%x became %x (%v)", d, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
		if _, ok := m.(*Hello); !ok && !bytes.Equal(m.Append(nil), b) { // a Hello has unused bits
			t.Fatalf("%x became %x", b, m.Append(nil))
		}
	})
}

func FuzzParseConfirmBody(f *testing.F) {
	f.Add((&ConfirmBody{V: true}).Append(nil))
	f.Add((&ConfirmBody{Signature: []byte("sign")}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseConfirmBody(b)
		if err != nil {
			return
		}
		if again, err := ParseConfirmBody(c.Append(nil)); err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}
