package cli

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"
)

// A keyPair is a certificate in two files that somebody renews now and then.
type keyPair struct {
	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]time.Time // when the files were written that it is from
	looked  time.Time
}

// lookAgain is how long a renewed certificate may be overlooked.
const lookAgain = time.Minute

func readCertificate(cert, key string) (*keyPair, error) {
	k := &keyPair{cert: cert, key: key, looked: time.Now()}
	err := k.read()
	if err != nil {
		return nil, &certificateError{err}
	}
	return k, nil
}

// get is asked at each handshake.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.looked) >= lookAgain {
		k.looked = now
		_ = k.read() // half a renewal: the old one is good still
	}
	return k.current, nil
}

func (k *keyPair) read() error {
	var stamp [2]time.Time
	for i, name := range []string{k.cert, k.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		stamp[i] = info.ModTime()
	}
	if k.current != nil && stamp == k.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return err
	}
	k.current, k.stamp = &pair, stamp
	return nil
}

// names are the hosts that the certificate is for.
func (k *keyPair) names() []string {
	leaf, err := x509.ParseCertificate(k.current.Certificate[0])
	if err != nil {
		return nil
	}
	return leaf.DNSNames
}
