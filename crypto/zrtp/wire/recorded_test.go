package wire

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// datagrams are the ZRTP packets of a real call (testdata/linphone.hex).
func datagrams(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open("testdata/linphone.hex")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [][]byte
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		b, err := hex.DecodeString(s.Text())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if len(all) < 10 {
		t.Fatalf("only %d datagrams", len(all))
	}
	return all
}

// again reads a packet with its message and wants the same bytes written.
func again(t *testing.T, datagram []byte) Message {
	t.Helper()
	if !IsZRTP(datagram) {
		t.Errorf("not taken for ZRTP: %x", datagram)
	}
	p, err := ParsePacket(datagram)
	if err != nil {
		t.Fatalf("%v: %x", err, datagram)
	}
	m, err := Parse(p.Message)
	if err != nil {
		t.Fatalf("%v: %x", err, datagram)
	}
	if got := AppendPacket(nil, p.Seq, p.SSRC, m.Append(nil)); !bytes.Equal(got, datagram) {
		t.Errorf("%s: written again as\n%x, was\n%x", m.Type(), got, datagram)
	}
	return m
}

// exchange is every message of an exchange in DH mode.
var exchange = []Type{TypeHello, TypeHelloACK, TypeCommit, TypeDHPart1, TypeDHPart2, TypeConfirm1, TypeConfirm2, TypeConf2ACK}

func TestRealCall(t *testing.T) {
	seen := map[Type]bool{}
	for _, d := range datagrams(t) {
		seen[again(t, d).Type()] = true
	}
	for _, k := range exchange {
		if !seen[k] {
			t.Errorf("the call has no %s", k)
		}
	}
}

// RFC 6189, Section 5.2, of Hello: "The MAC key is the sender's H2". Section 5.4,
// of Commit: "The MAC key is the sender's H1". H1 comes in DHPart1 and DHPart2
// (Section 9), so that a call from outside shows that Linphone's MACs are ours.
func TestRealCallMACs(t *testing.T) {
	h1 := map[uint32][]byte{} // by SSRC
	for _, d := range datagrams(t) {
		p, err := ParsePacket(d)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := again(t, d).(*DHPart); ok {
			h1[p.SSRC] = m.H1[:]
		}
	}
	hellos, commits := 0, 0
	for _, d := range datagrams(t) {
		p, err := ParsePacket(d)
		if err != nil {
			t.Fatal(err)
		}
		switch m := again(t, d).(type) {
		case *Hello:
			hellos++
			h2 := sha256.Sum256(h1[p.SSRC])
			if got := ComputeMAC(h2[:], p.Message); got != m.MAC {
				t.Errorf("Hello of %x: MAC %x, sent %x", p.SSRC, got, m.MAC)
			}
		case *Commit:
			commits++
			if got := ComputeMAC(h1[p.SSRC], p.Message); got != m.MAC {
				t.Errorf("Commit of %x: MAC %x, sent %x", p.SSRC, got, m.MAC)
			}
		}
	}
	if len(h1) != 2 || hellos < 2 || commits < 1 {
		t.Errorf("%d ends, %d Hellos, %d Commits", len(h1), hellos, commits)
	}
}

// The exchanges recorded from libbzrtp (../testdata/README.md): each packet and,
// as they went into the cipher, each body of a Confirm.
func TestRecordedPackets(t *testing.T) {
	names, err := filepath.Glob("../testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	seen, bodies := map[Type]bool{}, 0
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var recording struct {
			Log []struct{ Op, Type, Packet, In string }
		}
		if err := json.Unmarshal(b, &recording); err != nil {
			t.Fatal(err)
		}
		for _, e := range recording.Log {
			switch {
			case e.Op == "send":
				d, err := hex.DecodeString(e.Packet)
				if err != nil {
					t.Fatal(err)
				}
				m := again(t, d)
				if m.Type().String() != e.Type {
					t.Errorf("%s: %q is read as %q", name, e.Type, m.Type())
				}
				seen[m.Type()] = true
			case strings.HasSuffix(e.Op, "cfb-enc"):
				plain, err := hex.DecodeString(e.In)
				if err != nil {
					t.Fatal(err)
				}
				body, err := ParseConfirmBody(plain)
				if err != nil {
					t.Fatal(err)
				}
				if got := body.Append(nil); !bytes.Equal(got, plain) {
					t.Errorf("%s: body %x, recorded %x", name, got, plain)
				}
				bodies++
			}
		}
	}
	for _, k := range exchange {
		if !seen[k] {
			t.Errorf("no %s is recorded", k)
		}
	}
	if bodies == 0 {
		t.Error("no body of a Confirm is recorded")
	}
}
