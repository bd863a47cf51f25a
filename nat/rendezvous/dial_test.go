package rendezvous

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// certificate makes one for 127.0.0.1, and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der))(t))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func loopback(t *testing.T) (net.Listener, Address) {
	t.Helper()
	l := must(net.Listen("tcp4", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = l.Close() })
	return l, Address{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
}

// The story with everything real: TLS on a TCP port, a self-made certificate.
func TestMeetOverTLS(t *testing.T) {
	cert, pool := certificate(t)
	l, address := loopback(t)
	relays := func() []Relay {
		return []Relay{{Port: 3478, Username: "u", Password: "p", Seconds: 600}, {Host: "relay.example", Port: 443, Username: "v", Password: "q", Seconds: 600}}
	}
	s, err := NewServer(Settings{Limits: DefaultLimits(), Relays: relays})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{cert}}) }()
	trust := Options{TLS: &tls.Config{RootCAs: pool}}
	a := must(Dial(ctx, address, trust))(t)
	b := must(Dial(ctx, address, trust))(t)
	c := must(Dial(ctx, address, trust))(t)
	meeting(t, a, b, c)
	_, joining := meet(t, a, b)
	if len(joining.Relays) != 2 || joining.Relays[0].Host != "127.0.0.1" || joining.Relays[1].Host != "relay.example" {
		t.Errorf("relays: %+v", joining.Relays)
	}

	_, err = Dial(ctx, address, Options{})
	wantErr(t, "without the certificate", err, ErrNotTrusted)
	_, err = Dial(ctx, Address{Host: "localhost", Port: address.Port}, trust)
	wantErr(t, "by another name", err, ErrNotTrusted)
	_, err = Dial(ctx, Address{Host: address.Host, Port: address.Port, Plain: true}, trust)
	wantErr(t, "without TLS", err, ErrNotRendezvous)

	_ = a.Close()
	_ = b.Close()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(t.Context())
	if err == nil {
		t.Fatal("the server has ended, and Open works")
	}
	_ = c.Close()
}

// What answers may be anything; each has a kind, and none hangs.
func TestDialErrors(t *testing.T) {
	_, pool := certificate(t)
	speaking := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Write([]byte(text))
			_, _ = bufio.NewReader(c).ReadString('\n')
		}
	}
	status := func(line string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = c.Write([]byte("HTTP/1.1 " + line + "\r\n\r\n"))
		}
	}
	for name, test := range map[string]struct {
		server func(net.Conn)
		tls    bool
		want   error
	}{
		"closes":               {func(net.Conn) {}, false, ErrRefused},
		"closes after hearing": {func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }, false, ErrRefused},
		"closes, TLS":          {func(net.Conn) {}, true, ErrRefused},
		"speaks SSH":           {speaking("SSH-2.0-OpenSSH_9.9\r\n"), false, ErrNotRendezvous},
		"speaks SSH, TLS":      {speaking("SSH-2.0-OpenSSH_9.9\r\n"), true, ErrNotRendezvous},
		"a web server":         {status("200 OK\r\nContent-Length: 0"), false, ErrNotRendezvous},
		"another web server":   {status("404 Not Found\r\nContent-Length: 0"), false, ErrNotRendezvous},
		"too busy":             {status("503 Service Unavailable\r\nContent-Length: 0"), false, ErrRefused},
		"wrong key":            {status("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: aGk="), false, ErrNotRendezvous},
		"long headers":         {status("200 OK\r\nX: " + string(make([]byte, 1<<20))), false, ErrNotRendezvous},
	} {
		t.Run(name, func(t *testing.T) {
			l, address := loopback(t)
			address.Plain = !test.tls
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					test.server(c)
					_ = c.Close()
				}
			}()
			_, err := Dial(t.Context(), address, Options{TLS: &tls.Config{RootCAs: pool}})
			wantErr(t, name, err, test.want)
		})
	}

	l, address := loopback(t)
	_ = l.Close()
	_, err := Dial(t.Context(), address, Options{})
	wantErr(t, "nobody there", err, ErrUnreachable)
	_, err = Dial(t.Context(), Address{Host: "nobody.invalid", Port: 443}, Options{})
	wantErr(t, "no such name", err, ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Dial(ctx, address, Options{})
	wantErr(t, "given up", err, context.Canceled)
}

