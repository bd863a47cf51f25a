package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A certificate that is renewed is used without a restart, and half a renewal
// changes nothing.
func TestCertificateRenewal(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write := func(serial int64, written time.Time, both bool) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"meet.example"}, NotAfter: time.Now().Add(time.Hour)}
		cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
			if name == keyFile && !both {
				continue
			}
			if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, written, written); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := time.Now()
	write(1, start, true)
	k, err := readCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if names := k.names(); !slices.Equal(names, []string{"meet.example"}) {
		t.Errorf("names: %v", names)
	}
	serial := func() int64 {
		c, err := k.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	for i, step := range []struct {
		serial int64
		both   bool
		later  bool // a minute has passed
		want   int64
	}{{2, true, false, 1}, {2, true, true, 2}, {3, false, true, 2}, {4, true, true, 4}} {
		write(step.serial, start.Add(time.Duration(i+1)*time.Second), step.both)
		if step.later {
			k.looked = time.Now().Add(-lookAgain)
		}
		if got := serial(); got != step.want {
			t.Errorf("step %d: serial %d, want %d", i, got, step.want)
		}
	}
}
