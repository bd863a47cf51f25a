package punched

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/turn/v5"

	"securecall/nat"
)

// certificate is one of its own for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Over TCP and TLS, with real sockets: on this machine alone, at ports that the
// system gives.
func TestTURNOverStreams(t *testing.T) {
	own, pool := certificate(t)
	plain, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secured, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}})
	if err != nil {
		t.Fatal(err)
	}
	relayed := &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: "test",
		AuthHandler: func(a *turn.RequestAttributes) (string, []byte, bool) {
			return a.Username, turn.GenerateAuthKey("user", "test", "pass"), true
		},
		ListenerConfigs: []turn.ListenerConfig{
			{Listener: plain, RelayAddressGenerator: relayed},
			{Listener: secured, RelayAddressGenerator: relayed},
		},
		LoggerFactory: logs{},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	make := func(controlling bool, server TURN) *Path {
		server.Username, server.Password = "user", "pass"
		path, err := nat.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(Config{Path: path, RelayOnly: true, Controlling: controlling, TURN: []TURN{server}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	a := make(true, TURN{Server: plain.Addr().String(), Transport: TCP})
	b := make(false, TURN{Server: secured.Addr().String(), Transport: TLS, TLS: &tls.Config{RootCAs: pool}})
	gather(t, a, b)
	if _, err := connect(t, a, b); err != nil {
		t.Fatal(err)
	}
	talk(t, a, b)
	if a.Route().Kind != Relayed || b.Route().Kind != Relayed {
		t.Errorf("%v and %v", a.Route(), b.Route())
	}

	// A server that closes the connection has forgotten what was allocated over it.
	before := a.readyRelays()[0]
	_ = before.stream.(*stream).Conn.Close()
	for n := 0; !before.gone.Load(); n++ {
		if time.Sleep(time.Millisecond); n > 20000 {
			t.Fatal("it is not noticed")
		}
	}
	gather(t, a)
	if after := a.readyRelays(); len(after) != 1 || after[0] == before {
		t.Error("a relay whose connection has ended is not allocated anew")
	}

	c := make(true, TURN{Server: secured.Addr().String(), Transport: TLS})
	var untrusted *tls.CertificateVerificationError
	if err := c.Gather(t.Context()); !errors.As(err, &untrusted) {
		t.Errorf("an unknown authority: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Connect(ctx, b.Local()); !errors.Is(err, ErrNoRoute) {
		t.Errorf("without a relay: %v", err)
	}
}

// A network that takes nothing holds up nobody, and its connection is closed.
func TestStreamThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		s := newStream(ours)
		packet := bytes.Repeat([]byte("x"), 200)
		begun := time.Now()
		for range 2 * streamQueue {
			if n, err := s.Write(packet); n != len(packet) || err != nil {
				t.Fatal(n, err)
			}
		}
		if d := time.Since(begun); d > 0 {
			t.Errorf("somebody waited for %v", d)
		}
		time.Sleep(streamPatience + time.Second)
		if _, err := s.Write(packet); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after %v: %v", streamPatience, err)
		}
	})
}

// What is taken is whole and in order.
func TestStreamKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := newStream(ours)
		defer s.Close()
		for n := range 3 * streamQueue {
			packet := bytes.Repeat([]byte{byte(n)}, 100+n)
			if _, err := s.Write(packet); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(packet))
			if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, packet) {
				t.Fatalf("packet %d: %v, %d octets of %d", n, err, got[0], len(got))
			}
		}
	})
}