// Whoever a server sends us to is not whom the user has named.
func TestRedirect(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it went elsewhere") }))
	defer elsewhere.Close()
	first := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer first.Close()
	address := must(ParseAddress("ws://" + first.Listener.Addr().String()))(t)
	_, err := Dial(t.Context(), address, Options{})
	wantErr(t, "a redirect", err, ErrNotRendezvous)
}

// A server that accepts and is then silent is given up, at any stage.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					var b [1024]byte
					for {
						if _, err := c.Read(b[:]); err != nil {
							return
						}
					}
				}()
			}
		}()
		for _, plain := range []bool{true, false} {
			start := time.Now()
			_, err := Dial(t.Context(), Address{Host: "meet.example", Port: 443, Plain: plain}, Options{Dial: l.dialer("203.0.113.1")})
			wantErr(t, "a silent server", err, ErrUnreachable)
			if d := time.Since(start); d != dialPatience {
				t.Errorf("given up after %v", d)
			}
		}
		l.cut()
		_ = l.Close()
	})
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"meet.example": "meet.example:443", "meet.example:8443": "meet.example:8443", "wss://meet.example/": "meet.example:443",
		"ws://meet.example": "ws://meet.example:80", "ws://[::1]:81": "ws://[::1]:81", "[2001:db8::1]": "[2001:db8::1]:443", "192.0.2.7": "192.0.2.7:443",
	} {
		a, err := ParseAddress(in)
		if err != nil || a.String() != want {
			t.Errorf("%q: %v, %v; want %v", in, a, err, want)
		}
	}
	for _, in := range []string{"", ":443", "http://meet.example", "meet.example:0", "meet.example:65536", "2001:db8::1", "meet example", "meet.example/path", "user@meet.example", "ws://", "meet.example:443:1", "\x00"} {
		if a, err := ParseAddress(in); err == nil {
			t.Errorf("%q is %v", in, a)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("ws://[::1]:81")
	f.Add("meet.example")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Fatalf("%q: %+v, then %+v, %v", s, a, again, err)
		}
	})
}

// RFC 9110, Section 6.6.1: "An origin server with a clock … MUST generate a Date header field
// in all 2xx (Successful), 3xx (Redirection), and 4xx (Client Error) responses, and MAY generate
// a Date header field in 1xx (Informational) and 5xx (Server Error) responses."
func TestClockAhead(t *testing.T) {
	s, err := NewServer(Settings{Limits: DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.end()
	for name, test := range map[string]struct {
		date  func() []string
		ok    bool
		ahead time.Duration
	}{
		"its own":   {nil, true, 0},
		"ahead":     {func() []string { return []string{time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} }, true, time.Hour},
		"behind":    {func() []string { return []string{time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)} }, true, -time.Hour},
		"none":      {func() []string { return nil }, false, 0},
		"nonsense":  {func() []string { return []string{"yesterday"} }, false, 0},
		"long past": {func() []string { return []string{"Mon, 01 Jan 0001 00:00:00 GMT"} }, true, -1 << 63},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.date != nil {
					w.Header()["Date"] = test.date()
				}
				s.ServeHTTP(w, r)
			}))
			defer server.Close()
			c := must(Dial(t.Context(), must(ParseAddress("ws://"+server.Listener.Addr().String()))(t), Options{}))(t)
			defer c.Close()
			ahead, ok := c.ClockAhead()
			if off := ahead - test.ahead; ok != test.ok || off.Abs() > 10*time.Second {
				t.Errorf("%v ahead, %t; want %v, %t", ahead, ok, test.ahead, test.ok)
			}
		})
	}
}
