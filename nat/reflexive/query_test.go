package reflexive

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

var (
	server   = netip.MustParseAddrPort("203.0.113.9:3478")
	stranger = netip.MustParseAddrPort("192.0.2.66:3478")
	mapped   = netip.MustParseAddrPort("198.51.100.1:40001")
)

const transaction = "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" // RFC 5769's

func query(t testing.TB) *Query {
	t.Helper()
	q, err := NewQuery(strings.NewReader(transaction), server, server, Change{})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// answer builds an answer to query's transaction.
func answer(t testing.TB, kind stun.MessageType, more ...stun.Setter) []byte {
	t.Helper()
	m := stun.New()
	copy(m.TransactionID[:], transaction)
	m.Type = kind
	m.WriteHeader()
	for _, s := range more {
		if err := s.AddTo(m); err != nil {
			t.Fatal(err)
		}
	}
	return m.Raw
}

func xorMapped(a netip.AddrPort) stun.Setter {
	return &stun.XORMappedAddress{IP: a.Addr().AsSlice(), Port: int(a.Port())}
}

// RFC 8489, Section 6.2.1: "requests are sent at times 0 ms, 500 ms, 1500 ms,
// 3500 ms, 7500 ms, 15500 ms, and 31500 ms. If the client has not received a
// response after 39500 ms, the client will consider the transaction to have
// timed out."
func TestRetransmission(t *testing.T) {
	q, now := query(t), time.Now()
	start := now
	var sent []time.Duration
	var first []byte
	q.Start(now)
	for {
		if b, ok := q.NextPacket(); ok {
			sent = append(sent, now.Sub(start))
			if first != nil && !bytes.Equal(b, first) {
				t.Error("a repeated request differs")
			}
			first = b
		}
		if _, ok := q.NextPacket(); ok {
			t.Error("a request twice")
		}
		_, err, done := q.Result()
		if done {
			if !errors.Is(err, ErrNoAnswer) {
				t.Error(err)
			}
			break
		}
		q.Advance(now) // too early
		now = q.Deadline()
		q.Advance(now)
	}
	if took := now.Sub(start); took != 39500*time.Millisecond {
		t.Errorf("gave up after %v", took)
	}
	if !q.Deadline().IsZero() {
		t.Error("a deadline after the end")
	}
	want := []time.Duration{0, 500, 1500, 3500, 7500, 15500, 31500}
	for i := range want {
		want[i] *= time.Millisecond
		if i >= len(sent) || sent[i] != want[i] {
			t.Fatalf("sent at %v, not %v", sent, want)
		}
	}
}

// RFC 5769, Sections 2.2 and 2.3: sample responses.
func TestSampleResponses(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{
			"IPv4",
			"0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220" +
				"002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
			"192.0.2.1:32853",
		},
		{
			"IPv6",
			"010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220" +
				"002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
			"[2001:db8:1234:5678:11:2233:4455:6677]:32853",
		},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		q := query(t)
		q.Start(time.Now())
		taken := q.Receive(server, b)
		got, err, done := q.Result()
		if !taken || !done || err != nil || got.Mapped.String() != c.want {
			t.Errorf("%s: %v, %v, %v, %v", c.name, taken, got, err, done)
		}
		b[len(b)-9] ^= 1 // of MESSAGE-INTEGRITY: the fingerprint covers it
		q = query(t)
		if q.Receive(server, b); q.done {
			t.Errorf("%s: a flipped bit is not seen", c.name)
		}
	}
}

