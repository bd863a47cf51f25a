package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"
)

// renewed writes a certificate and its key.
func renewed(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"meet.example"}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	put(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})))
	put(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What can change while a meeting point is open is taken over when its settings are read
// again, the command line wins as before, what cannot is named, and what is wrong changes
// nothing.
func TestSettingsAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	renewed(t, at("cert.pem"), at("key.pem"), 1)
	put(t, at("secret"), strings.Repeat("s", 64))
	file := func(lines string) {
		put(t, at("meet.toml"), "tls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\nturn-secret-file = \"secret\"\n"+lines)
	}
	const limits = "[limits]\nsessions = 7\n"
	file("turn = \"relay1.example\"\nbind = \"127.0.0.1:0\"\nturn-bind = \"none\"\n" + limits)

	var out bytes.Buffer
	command := Rendezvous()
	command.Action = func(c *ucli.Context) error {
		open := &openMeeting{rereader: newRereader(c)}
		m, err := readMeeting(c)
		if err != nil {
			t.Fatal(err)
		}
		open.now.Store(m)
		config := open.tls()
		state := func() (relays string, serial int64) {
			t.Helper()
			for _, r := range open.relays(nil) {
				relays += r.Host + " "
			}
			cert, err := config.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(cert.Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return relays, leaf.SerialNumber.Int64()
		}
		expect := func(what, relays string, serial int64, said ...string) {
			t.Helper()
			out.Reset()
			open.reread()
			if r, s := state(); r != relays || s != serial {
				t.Errorf("%s: relays %q and certificate %d, want %q and %d", what, r, s, relays, serial)
			}
			for _, text := range said {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%s: %q is not said:\n%s", what, text, out.String())
				}
			}
			if len(said) == 1 && strings.Contains(out.String(), "restart") {
				t.Errorf("%s: said to take a restart:\n%s", what, out.String())
			}
		}
		expect("nothing", "relay1.example ", 1, "the settings were read again")

		renewed(t, at("cert.pem"), at("key.pem"), 2)
		file("turn = [\"relay2.example\", \"relay3.example\"]\nbind = \"127.0.0.1:0\"\nturn-bind = \"none\"\n" + limits)
		expect("other relays and a certificate", "relay2.example relay3.example ", 2, "the settings were read again")

		file("turn = \"relay4.example\"\nbind = \"127.0.0.1:1\"\nturn-bind = \"none\"\n[limits]\nsessions = 8\n")
		expect("what takes a restart", "relay4.example ", 2, "the settings were read again", "to change bind, limits takes a restart")

		file("turn = \"relay5.example\"\ntrun-bind = \"none\"\n")
		expect("a mistyped setting", "relay4.example ", 2, "the settings stay as they were", "did you mean turn-bind?")

		file("bind = \"127.0.0.1:0\"\nturn-bind = \"none\"\n" + limits)
		expect("a secret without relays", "relay4.example ", 2, "the settings stay as they were", "go together")
		return nil
	}
	app := &ucli.App{Commands: []*ucli.Command{command}, Writer: &out, ErrWriter: &out}
	if err := app.RunContext(t.Context(), []string{"securecall", "rendezvous", "--config", at("meet.toml")}); err != nil {
		t.Fatal(err)
	}
}
