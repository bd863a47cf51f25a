package srtp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pion/rtp"
)

var profiles = []struct {
	cipher, auth string
	key, tag     int // bytes
}{
	{"AES1", "HS32", 16, 4},
	{"AES1", "HS80", 16, 10},
	{"AES3", "HS32", 32, 4},
	{"AES3", "HS80", 32, 10},
}

const ssrcA, ssrcB = 0xcafebabe, 0x01020304

// keysOf returns the keys of both ends, with fixed and unequal contents.
func keysOf(cipher, auth string, size int) (a, b Keys) {
	secret := make([]byte, 2*(size+saltSize))
	for i := range secret {
		secret[i] = byte(7*i + 1)
	}
	cut := func(n int) []byte { x := secret[:n]; secret = secret[n:]; return x }
	a = Keys{
		Cipher: cipher, Auth: auth, LocalSSRC: ssrcA, RemoteSSRC: ssrcB,
		LocalKey: cut(size), LocalSalt: cut(saltSize), RemoteKey: cut(size), RemoteSalt: cut(saltSize),
	}
	b = Keys{
		Cipher: cipher, Auth: auth, LocalSSRC: ssrcB, RemoteSSRC: ssrcA,
		LocalKey: a.RemoteKey, LocalSalt: a.RemoteSalt, RemoteKey: a.LocalKey, RemoteSalt: a.LocalSalt,
	}
	return a, b
}

func newPair(t testing.TB, cipher, auth string, size int) (a, b *Session) {
	t.Helper()
	ka, kb := keysOf(cipher, auth, size)
	a, err := New(ka)
	if err != nil {
		t.Fatal(err)
	}
	b, err = New(kb)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func header(seq uint16) *rtp.Header {
	return &rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: 160 * uint32(seq), SSRC: ssrcA}
}

// report is a compound packet of ssrcA: a receiver report and a BYE.
func report() []byte {
	return unhex("80c90001cafebabe" + "81cb0001cafebabe")
}

func mustAppendRTP(t testing.TB, s *Session, seq uint16, payload []byte) []byte {
	t.Helper()
	packet, err := s.AppendRTP(nil, header(seq), payload)
	if err != nil {
		t.Fatalf("sequence number %d: %v", seq, err)
	}
	return packet
}

func mustAppendRTCP(t testing.TB, s *Session) []byte {
	t.Helper()
	packet, err := s.AppendRTCP(nil, report())
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}

// The packet that libsrtp validates itself with, under the master key and salt
// of RFC 3711, Appendix B.3.
func TestKnownPacket(t *testing.T) {
	other := make([]byte, 16)
	s, err := New(Keys{
		Cipher: "AES1", Auth: "HS80", LocalSSRC: ssrcA, RemoteSSRC: ssrcB,
		LocalKey: unhex("E1F97A0D3E018BE0D64FA32C06DE4139"), LocalSalt: unhex("0EC675AD498AFEEBB6960B3AABE6"),
		RemoteKey: other, RemoteSalt: other[:saltSize],
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &rtp.Header{Version: 2, PayloadType: 15, SequenceNumber: 0x1234, Timestamp: 0xdecafbad, SSRC: ssrcA}
	got, err := s.AppendRTP([]byte("before"), h, bytes.Repeat([]byte{0xab}, 16))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "packet", got, append([]byte("before"),
		unhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")...))
}

func TestAgainstReference(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.cipher+"/"+p.auth, func(t *testing.T) {
			keys, _ := keysOf(p.cipher, p.auth, p.key)
			ref := newReference(keys.LocalKey, keys.LocalSalt, p.tag)
			a, b := newPair(t, p.cipher, p.auth, p.key)
			var roc uint32
			for i, seq := range []uint16{100, 101, 103, 104, 30000, 62000, 10, 11} {
				if i == 6 {
					roc = 1
				}
				payload := bytes.Repeat([]byte{byte(i)}, 160+i)
				h := header(seq)
				h.Marker = i == 0
				h.CSRC = []uint32{1, 2}[:i%3]
				if i == 3 {
					if err := h.SetExtension(1, []byte{9}); err != nil {
						t.Fatal(err)
					}
				}
				plain, err := h.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				want := ref.rtp(plain, payload, roc)
				if !h.Extension { // we send none
					got, err := a.AppendRTP(nil, h, payload)
					if err != nil {
						t.Fatal(err)
					}
					equal(t, "SRTP packet", got, want)
				}

				var opened rtp.Header
				out, err := b.OpenRTP(nil, want, &opened)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "payload", out, payload)
				if opened.SequenceNumber != seq || opened.Timestamp != h.Timestamp || opened.Marker != h.Marker ||
					len(opened.CSRC) != len(h.CSRC) || !bytes.Equal(opened.GetExtension(1), h.GetExtension(1)) {
					t.Errorf("header %+v, want %+v", opened, h)
				}
			}
			for i := range 3 {
				// The first index is pion's 1: any start will do, as long as
				// none repeats.
				want := ref.rtcp(report(), uint32(i+1), true)
				got, err := a.AppendRTCP([]byte{1}, report())
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "SRTCP packet", got, append([]byte{1}, want...))
				out, err := b.OpenRTCP([]byte{2, 3}, want)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "compound packet", out, append([]byte{2, 3}, report()...))
			}
		})
	}
}

