package dh

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"securecall/crypto/zrtp/wire"
)

// hexBytes is a string of hexadecimal digits in JSON.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Every agreement of the exchanges recorded from libbzrtp (../testdata/README.md)
// once more, from its own random bytes: the same public value, the same result.
// Its exponents beside AES-128 have 256 bits: the last 32 of our 64 bytes.
func TestRecordedAgreements(t *testing.T) {
	names, err := filepath.Glob("../testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	done := map[wire.Name]int{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var recording struct {
			KA  string
			Log []struct {
				Who, Op                 string
				Out, Self, Peer, Result hexBytes
			}
		}
		if err := json.Unmarshal(b, &recording); err != nil {
			t.Fatal(err)
		}
		a := lookup(t, wire.Name([]byte(recording.KA)))
		draws := map[string][]byte{} // of each end, the last of 32 bytes or more: its secret
		for _, e := range recording.Log {
			switch {
			case e.Op == "rng" && len(e.Out) >= 32:
				draws[e.Who] = e.Out
			case e.Op == "dh" || e.Op == "ecdh":
				secret := draws[e.Who]
				if a.FiniteField() {
					secret = append(make([]byte, exponentSize-len(secret)), secret...)
				}
				k, err := a.Initiate(bytes.NewReader(secret))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(k.Public(), e.Self) {
					t.Errorf("%s, %s: public value %x, recorded %x", name, e.Who, k.Public(), e.Self)
				}
				if got, err := k.Shared(e.Peer); err != nil || !bytes.Equal(got, e.Result) {
					t.Errorf("%s, %s: result %x (%v), recorded %x", name, e.Who, got, err, e.Result)
				}
				done[a.Name()]++
			}
		}
	}
	for _, n := range []wire.Name{wire.X255, wire.DH3k, wire.DH2k} {
		if done[n] < 2 {
			t.Errorf("%s: only %d agreements recorded", n, done[n])
		}
	}
}