func TestAnswers(t *testing.T) {
	unspecified := netip.MustParseAddrPort("0.0.0.0:40001")
	otherID := answer(t, stun.BindingSuccess, xorMapped(mapped))
	otherID[19] ^= 1
	cases := []struct {
		name        string
		from        netip.AddrPort
		b           []byte
		taken, done bool
	}{
		{"the answer", server, answer(t, stun.BindingSuccess, xorMapped(mapped), stun.Fingerprint), true, true},
		{"of an old server", server, answer(t, stun.BindingSuccess, &stun.MappedAddress{IP: mapped.Addr().AsSlice(), Port: int(mapped.Port())}), true, true},
		{"a stranger's", stranger, answer(t, stun.BindingSuccess, xorMapped(mapped)), false, false},
		{"from another port", netip.AddrPortFrom(server.Addr(), 3479), answer(t, stun.BindingSuccess, xorMapped(mapped)), false, false},
		{"to another question", server, otherID, false, false},
		{"nothing", server, nil, false, false},
		{"a header cut off", server, otherID[:19], false, false},
		{"no address", server, answer(t, stun.BindingSuccess), true, false},
		{"nobody's address", server, answer(t, stun.BindingSuccess, xorMapped(unspecified)), true, false},
		{"port 0", server, answer(t, stun.BindingSuccess, xorMapped(netip.AddrPortFrom(mapped.Addr(), 0))), true, false},
		{"our own request", server, answer(t, stun.BindingRequest), true, false},
		{"another method", server, answer(t, stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse), xorMapped(mapped)), true, false},
		{"an attribute cut off", server, answer(t, stun.BindingSuccess, xorMapped(mapped))[:30], true, false},
		{"an error without a number", server, answer(t, stun.BindingError), true, false},
	}
	for _, c := range cases {
		q := query(t)
		q.Start(time.Now())
		taken := q.Receive(c.from, c.b)
		got, err, done := q.Result()
		if taken != c.taken || done != c.done || err != nil || done && got.Mapped != mapped {
			t.Errorf("%s: taken %v, done %v, %v, %v", c.name, taken, done, got, err)
		}
	}

	q := query(t)
	q.Receive(server, answer(t, stun.BindingError, stun.CodeServerError))
	var refusal *Refusal
	if _, err, _ := q.Result(); !errors.As(err, &refusal) || refusal.Code != 500 {
		t.Errorf("an error: %v", err)
	}
	if !q.Receive(server, answer(t, stun.BindingSuccess, xorMapped(mapped))) {
		t.Error("a second answer is not this transaction's")
	}
	if got, err, _ := q.Result(); err == nil || got.Mapped.IsValid() {
		t.Error("a second answer counts")
	}
}

func TestChangeRequest(t *testing.T) {
	for want, change := range map[byte]Change{6: {Addr: true, Port: true}, 2: {Port: true}, 4: {Addr: true}} {
		q, err := NewQuery(strings.NewReader(transaction), server, server, change)
		if err != nil {
			t.Fatal(err)
		}
		q.Start(time.Now())
		b, _ := q.NextPacket()
		m := &stun.Message{Raw: b}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Get(stun.AttrChangeRequest); err != nil || !bytes.Equal(got, []byte{0, 0, 0, want}) {
			t.Errorf("%+v: %x, %v", change, got, err)
		}
	}
	if _, err := NewQuery(strings.NewReader("short"), server, server, Change{}); err == nil {
		t.Error("a random source that ends")
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(answer(f, stun.BindingSuccess, xorMapped(mapped), stun.Fingerprint)[headerSize:], uint16(0x0101))
	f.Add(answer(f, stun.BindingSuccess, &stun.OtherAddress{IP: net.IPv4(192, 0, 2, 1), Port: 1}, xorMapped(mapped))[headerSize:], uint16(0x0101))
	f.Add(answer(f, stun.BindingError, stun.CodeServerError)[headerSize:], uint16(0x0111))
	f.Fuzz(func(t *testing.T, body []byte, kind uint16) {
		if len(body) > 0xffff {
			return
		}
		b := []byte{byte(kind >> 8), byte(kind), byte(len(body) >> 8), byte(len(body)), 0x21, 0x12, 0xa4, 0x42}
		b = append(append(b, transaction...), body...)
		q := query(t)
		if !q.Receive(server, b) {
			t.Error("not this transaction's")
		}
		got, err, done := q.Result()
		if done && err == nil && (!got.Mapped.IsValid() || got.Mapped.Port() == 0 || got.Mapped.Addr().IsUnspecified()) {
			t.Errorf("%v", got)
		}
		if !done && (err != nil || got != (Answer{})) {
			t.Errorf("%v, %v before the end", got, err)
		}
	})
}