// RFC 3711, Section 3.3: "verification of the authentication tag" covers every
// byte of the packet: any flipped bit must be refused, and must not spoil the
// packet that arrives intact later.
func TestTampering(t *testing.T) {
	for _, p := range profiles {
		a, b := newPair(t, p.cipher, p.auth, p.key)
		packet := mustAppendRTP(t, a, 7, []byte("some speech"))
		control := mustAppendRTCP(t, a)
		var h rtp.Header
		for i := range packet {
			for bit := range 8 {
				bad := bytes.Clone(packet)
				bad[i] ^= 1 << bit
				if _, err := b.OpenRTP(nil, bad, &h); err == nil {
					t.Fatalf("%s/%s: bit %d of SRTP byte %d flipped and accepted", p.cipher, p.auth, bit, i)
				}
			}
			if _, err := b.OpenRTP(nil, packet[:i], &h); err == nil {
				t.Fatalf("SRTP packet cut to %d bytes accepted", i)
			}
		}
		for i := range control {
			for bit := range 8 {
				bad := bytes.Clone(control)
				bad[i] ^= 1 << bit
				if _, err := b.OpenRTCP(nil, bad); err == nil {
					t.Fatalf("%s/%s: bit %d of SRTCP byte %d flipped and accepted", p.cipher, p.auth, bit, i)
				}
			}
			if _, err := b.OpenRTCP(nil, control[:i]); err == nil {
				t.Fatalf("SRTCP packet cut to %d bytes accepted", i)
			}
		}
		if _, err := b.OpenRTP(nil, packet, &h); err != nil {
			t.Errorf("the intact packet: %v", err)
		}
		if _, err := b.OpenRTCP(nil, control); err != nil {
			t.Errorf("the intact report: %v", err)
		}
	}
}

// RFC 3711, Section 3.3.2: "Secure replay protection is only possible when
// integrity protection is present. It is RECOMMENDED to use replay protection,
// both for RTP and RTCP".
func TestReplay(t *testing.T) {
	a, b := newPair(t, "AES1", "HS32", 16)
	var packets, reports [][]byte
	for seq := range uint16(replayWindow + 1) {
		packets = append(packets, mustAppendRTP(t, a, seq, []byte("x")))
		reports = append(reports, mustAppendRTCP(t, a))
	}
	open := func(i int) (rtpErr, rtcpErr error) {
		var h rtp.Header
		_, rtpErr = b.OpenRTP(nil, packets[i], &h)
		_, rtcpErr = b.OpenRTCP(nil, reports[i])
		return rtpErr, rtcpErr
	}
	last := len(packets) - 1
	// The last first: all the others are late, and all but one in the window.
	for i := last; i > 0; i-- {
		if rtpErr, rtcpErr := open(i); rtpErr != nil || rtcpErr != nil {
			t.Fatalf("packet %d, late by %d: %v, %v", i, last-i, rtpErr, rtcpErr)
		}
	}
	for i := range packets {
		if rtpErr, rtcpErr := open(i); rtpErr != ErrReplay || rtcpErr != ErrReplay {
			t.Fatalf("packet %d again: %v, %v", i, rtpErr, rtcpErr)
		}
	}
}

