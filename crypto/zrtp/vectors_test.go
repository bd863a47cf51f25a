package zrtp

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"securecall/crypto/sas"
	"securecall/crypto/zrtp/wire"
)

// recording is a file of testdata; see the README there.
type recording struct {
	KA, Hash, Cipher, Auth, SAS string
	Log                         []entry
}

type entry struct {
	Who, Op, Type, Role, SAS                             string
	In, Out, Key, Salt, IV, Packet, Self, Secret, Result octets
}

type octets []byte

func (o *octets) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*o = b
	return err
}

func recordings(t *testing.T, f func(t *testing.T, r recording)) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) != 6 {
		t.Fatal("testdata is not complete", names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var r recording
			if err := json.Unmarshal(b, &r); err != nil {
				t.Fatal(err)
			}
			f(t, r)
		})
	}
}

// of returns the entries of an end with an operation.
func (r recording) of(who, op string) (found []entry) {
	for _, e := range r.Log {
		if e.Who == who && e.Op == op {
			found = append(found, e)
		}
	}
	return found
}

func name(s string) wire.Name {
	n := wire.Name{' ', ' ', ' ', ' '}
	copy(n[:], s)
	return n
}

func (r recording) suite() suite {
	return suite{name(r.Hash), name(r.Cipher), name(r.Auth), name(r.KA), name(r.SAS)}
}

// calls divides a recording into its calls, which follow one another with
// retained secrets.
func (r recording) calls() (calls []recording) {
	for _, e := range r.Log {
		if e.Op == "call" {
			calls = append(calls, recording{KA: r.KA, Hash: r.Hash, Cipher: r.Cipher, Auth: r.Auth, SAS: r.SAS})
			continue
		}
		if len(calls) == 0 { // a single call has no number
			return []recording{r}
		}
		last := &calls[len(calls)-1]
		last.Log = append(last.Log, e)
	}
	return calls
}

// Each end of a recorded exchange is played by a session that gets the same
// random bytes and the other end's recorded packets: it must send what was
// recorded, byte for byte, and come to the same keys and SAS.
func TestRecordedExchanges(t *testing.T) {
	recordings(t, func(t *testing.T, r recording) {
		for _, who := range []string{"A", "B"} {
			t.Run(who, func(t *testing.T) {
				var c cache
				for n, call := range r.calls() {
					replay(t, call, who, &c, n)
				}
			})
		}
	})
}

