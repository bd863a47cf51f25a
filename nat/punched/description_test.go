package punched

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func described(t testing.TB, candidates ...Candidate) Description {
	t.Helper()
	d, err := newDescription(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range candidates {
		if !d.add(c) {
			t.Fatalf("%v was not taken", c)
		}
	}
	return d
}

func TestDescriptionTravels(t *testing.T) {
	d := described(
		t,
		Candidate{Relay, netip.MustParseAddrPort("203.0.113.9:50000")},
		Candidate{Host, netip.MustParseAddrPort("10.1.0.2:5004")},
		Candidate{Host, netip.MustParseAddrPort("[2001:db8::1]:5004")},
		Candidate{Reflexive, netip.MustParseAddrPort("198.51.100.1:40001")},
	)
	d.Complete = true
	got, err := ParseDescription(d.Append([]byte("before"))[len("before"):])
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(d) || got.pwd != d.pwd || !got.SameSession(d) || !got.Complete {
		t.Errorf("%v became %v", d, got)
	}
	for i, want := range []CandidateType{Host, Host, Reflexive, Relay} {
		if got.Candidates[i].Type != want {
			t.Errorf("candidate %d is of type %v, not %v", i, got.Candidates[i].Type, want)
		}
	}
	if size := len(d.Append(nil)); size != 26+3*7+19 {
		t.Errorf("%d bytes", size)
	}
}

func TestDescriptionKeepsItsPasswordOutOfText(t *testing.T) {
	d := described(t, Candidate{Host, netip.MustParseAddrPort("10.1.0.2:5004")})
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "d", d, "p", &d)
	for _, text := range []string{fmt.Sprint(d), fmt.Sprintf("%+v %#v %v", d, d, &d), logged.String()} {
		if strings.Contains(text, d.textPwd()) || strings.Contains(text, fmt.Sprint(d.pwd)) || strings.Contains(text, fmt.Sprintf("%#v", d.pwd)) {
			t.Errorf("the password is in %q", text)
		}
		if !strings.Contains(text, d.textUfrag()) {
			t.Errorf("control: the user name is not in %q", text)
		}
	}
}

func TestRoomForRelays(t *testing.T) {
	d := described(t)
	for i := range 30 {
		d.add(Candidate{Host, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 5004)})
	}
	if len(d.Candidates) != maxCandidates-2 {
		t.Fatalf("%d host candidates", len(d.Candidates))
	}
	for i := range 3 {
		if got := d.add(Candidate{Relay, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 5004)}); got != (i < 2) {
			t.Errorf("relay %d: %v", i, got)
		}
	}
	if size := len(d.Append(nil)); size > MaxDescription {
		t.Errorf("%d bytes", size)
	}
}

func TestBadDescriptions(t *testing.T) {
	good := described(t, Candidate{Host, netip.MustParseAddrPort("10.1.0.2:5004")}).Append(nil)
	if _, err := ParseDescription(good); err != nil {
		t.Fatal(err)
	}
	candidate := func(first byte, rest ...byte) []byte {
		return append(append(bytes.Clone(good[:25]), 1, first), rest...)
	}
	many := bytes.Clone(good[:25])
	many = append(many, maxCandidates+1)
	for i := range maxCandidates + 1 {
		many = append(many, 0, 10, 0, 0, byte(i+1), 1, 1)
	}
	twice := append(bytes.Clone(good[:25]), 2)
	twice = append(append(twice, good[26:]...), good[26:]...)
	for name, b := range map[string][]byte{
		"empty":                   nil,
		"cut off":                 good[:len(good)-1],
		"cut off before a port":   good[:len(good)-2],
		"too long":                append(bytes.Clone(good), 0),
		"another version":         append([]byte{0x20}, good[1:]...),
		"an unknown flag":         append([]byte{0x12}, good[1:]...),
		"too many candidates":     many,
		"an address twice":        twice,
		"an unknown type":         candidate(3, 10, 1, 0, 2, 1, 1),
		"an unknown bit":          candidate(8, 10, 1, 0, 2, 1, 1),
		"port 0":                  candidate(0, 10, 1, 0, 2, 0, 0),
		"no address":              candidate(0, 0, 0, 0, 0, 1, 1),
		"multicast":               candidate(0, 224, 0, 0, 1, 1, 1),
		"broadcast":               candidate(0, 255, 255, 255, 255, 1, 1),
		"link-local":              candidate(0, 169, 254, 0, 1, 1, 1),
		"IPv4 inside IPv6":        candidate(4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 2, 1, 1),
		"an IPv6 link-local one":  candidate(4, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1),
		"IPv4 where IPv6 is said": candidate(4, 10, 1, 0, 2, 1, 1),
	} {
		if d, err := ParseDescription(b); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte{})
	f.Add(described(
		f,
		Candidate{Host, netip.MustParseAddrPort("10.1.0.2:5004")},
		Candidate{Relay, netip.MustParseAddrPort("[2001:db8::1]:5004")},
	).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDescription(b)
		if err != nil {
			return
		}
		if len(b) > MaxDescription || len(d.Candidates) > maxCandidates {
			t.Errorf("%d bytes, %d candidates", len(b), len(d.Candidates))
		}
		if again := d.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
		for i, c := range d.Candidates {
			if _, err := agentCandidate(c, i); err != nil {
				t.Errorf("%v: %v", c, err)
			}
		}
	})
}