// RFC 3711, Section 3.3.1: the rollover counter is counted, not sent. Two
// rollovers, with every packet near the wrap lost that a receiver can lose.
func TestRollover(t *testing.T) {
	a, b := newPair(t, "AES3", "HS80", 32)
	out, packet := make([]byte, 0, 256), make([]byte, 0, 256)
	var late []byte
	var h rtp.Header
	for i := range 2*65536 + 1000 {
		var err error
		packet, err = a.AppendRTP(packet[:0], header(uint16(i)), []byte{byte(i), byte(i >> 8), byte(i >> 16)})
		if err != nil {
			t.Fatal(i, err)
		}
		if n := i % 65536; n == 65530 {
			late = bytes.Clone(packet)
			continue
		} else if n > 65000 && n != 65533 || n < 500 && i > 65536 && n != 100 {
			continue
		}
		got, err := b.OpenRTP(out, packet, &h)
		if err != nil {
			t.Fatal(i, err)
		}
		if int(got[0])|int(got[1])<<8|int(got[2])<<16 != i {
			t.Fatalf("packet %d opened as %x", i, got)
		}
		if i > 65536 && i%65536 == 100 {
			if _, err := b.OpenRTP(out, late, &h); err != nil {
				t.Fatalf("packet from before the wrap, after it: %v", err)
			}
		}
	}
}

func TestSequence(t *testing.T) {
	payload := []byte("x")
	for _, test := range []struct {
		last, next uint16
		want       error
	}{
		{5, 6, nil},
		{5, 5, ErrSequence},
		{5, 4, ErrSequence},
		{5, 65535, ErrSequence},
		{5, 5 + 1<<15 - 1, nil},
		{5, 5 + 1<<15, ErrSequence},
	} {
		a, _ := newPair(t, "AES1", "HS32", 16)
		mustAppendRTP(t, a, test.last, payload)
		got, err := a.AppendRTP([]byte("kept"), header(test.next), payload)
		if err != test.want {
			t.Errorf("%d after %d: %v, want %v", test.next, test.last, err, test.want)
		}
		if !bytes.HasPrefix(got, []byte("kept")) || err != nil && len(got) != 4 {
			t.Errorf("%d after %d: dst became %x", test.next, test.last, got)
		}
	}
	a, _ := newPair(t, "AES1", "HS32", 16)
	if _, err := a.AppendRTP(nil, header(1<<15), payload); err != ErrSequence {
		t.Errorf("first sequence number 2^15: %v", err)
	}
	mustAppendRTP(t, a, 1<<15-1, payload)
}

// RFC 3711, Section 9.2: after the maximum number of packets "the session MUST
// be terminated".
func TestExhausted(t *testing.T) {
	a, _ := newPair(t, "AES1", "HS80", 16)
	a.started, a.index, a.rtcpCount = true, rtpLimit-2, rtcpLimit-1
	mustAppendRTP(t, a, 65535, nil)
	if _, err := a.AppendRTP(nil, header(0), nil); err != ErrExhausted {
		t.Errorf("RTP: %v", err)
	}
	mustAppendRTCP(t, a)
	if _, err := a.AppendRTCP(nil, report()); err != ErrExhausted {
		t.Errorf("RTCP: %v", err)
	}
}