// replay plays one call; those before it have left their secrets in c.
func replay(t *testing.T, r recording, who string, c *cache, before int) {
	var ours, theirs []entry
	for _, e := range r.Log {
		if e.Op != "send" {
			continue
		}
		if e.Who == who {
			ours = append(ours, e)
		} else {
			theirs = append(theirs, e)
		}
	}
	responder := r.of(who, "role")[0].Role == "responder"
	if ours[0].Type == "HelloACK" { // the first Hello of B is recorded after it
		ours = ours[1:]
	}
	hello := parsed(t, ours[0].Packet).(*wire.Hello)
	first, err := wire.ParsePacket(ours[0].Packet)
	if err != nil {
		t.Fatal(err)
	}

	// bzrtp draws ZID (once), H0, the sequence number, then for each secret that
	// it does not have an ID for either role (rs1, rs2, pbx, aux: of the last
	// one the first serves both), then the key's secret, then the IV.
	var draws [][]byte
	for _, e := range r.of(who, "rng") {
		if len(e.Out) != len(hello.ZID) {
			draws = append(draws, e.Out)
		}
	}
	order := [][]byte{draws[0], binary.BigEndian.AppendUint16(nil, first.Seq-1)}
	draws = draws[2:]
	var aux []byte
	if e := r.of(who, "aux"); len(e) > 0 {
		aux = e[0].Secret
	}
	var asInitiator, asResponder [4][]byte // rs1, rs2, aux, pbx
	for _, id := range []struct {
		place int
		have  bool
	}{{0, c.rs1 != nil}, {1, c.rs2 != nil}, {3, false}, {2, aux != nil}} {
		if id.have {
			continue
		}
		asInitiator[id.place], asResponder[id.place] = draws[0], draws[1]
		if id.place == 2 {
			asResponder[id.place] = draws[0]
		}
		draws = draws[2:]
	}
	secret := draws[0]
	if ka := name(r.KA); ka == wire.DH2k || ka == wire.DH3k {
		secret = append(make([]byte, 64-len(secret)), secret...)
	}
	order = append(append(order, asInitiator[:]...), secret)
	if responder { // it sent a Commit too, and lost
		order = append(order, asResponder[:]...)
	}
	random := bytes.NewReader(bytes.Join(append(order, draws[1]), nil))

	s, err := newSession(Config{
		Initiate:  true,
		ZID:       hello.ZID,
		SSRC:      first.SSRC,
		Client:    string(hello.Client[:]),
		Rand:      random,
		Auxiliary: aux,
		Retained: func(zid wire.ZID) Retained {
			kept := c.lookUp(zid)
			kept.Verified = before > 0 // the recorder said so after the first call
			return kept
		},
	}, Algorithms{hello.Hashes, hello.Ciphers, hello.Auths, hello.KeyAgreements, hello.SASTypes})
	if err != nil {
		t.Fatal(err)
	}

	now := time.Unix(0, 0)
	var sent [][]byte
	var keys *KeysReady
	take := func() {
		for {
			p, ok := s.NextPacket()
			if !ok {
				break
			}
			sent = append(sent, bytes.Clone(p))
		}
		for {
			e, ok := s.NextEvent()
			if !ok {
				break
			}
			if k, ok := e.(KeysReady); ok {
				keys = &k
			}
			if f, ok := e.(Failed); ok {
				t.Fatal(f.Err)
			}
		}
	}
	s.Start(now)
	take()
	for _, e := range theirs {
		if err := s.Receive(now, e.Packet); err != nil && err != DropContention {
			t.Fatalf("%s: %v", e.Type, err)
		}
		take()
	}

	// Each recorded message was sent too; HelloACK excepted, in the place of
	// which Commit stands. Ours begin at the first recorded sequence number.
	if p, err := wire.ParsePacket(sent[0]); err != nil || p.Seq != first.Seq || !bytes.Equal(sent[0], ours[0].Packet) {
		t.Errorf("first packet\n%x, recorded\n%x", sent[0], ours[0].Packet)
	}
	messages := map[string][]byte{}
	for _, b := range sent {
		p, err := wire.ParsePacket(b)
		if err != nil {
			t.Fatal(err)
		}
		messages[kindOf(t, b).String()] = p.Message
	}
	compared := 0
	for _, e := range ours {
		p, err := wire.ParsePacket(e.Packet)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := messages[e.Type]
		if !ok {
			if e.Type != "HelloACK" {
				t.Errorf("no %s was sent", e.Type)
			}
			continue
		}
		compared++
		if got := wire.AppendPacket(nil, p.Seq, p.SSRC, m); !bytes.Equal(got, e.Packet) {
			t.Errorf("%s\n%x, recorded\n%x", e.Type, got, e.Packet)
		}
	}
	if compared < 4 {
		t.Errorf("only %d messages compared", compared)
	}
	if random.Len() != 0 {
		t.Errorf("%d random bytes left over", random.Len())
	}
	if s.state != secure {
		t.Fatalf("ends in state %d", s.state)
	}
	for _, c := range []struct {
		op        string
		key, salt []byte
	}{
		{"srtp-send", keys.LocalKey, keys.LocalSalt},
		{"srtp-recv", keys.RemoteKey, keys.RemoteSalt},
	} {
		e := r.of(who, c.op)[0]
		if !bytes.Equal(c.key, e.Key) || !bytes.Equal(c.salt, e.Salt) {
			t.Errorf("%s: %x %x, recorded %x %x", c.op, c.key, c.salt, e.Key, e.Salt)
		}
	}
	want := None
	if before > 0 {
		want = Matched
	}
	if keys.Continuity != want || keys.Verified != (before > 0) || keys.PeerV != (before > 0) || (keys.Auxiliary == Matched) != (aux != nil) {
		t.Errorf("call %d: continuity %v, V %v, the peer's %v, auxsecret %v", before+1, keys.Continuity, keys.Verified, keys.PeerV, keys.Auxiliary)
	}
	c.update(keys.Retain)
	retained, exported := 0, 0
	for _, e := range r.Log {
		switch {
		case e.Who == who && bytes.HasPrefix(e.In, []byte("\x00\x00\x00\x01retained secret\x00")):
			retained++
			if !bytes.Equal(keys.Retain.RS1, e.Out) {
				t.Errorf("rs1 %x, recorded %x", keys.Retain.RS1, e.Out)
			}
		case e.Who == who && bytes.HasPrefix(e.In, []byte("\x00\x00\x00\x01Exported key\x00")):
			exported++
			if !bytes.Equal(keys.ExportedKey, e.Out) {
				t.Errorf("exported key %x, recorded %x", keys.ExportedKey, e.Out)
			}
		}
	}
	if retained != 1 || exported != 1 {
		t.Errorf("%d rs1 and %d exported keys are recorded", retained, exported)
	}
	text, ok := sas.Render(keys.SAS.String(), keys.SASValue)
	if want := strings.Replace(r.of(who, "secure")[0].SAS, ":", " ", 1); !ok || text != want {
		t.Errorf("SAS %q, recorded %q", text, want)
	}
}

