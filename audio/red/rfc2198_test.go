package red

import (
	"bytes"
	"slices"
	"testing"
)

// The layout of RFC 2198, Section 4 (its example has a DVI4 primary, 5, and an
// LPC copy, 7, of the packet before): "1| block PT=7 | timestamp offset | block
// length", "0| block PT=5".
func TestLayout(t *testing.T) {
	got, err := Append(nil, []Block{{Type: 7, Offset: 160, Payload: []byte("old")}}, 5, []byte("new!"))
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte{0x87, 0x02, 0x80, 0x03, 0x05}, "oldnew!"...)
	if !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	earlier := []Block{
		{Type: 0, Offset: MaxOffset, Payload: bytes.Repeat([]byte{1}, MaxLength)},
		{Type: 127, Offset: 0, Payload: nil},
		{Type: 8, Offset: 160, Payload: []byte{2}},
	}
	packet, err := Append([]byte("in front"), earlier, 0, []byte{3, 3})
	if err != nil {
		t.Fatal(err)
	}
	var blocks [MaxBlocks]Block
	got, payloadType, payload, err := Parse(packet[len("in front"):], &blocks)
	if err != nil || payloadType != 0 || !bytes.Equal(payload, []byte{3, 3}) || !slices.EqualFunc(got, earlier, equal) {
		t.Errorf("%v, %d, % x, %v", got, payloadType, payload, err)
	}
}

func equal(a, b Block) bool {
	return a.Type == b.Type && a.Offset == b.Offset && bytes.Equal(a.Payload, b.Payload)
}

func TestAppendRefuses(t *testing.T) {
	for what, earlier := range map[string][]Block{
		"an offset of 15 bits":    {{Offset: MaxOffset + 1}},
		"a length of 11 bits":     {{Payload: make([]byte, MaxLength+1)}},
		"more copies than it may": make([]Block, MaxBlocks+1),
	} {
		if got, err := Append(nil, earlier, 0, nil); err == nil || len(got) != 0 {
			t.Errorf("%s: %d octets, %v", what, len(got), err)
		}
	}
}

// Headers that lie about what follows.
func TestParseRefuses(t *testing.T) {
	var blocks [MaxBlocks]Block
	for what, packet := range map[string][]byte{
		"nothing":                    {},
		"a header cut short":         {0x80, 0, 0},
		"no final header":            {0x80, 0x02, 0x80, 0x00},
		"longer than the packet":     {0x80, 0x02, 0x80, 0x03, 0x00, 1, 2},
		"the second longer than all": {0x80, 0x02, 0x80, 0x01, 0x80, 0x02, 0x83, 0xff, 0x00, 1, 2, 3},
		"nine copies":                append(bytes.Repeat([]byte{0x80, 0, 0, 0}, MaxBlocks+1), 0),
	} {
		if earlier, _, payload, err := Parse(packet, &blocks); err == nil || earlier != nil || payload != nil {
			t.Errorf("%s: %v, % x, %v", what, earlier, payload, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	packet, _ := Append(nil, []Block{{Type: 7, Offset: 160, Payload: []byte("old")}}, 5, []byte("new!"))
	f.Add(packet)
	f.Add([]byte{0x00})
	f.Add(bytes.Repeat([]byte{0x80, 0, 0, 1}, 9))
	f.Fuzz(func(t *testing.T, packet []byte) {
		var blocks [MaxBlocks]Block
		earlier, payloadType, payload, err := Parse(packet, &blocks)
		if err != nil {
			return
		}
		again, err := Append(nil, earlier, payloadType, payload)
		if err != nil || !bytes.Equal(again, packet) {
			t.Errorf("% x became % x, %v", packet, again, err)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	earlier := []Block{{Offset: 320, Payload: make([]byte, 160)}, {Offset: 160, Payload: make([]byte, 160)}}
	payload, buf := make([]byte, 160), make([]byte, 0, 1024)
	var blocks [MaxBlocks]Block
	if n := testing.AllocsPerRun(100, func() {
		packet, err := Append(buf, earlier, 0, payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Parse(packet, &blocks); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%.1f allocations", n)
	}
}