func TestForeignSSRC(t *testing.T) {
	a, b := newPair(t, "AES1", "HS80", 16)
	packet, control := mustAppendRTP(t, a, 1, []byte("x")), mustAppendRTCP(t, a)
	var h rtp.Header
	for i := range 1000 {
		binary.BigEndian.PutUint32(packet[8:], uint32(i))
		binary.BigEndian.PutUint32(control[4:], uint32(i))
		if _, err := b.OpenRTP(nil, packet, &h); err != ErrForeignSSRC {
			t.Fatal(err)
		}
		if _, err := b.OpenRTCP(nil, control); err != ErrForeignSSRC {
			t.Fatal(err)
		}
	}
	// Nothing of them reached the library.
	for i := range uint32(1000) {
		if _, known := b.receiver.ROC(i); known {
			t.Fatalf("the library keeps state for SSRC %d", i)
		}
		if _, known := b.receiver.Index(i); known {
			t.Fatalf("the library keeps SRTCP state for SSRC %d", i)
		}
	}
	foreign := header(2)
	foreign.SSRC = ssrcB
	if _, err := a.AppendRTP(nil, foreign, nil); err != ErrForeignSSRC {
		t.Errorf("sending RTP: %v", err)
	}
	compound := report()
	compound[4]++
	if _, err := a.AppendRTCP(nil, compound); err != ErrForeignSSRC {
		t.Errorf("sending RTCP: %v", err)
	}
	// Our own packets, reflected.
	if _, err := a.OpenRTP(nil, mustAppendRTP(t, a, 3, nil), &h); err != ErrForeignSSRC {
		t.Errorf("a reflected packet: %v", err)
	}
}

// SRTCP may be authenticated without being encrypted (RFC 3711, Section 3.4);
// here nothing enters in the clear.
func TestClearRTCPRefused(t *testing.T) {
	keys, _ := keysOf("AES1", "HS80", 16)
	_, b := newPair(t, "AES1", "HS80", 16)
	packet := newReference(keys.LocalKey, keys.LocalSalt, 10).rtcp(report(), 1, false)
	if _, err := b.OpenRTCP(nil, packet); err != ErrMalformed {
		t.Error(err)
	}
}

// RFC 3550, Section 5.1: "The last octet of the padding contains a count of how
// many padding octets should be ignored, including itself."
func TestPadding(t *testing.T) {
	keys, _ := keysOf("AES1", "HS80", 16)
	ref := newReference(keys.LocalKey, keys.LocalSalt, 10)
	for i, test := range []struct {
		payload string
		want    string
		err     error
	}{
		{"speech\x00\x00\x03", "speech", nil},
		{"speech\x01", "speech", nil},
		{"\x00\x00\x00\x04", "", nil},
		{"", "", ErrMalformed},
		{"speech\x00", "", ErrMalformed},
		{"speech\x08", "", ErrMalformed},
		{"\xff", "", ErrMalformed},
	} {
		_, b := newPair(t, "AES1", "HS80", 16)
		h := header(uint16(i))
		h.Padding = true
		plain, err := h.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.OpenRTP(nil, ref.rtp(plain, []byte(test.payload), 0), h)
		if string(got) != test.want || err != test.err {
			t.Errorf("%q: %q, %v", test.payload, got, err)
		}
	}
}

// Padding that is sent is taken off again; what says more of it than there is, or none, is
// no padding.
func TestPaddingSent(t *testing.T) {
	a, b := newPair(t, "AES1", "HS80", 16)
	h := header(1)
	h.Padding = true
	for _, payload := range []string{"", "keys\x00", "keys\x06", "\xff"} {
		if got, err := a.AppendRTP(nil, h, []byte(payload)); err != ErrMalformed {
			t.Errorf("%q: %x, %v", payload, got, err)
		}
	}
	packet, err := a.AppendRTP(nil, h, []byte("keys\x00\x00\x00\x04"))
	if err != nil {
		t.Fatal(err)
	}
	var got rtp.Header
	if payload, err := b.OpenRTP(nil, packet, &got); err != nil || string(payload) != "keys" || got.PaddingSize != 4 {
		t.Errorf("%q, %+v, %v", payload, got, err)
	}
}

