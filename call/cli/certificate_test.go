package cli

import (
	"crypto/x509"
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
		key := keyFile
		if !both {
			key = filepath.Join(dir, "of the other half.pem")
		}
		renewed(t, certFile, key, serial)
		for _, name := range []string{certFile, key} {
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
