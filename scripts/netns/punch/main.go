// Command punch is one side of a connection by nat/punched, for scripts/netns.sh.
// It passes what it gathers to the other side, as it comes in, through files in
// a directory that both see; connects; has a packet go each way; and says on one
// line what way was found and how long that took from the start of both. Its
// status is 1 if there is none. Or it says what kind of NAT it is behind.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"securecall/nat"
	"securecall/nat/punched"
	"securecall/nat/reflexive"
)

var (
	dir       = flag.String("dir", "", "`directory` that both sides see")
	role      = flag.String("role", "a", "`a`, which controls, or b")
	bind      = flag.String("bind", "[::]:0", "`address` of the socket")
	server    = flag.String("server", "", "`host` of the STUN and TURN server")
	ca        = flag.String("ca", "", "`file` with the certificate of the authority for TLS")
	relayOnly = flag.Bool("relay-only", false, "no way but by the relay")
	behaviour = flag.Bool("behaviour", false, "only say what kind of NAT is before the server")
	patience  = flag.Duration("patience", 10*time.Second, "how long to try")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	other := map[string]string{"a": "b", "b": "a"}[*role]
	path, err := nat.Listen(ctx, netip.MustParseAddrPort(*bind))
	if err != nil {
		return err
	}
	if *behaviour {
		return discover(ctx, path)
	}
	local := make(chan punched.Description, 100)
	conf := punched.Config{
		Path:        path,
		RelayOnly:   *relayOnly,
		Controlling: *role == "a",
		OnLocal:     func(d punched.Description) { local <- d },
	}
	if *server != "" {
		conf.STUN = []string{*server}
		for _, t := range []punched.Transport{punched.UDP, punched.TCP, punched.TLS} {
			turn := punched.TURN{Server: *server, Transport: t, Username: "user", Password: "pass"}
			if t == punched.TLS && *ca != "" {
				pem, err := os.ReadFile(*ca)
				if err != nil {
					return err
				}
				turn.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
				turn.TLS.RootCAs.AppendCertsFromPEM(pem)
			}
			conf.TURN = append(conf.TURN, turn)
		}
	}
	p, err := punched.New(conf)
	if err != nil {
		return err
	}
	defer p.Close()

	// Both begin at one moment: what is measured is not how they were started.
	if err := put("ready-"+*role, nil); err != nil {
		return err
	}
	if _, err := take(ctx, "ready-"+other); err != nil {
		return err
	}
	start := time.Now()
	gathered := make(chan error, 1)
	go func() { gathered <- p.Gather(ctx) }()
	go func() {
		put(fmt.Sprintf("%s-%d", *role, 0), p.Local().Append(nil))
		for i := 1; ; i++ {
			put(fmt.Sprintf("%s-%d", *role, i), (<-local).Append(nil))
		}
	}()
	first, err := description(ctx, other, 0)
	if err != nil {
		return err
	}
	if err := p.Begin(first); err != nil {
		return err
	}
	go func() {
		for i := 1; ; i++ {
			d, err := description(ctx, other, i)
			if err != nil || !p.Add(d) {
				return
			}
		}
	}()
	if err := p.Connect(ctx, first); err != nil {
		select {
		case e := <-gathered:
			err = errors.Join(err, e)
		default:
		}
		return err
	}
	took := time.Since(start)
	if err := talk(ctx, p); err != nil {
		return err
	}
	r := p.Route()
	fmt.Printf("%v %d %v %v\n", r.Kind, took.Milliseconds(), r.Local, r.Remote)
	// The other side may still want answers.
	if err := put("heard-"+*role, nil); err != nil {
		return err
	}
	_, err = take(ctx, "heard-"+other)
	return err
}

// discover prints what the NAT does.
func discover(ctx context.Context, path nat.Path) error {
	p := reflexive.New(path, rand.Reader)
	defer p.Close()
	go func() {
		buf := make([]byte, 1500)
		for {
			if _, _, err := p.ReadPacket(buf); err != nil {
				return
			}
		}
	}()
	at, err := nat.Resolve(ctx, *server, 3478)
	if err != nil {
		return err
	}
	b, err := p.Discover(ctx, at[0])
	if err != nil {
		return err
	}
	fmt.Println(b.Mapping, b.Filtering, b.Mapped)
	return nil
}

// talk sends a word until the other side's comes in.
func talk(ctx context.Context, p *punched.Path) error {
	heard := make(chan error, 1)
	go func() {
		buf := make([]byte, 100)
		n, from, err := p.ReadPacket(buf)
		if err == nil && (from != punched.Peer || string(buf[:n]) != "\x80word") {
			err = fmt.Errorf("got %q from %v", buf[:n], from)
		}
		heard <- err
	}()
	for {
		if err := p.WritePacket([]byte("\x80word"), punched.Peer); err != nil {
			return err
		}
		select {
		case err := <-heard:
			return err
		case <-ctx.Done():
			return errors.New("nothing was heard")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func description(ctx context.Context, of string, i int) (punched.Description, error) {
	b, err := take(ctx, fmt.Sprintf("%s-%d", of, i))
	if err != nil {
		return punched.Description{}, err
	}
	return punched.ParseDescription(b)
}

// put writes a file that take sees whole.
func put(name string, b []byte) error {
	hidden := filepath.Join(*dir, "."+name)
	if err := os.WriteFile(hidden, b, 0o600); err != nil {
		return err
	}
	return os.Rename(hidden, filepath.Join(*dir, name))
}

// take waits for a file.
func take(ctx context.Context, name string) ([]byte, error) {
	for {
		b, err := os.ReadFile(filepath.Join(*dir, name))
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no %s from the other side", name)
		case <-time.After(time.Millisecond):
		}
	}
}