// Every key derivation, chain hash, message MAC and Confirm of the recordings
// by itself.
func TestRecordedDerivations(t *testing.T) {
	recordings(t, func(t *testing.T, r recording) {
		s := r.suite()
		done := map[string]int{}
		for n, e := range r.Log {
			switch {
			case strings.HasPrefix(e.Op, "hmac") && bytes.HasPrefix(e.In, []byte{0, 0, 0, 1}):
				label, context, ok := bytes.Cut(e.In[4:], []byte{0})
				if !ok {
					t.Fatalf("entry %d is no KDF", n)
				}
				bits := binary.BigEndian.Uint32(context[len(context)-4:])
				got := s.kdf(e.Key, string(label), context[:len(context)-4], int(bits))
				if !bytes.Equal(got, e.Out) {
					t.Errorf("entry %d, %s: %x, recorded %x", n, label, got, e.Out)
				}
				done["kdf"]++
			case strings.HasPrefix(e.Op, "hmac") && bytes.HasPrefix(e.In, []byte{0x50, 0x5a}):
				if !sealed(append(bytes.Clone(e.In), e.Out...), [32]byte(e.Key)) {
					t.Errorf("entry %d: message MAC", n)
				}
				done["message MAC"]++
			case strings.HasPrefix(e.Op, "hmac") && len(e.Out) == 8 && len(e.In) == 40:
				if got := s.confirmMAC(e.Key, e.In); !bytes.Equal(got[:], e.Out) {
					t.Errorf("entry %d: Confirm MAC %x, recorded %x", n, got, e.Out)
				}
				done["Confirm MAC"]++
			case e.Op == "sha256" && len(e.In) == 32:
				if !images([32]byte(e.Out), [32]byte(e.In)) {
					t.Errorf("entry %d: chain", n)
				}
				done["chain"]++
			case strings.Contains(e.Op, "cfb"):
				block, err := aes.NewCipher(e.Key)
				if err != nil {
					t.Fatal(err)
				}
				got := bytes.Clone(e.In)
				if strings.HasSuffix(e.Op, "enc") {
					encryptCFB(block, [16]byte(e.IV), got)
				} else {
					decryptCFB(block, [16]byte(e.IV), got)
				}
				if !bytes.Equal(got, e.Out) {
					t.Errorf("entry %d: CFB %x, recorded %x", n, got, e.Out)
				}
				done["CFB"]++
			}
		}
		for what, least := range map[string]int{"kdf": 20, "message MAC": 6, "Confirm MAC": 4, "chain": 8, "CFB": 4} {
			if done[what] < least {
				t.Errorf("%s: only %d checked", what, done[what])
			}
		}
	})
}
