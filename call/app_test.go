package call

import (
	"bytes"
	"reflect"
	"testing"
)

// docs/call-control.md: "zeros, until the whole APP packet is a multiple of 64
// octets".
func TestAppDataIsPadded(t *testing.T) {
	for n := range maxMessages + 1 {
		d := appData{ack: 7}
		for i := range n {
			d.messages = append(d.messages, message{uint32(i + 1), wordRinging, make([]byte, i*9)})
		}
		b := d.append(nil)
		if (len(b)+appHeader)%appStep != 0 {
			t.Errorf("%d messages: %d octets", n, len(b)+appHeader)
		}
		got, err := parseAppData(b)
		if err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		if got.ack != d.ack || len(got.messages) != n {
			t.Errorf("%d messages: parsed %+v", n, got)
		}
	}
}

func TestAppDataRefused(t *testing.T) {
	good := appData{ack: 1, messages: []message{{1, wordBusy, []byte("body")}}}.append(nil)
	for name, b := range map[string][]byte{
		"empty":            nil,
		"other version":    append([]byte{2}, good[1:]...),
		"too many":         append([]byte{1, maxMessages + 1}, make([]byte, 500)...),
		"message cut":      good[:9],
		"body cut":         good[:15],
		"body over limits": append([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x02, 0x01}, make([]byte, 600)...),
	} {
		if d, err := parseAppData(b); err == nil {
			t.Errorf("%s: taken as %+v", name, d)
		}
	}
}

func FuzzParseAppData(f *testing.F) {
	f.Add(appData{}.append(nil))
	f.Add(appData{ack: 9, messages: []message{{1, wordRinging, nil}, {2, wordAnswered, []byte("x")}}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseAppData(b)
		if err != nil {
			return
		}
		again, err := parseAppData(d.append(nil))
		if err != nil {
			t.Fatalf("what was parsed does not parse again: %v", err)
		}
		if again.ack != d.ack || len(again.messages) != len(d.messages) {
			t.Fatalf("%+v became %+v", d, again)
		}
		for i, m := range d.messages {
			if !bytes.Equal(m.body, again.messages[i].body) || m.number != again.messages[i].number || m.word != again.messages[i].word {
				t.Fatalf("%+v became %+v", m, again.messages[i])
			}
		}
	})
}

func TestClassify(t *testing.T) {
	long := func(first, second byte) []byte { return append([]byte{first, second}, make([]byte, 30)...) }
	for _, c := range []struct {
		b    []byte
		want kind
	}{
		{long(0, 1), kindSTUN},
		{long(0x10, 0), kindZRTP},
		{long(0x11, 0), kindZRTP},
		{long(22, 254), kindOther}, // DTLS (RFC 7983, Section 7: 20 to 63)
		{long(64, 0), kindOther},   // TURN channel
		{long(0x80, 0), kindRTP},
		{long(0x80, 0x80|8), kindRTP},
		{long(0x81, 200), kindRTCP},
		{long(0x80, 191), kindRTP},
		{long(0x80, 192), kindRTCP},
		{long(0x80, 223), kindRTCP},
		{long(0x80, 224), kindRTP},
		{[]byte("OPTIONS sip:a@b"), kindOther},
		{[]byte{0x80, 0, 0, 1}, kindOther},
		{nil, kindOther},
	} {
		if got := classify(c.b); got != c.want {
			t.Errorf("classify(% x) = %v, want %v", c.b, got, c.want)
		}
	}
	b := make([]byte, 12)
	b[0], b[1], b[7], b[11] = 0x80, 200, 4, 8
	if got := []uint32{ssrcOf(kindRTCP, b), ssrcOf(kindRTP, b)}; !reflect.DeepEqual(got, []uint32{4, 8}) {
		t.Errorf("SSRCs %v", got)
	}
}