func TestMalformedOutgoing(t *testing.T) {
	a, _ := newPair(t, "AES1", "HS80", 16)
	for name, change := range map[string]func(*rtp.Header){
		"version 0":    func(h *rtp.Header) { h.Version = 0 },
		"padding":      func(h *rtp.Header) { h.Padding, h.PaddingSize = true, 4 },
		"payload type": func(h *rtp.Header) { h.PayloadType = 128 },
		"16 CSRCs":     func(h *rtp.Header) { h.CSRC = make([]uint32, 16) },
		"extension":    func(h *rtp.Header) { _ = h.SetExtension(1, []byte{1}) },
	} {
		h := header(1)
		change(h)
		if got, err := a.AppendRTP(nil, h, []byte("x")); err != ErrMalformed {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	if _, err := a.AppendRTP(nil, header(1), make([]byte, 65535)); err != ErrMalformed {
		t.Errorf("too long: %v", err)
	}
	mustAppendRTP(t, a, 1, nil) // none of them used up number 1
	for _, compound := range [][]byte{nil, report()[:4], report()[:10], make([]byte, 8), append(report(), make([]byte, 65536)...)} {
		if _, err := a.AppendRTCP(nil, compound); err != ErrMalformed {
			t.Errorf("RTCP of %d bytes: %v", len(compound), err)
		}
	}
}

// For the race detector: all that a call does at once, and then its end.
func TestConcurrent(t *testing.T) {
	a, b := newPair(t, "AES1", "HS32", 16)
	packets, reports := make(chan []byte, 8), make(chan []byte, 8)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(packets)
		for seq := range uint16(500) {
			packet, err := a.AppendRTP(nil, header(seq), []byte("speech"))
			if err != nil {
				t.Error(err)
			}
			packets <- packet
		}
	})
	wg.Go(func() {
		defer close(reports)
		for range 500 {
			packet, err := a.AppendRTCP(nil, report())
			if err != nil {
				t.Error(err)
			}
			reports <- packet
		}
	})
	wg.Go(func() {
		var h rtp.Header
		for packet := range packets {
			if got, err := b.OpenRTP(nil, packet, &h); err != nil || string(got) != "speech" {
				t.Error(got, err)
			}
		}
	})
	wg.Go(func() {
		for packet := range reports {
			if got, err := b.OpenRTCP(nil, packet); err != nil || !bytes.Equal(got, report()) {
				t.Error(got, err)
			}
		}
	})
	wg.Wait()
	wg.Go(func() {
		for seq := uint16(500); ; seq++ {
			if _, err := a.AppendRTP(nil, header(seq), nil); err == ErrClosed {
				return
			}
		}
	})
	a.Close()
	wg.Wait()
}

func TestClose(t *testing.T) {
	a, b := newPair(t, "AES3", "HS80", 32)
	packet, control := mustAppendRTP(t, a, 1, nil), mustAppendRTCP(t, a)
	a.Close()
	b.Close()
	b.Close()
	_, err1 := a.AppendRTP(nil, header(2), nil)
	_, err2 := a.AppendRTCP(nil, report())
	_, err3 := b.OpenRTP(nil, packet, new(rtp.Header))
	_, err4 := b.OpenRTCP(nil, control)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != ErrClosed {
			t.Error(err)
		}
	}
}

// Whatever is wrong with keys, no text may show them.
func TestBadKeys(t *testing.T) {
	good, _ := keysOf("AES3", "HS80", 32)
	for name, change := range map[string]func(*Keys){
		"cipher":       func(k *Keys) { k.Cipher = "2FS1" },
		"auth":         func(k *Keys) { k.Auth = "SK64" },
		"short key":    func(k *Keys) { k.LocalKey = k.LocalKey[:16] },
		"remote key":   func(k *Keys) { k.RemoteKey = nil },
		"salt":         func(k *Keys) { k.LocalSalt = k.LocalSalt[:12] },
		"remote salt":  func(k *Keys) { k.RemoteSalt = nil },
		"equal SSRCs":  func(k *Keys) { k.RemoteSSRC = k.LocalSSRC },
		"cipher blank": func(k *Keys) { k.Cipher = "" },
	} {
		keys := good
		change(&keys)
		_, err := New(keys)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v %#v %s %x", keys, keys, keys, keys, keys)} {
			for _, secret := range [][]byte{good.LocalKey[:8], good.RemoteKey[:8], good.LocalSalt[:8]} {
				if strings.Contains(text, hex.EncodeToString(secret)) || strings.Contains(text, fmt.Sprint(secret)[1:20]) {
					t.Errorf("%s: the text shows a secret: %s", name, text)
				}
			}
		}
	}
}
