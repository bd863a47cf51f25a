package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/nat"
	"securecall/nat/rendezvous"
	"securecall/nat/rendezvous/relay"
)

const (
	meetingPort = 443
	turnPort    = 3478 // RFC 8656, Section 14.3
)

// Rendezvous is the command rendezvous.
func Rendezvous() *ucli.Command {
	return &ucli.Command{
		Name:  "rendezvous",
		Usage: "a meeting point and relay for others",
		UsageText: `securecall rendezvous --tls-cert meet.example.pem --tls-key meet.example.key
securecall rendezvous --config meet.toml
securecall rendezvous --no-tls --bind 127.0.0.1:8080`,
		Description: `People name it with --via HOST. It sees who meets whom and when, and never a key or
a word (docs/rendezvous.md). Nothing is written to disk; the certificate is read again
when its files change. Behind a proxy on this machine, --no-tls leaves TLS to that.

A file for --config is TOML. It has the settings below under their own names, and the
limits on what one person, or all of them, may have: docs/rendezvous.md ("Settings in a
file") has all of it. What stands on the command line or in the environment wins.`,
		Flags: []ucli.Flag{
			&ucli.StringFlag{Name: "bind", Usage: "where people meet, `ADDR[:PORT]`, TCP", DefaultText: "[::]:443, both families"},
			&ucli.StringFlag{Name: "turn-bind", Usage: "where STUN and TURN are, `ADDR[:PORT]`, UDP and TCP; or none", DefaultText: "[::]:3478, both families"},
			&ucli.StringFlag{Name: "turn-public", Usage: "`LIST` of the addresses, one a family, by which others reach the relay, where this machine has them not itself", DefaultText: "its own"},
			toggle("turn-private", "relay to private addresses too: for a local network"),
			&ucli.StringFlag{Name: "turn", Usage: "`LIST` of other STUN and TURN servers, HOST[:PORT], such as coturn, that have the secret of --turn-secret-file"},
			&ucli.StringFlag{Name: "turn-secret-file", Usage: "`F` holds that secret (coturn: static-auth-secret)", TakesFile: true},
			&ucli.StringFlag{Name: "tls-cert", Usage: "`FILE` with the certificate and those in between, PEM", TakesFile: true},
			&ucli.StringFlag{Name: "tls-key", Usage: "`FILE` with its key, PEM", TakesFile: true},
			toggle("no-tls", "no TLS: for tests, or behind a proxy"),
			&ucli.StringFlag{Name: "nats", Usage: "`URL` of a NATS with JetStream, whose nodes share their mailboxes", DefaultText: "one node alone"},
			&ucli.StringFlag{Name: "nats-credentials", Usage: "`F` holds what that NATS asks for: USER:PASSWORD, a token, or its own credentials (.creds)", TakesFile: true},
			&ucli.StringFlag{Name: "config", Usage: "`FILE` of settings and limits", TakesFile: true},
			toggle("q", "say only what must be known"),
			toggle("v", "name the networks that reach a limit in the log"),
		},
		Action: runRendezvous,
	}
}

// meeting is what the flags of rendezvous say.
type meeting struct {
	bind, turnBind netip.AddrPort
	turn           bool
	public         []netip.Addr
	private        bool
	others         []rendezvous.Relay // without credentials
	secret         string             // that they have
	tls            *tls.Config        // nil: none
	names          []string           // that the certificate is for
	nats           []byte             // credentials
	limits         limits
	quiet, verbose bool
}

// limits are the table [limits] of a settings file, with [limits.turn] for the relay.
type limits struct {
	rendezvous.Limits
	Turn relay.Limits
}

func defaultLimits() limits { return limits{rendezvous.DefaultLimits(), relay.DefaultLimits()} }

func readMeeting(c *ucli.Context) (*meeting, error) {
	m := &meeting{
		bind:     netip.AddrPortFrom(netip.IPv6Unspecified(), meetingPort),
		turnBind: netip.AddrPortFrom(netip.IPv6Unspecified(), turnPort),
		limits:   configuredOf(c).limits,
	}
	if c.Args().Present() {
		return nil, usagef("securecall help rendezvous shows what it takes", "rendezvous takes no argument, and got %q", printable(c.Args().First()))
	}
	if c.IsSet("config") {
		if err := readSettingsFile(c, c.String("config"), map[string]any{"limits": &m.limits}); err != nil {
			return nil, err
		}
	}
	m.quiet, m.verbose = c.Bool("q"), c.Bool("v")
	if m.quiet && m.verbose {
		return nil, usagef("leave one of them out", "-q and -v contradict each other")
	}
	m.turn, m.private = c.String("turn-bind") != "none", c.Bool("turn-private")
	var err error
	if b := c.String("bind"); b != "" {
		if m.bind, err = parseBind(b, meetingPort); err != nil {
			return nil, err
		}
	}
	if b := c.String("turn-bind"); b != "" && m.turn {
		if m.turnBind, err = parseBind(b, turnPort); err != nil {
			return nil, usagef("e.g. --turn-bind 192.0.2.7, --turn-bind [::]:3478; or none", "--turn-bind %q is no local address", printable(b))
		}
	}
	if !m.turn && (m.private || c.IsSet("turn-public")) {
		return nil, usagef("leave one of them out", "--turn-bind none has no relay for --turn-public and --turn-private")
	}
	if m.public, err = readPublic(c.String("turn-public")); err != nil {
		return nil, err
	}
	if c.String("nats") != "" && m.limits.MailboxTime > natsMailboxTime {
		return nil, usagef("make it \"1h\" or less, or do without --nats", "limits.mailbox-time is more than nodes that share their mailboxes remember")
	}
	if m.nats, err = readNATS(c.String("nats"), c.String("nats-credentials")); err != nil {
		return nil, err
	}
	if m.others, m.secret, err = readOthers(c.String("turn"), c.String("turn-secret-file")); err != nil {
		return nil, err
	}
	cert, key := c.String("tls-cert"), c.String("tls-key")
	switch {
	case c.Bool("no-tls") && (cert != "" || key != ""):
		return nil, usagef("leave one of them out", "--no-tls has no use for --tls-cert and --tls-key")
	case c.Bool("no-tls"):
		return m, nil
	case cert == "" || key == "":
		return nil, usagef("a certificate for the server's name, e.g. of Let's Encrypt; --no-tls is for tests, or behind a proxy",
			"rendezvous needs --tls-cert and --tls-key")
	}
	k, err := readCertificate(cert, key)
	if err != nil {
		return nil, err
	}
	m.tls = &tls.Config{GetCertificate: k.get, MinVersion: tls.VersionTLS12}
	m.names = k.names()
	return m, nil
}

// readNATS reads --nats-credentials, and refuses credentials elsewhere: everybody on this machine
// can see a command line.
func readNATS(urls, file string) ([]byte, error) {
	switch {
	case strings.Contains(urls, "@"):
		return nil, usagef("--nats nats://HOST:4222 --nats-credentials F, where F holds USER:PASSWORD; and choose another password", "--nats: there is no place for a password in the URL")
	case file == "":
		return nil, nil
	case urls == "":
		return nil, usagef("e.g. --nats nats://nats1:4222 --nats-credentials F", "--nats-credentials needs --nats")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, &secretError{fmt.Errorf("--nats-credentials: %w", err)}
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, usagef("USER:PASSWORD, a token, or NATS's own credentials", "--nats-credentials: the file is empty")
	}
	return b, nil
}

// natsMailboxTime is the longest for which nodes hold a mailbox: NATS forgets it after two
// hours, when its number must have rested.
const natsMailboxTime = time.Hour

func readPublic(list string) (public []netip.Addr, err error) {
	if list == "" {
		return nil, nil
	}
	families := map[bool]bool{}
	for s := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil || a.IsUnspecified() || a.Zone() != "" {
			return nil, usagef("e.g. --turn-public 203.0.113.1,2001:db8::1", "--turn-public %q is no address", printable(s))
		}
		a = a.Unmap()
		if families[a.Is4()] {
			return nil, usagef("one IPv4 and one IPv6 address", "--turn-public has two addresses of one family")
		}
		families[a.Is4()] = true
		public = append(public, a)
	}
	return public, nil
}

// mostOthers is how many relays a client can be told of, with our own.
const mostOthers = 7

// readOthers reads --turn and --turn-secret-file.
func readOthers(list, file string) (others []rendezvous.Relay, secret string, err error) {
	if list == "" && file == "" {
		return nil, "", nil
	}
	if list == "" || file == "" {
		return nil, "", usagef("e.g. --turn relay1.example,relay2.example --turn-secret-file secret", "--turn and --turn-secret-file go together")
	}
	for s := range strings.SplitSeq(list, ",") {
		// The address of a meeting point is HOST[:PORT] as well.
		a, err := rendezvous.ParseAddress("ws://" + strings.TrimSpace(s))
		if err != nil || strings.Contains(s, "/") {
			return nil, "", usagef("e.g. --turn relay1.example,relay2.example:3478", "--turn %q is no HOST[:PORT]", printable(s))
		}
		if a.Port == 80 && !strings.HasSuffix(s, ":80") {
			a.Port = turnPort
		}
		others = append(others, rendezvous.Relay{Host: a.Host, Port: a.Port})
	}
	if len(others) > mostOthers {
		return nil, "", usagef("leave some of them out", "--turn has %d servers; a client is told of %d", len(others), mostOthers)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, "", &secretError{fmt.Errorf("--turn-secret-file: %w", err)}
	}
	if secret = strings.TrimSpace(string(b)); len(secret) < shortSecret {
		return nil, "", usagef("make one: head -c 32 /dev/urandom | base64 > secret", "--turn-secret-file: a secret of %d bytes; it must have %d", len(secret), shortSecret)
	}
	return others, secret, nil
}

// othersTime is how long credentials for other servers are good: some refuse to refresh
// what outlasts them.
const othersTime = 12 * time.Hour

// relays is what one end of a session is told.
func (m *meeting) relays(own *relay.Server) (all []rendezvous.Relay) {
	now := time.Now()
	if own != nil {
		u, p := own.Credentials(now)
		all = append(all, rendezvous.Relay{Port: own.Port(), Username: u, Password: p, Seconds: int(own.Limits.CredentialTime / time.Second)})
	}
	for _, r := range m.others {
		r.Username, r.Password = relay.Credentials(m.secret, now.Add(othersTime))
		r.Seconds = int(othersTime / time.Second)
		all = append(all, r)
	}
	return all
}

func runRendezvous(c *ucli.Context) error {
	open := &openMeeting{rereader: newRereader(c), rereads: hangupRereads()}
	m, err := readMeeting(c)
	if err != nil {
		return err
	}
	open.now.Store(m)
	if open.manager, err = meetManager(); err != nil {
		return err
	}
	meet, packets, listeners, err := m.sockets(open.manager)
	if err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS() // main has asked for what suits a call
	}
	ctx := c.Context
	l, err := m.listen(ctx, meet)
	if err != nil {
		return err
	}
	defer l.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	settings := rendezvous.Settings{Limits: m.limits.Limits, Log: log, LogAddresses: m.verbose}
	if m.tls == nil {
		settings.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if url := c.String("nats"); url != "" {
		store, err := rendezvous.NewNATS(ctx, url, m.nats)
		if err != nil {
			return &natsError{err}
		}
		settings.Store = store
	}
	var r *relay.Server
	if m.turn {
		r, err = relay.Start(ctx, relay.Settings{
			Bind: m.turnBind, Packets: packets, Listeners: listeners, Public: m.public, Private: m.private, Limits: m.limits.Turn, Log: log, LogAddresses: m.verbose,
		})
		if errors.Is(err, relay.ErrPassed) {
			return usagef("securecall-rendezvous-turn.socket shows how: one of UDP and one of TCP for each family, at one port", "the sockets named turn: %v", err)
		}
		if err != nil {
			return &portError{nat.NewBindError("UDP and TCP", m.turnBind, err), "--turn-bind"}
		}
		defer r.Close()
	}
	settings.Relays = func() []rendezvous.Relay { return open.relays(r) }
	server, err := rendezvous.NewServer(settings)
	if err != nil {
		return err
	}
	m.announce(c, l.Addr(), r)
	defer open.rereading()()
	defer open.ready(ctx)()
	err = server.Serve(ctx, open.beating(l, server), open.tls())
	if ctx.Err() != nil {
		m.talk(c, "the meeting point is closed")
	}
	return err
}

// talk says a line, unless -q wants none.
func (m *meeting) talk(c *ucli.Context, format string, args ...any) {
	if !m.quiet {
		fmt.Fprintf(c.App.ErrWriter, format+"\n", args...)
	}
}

// announce says what is open, and what people type.
func (m *meeting) announce(c *ucli.Context, at net.Addr, r *relay.Server) {
	via := rendezvous.Address{Host: "HOST", Port: uint16(at.(*net.TCPAddr).Port), Plain: m.tls == nil}
	switch {
	case len(m.names) > 0:
		via.Host = m.names[0]
	case !m.bind.Addr().IsUnspecified():
		via.Host = m.bind.Addr().String()
	}
	if m.tls == nil {
		m.talk(c, "the meeting point is open at %s, without TLS", at)
	} else {
		m.talk(c, "the meeting point is open at %s", at)
	}
	if r != nil {
		for _, a := range r.Addresses() {
			m.talk(c, "STUN and TURN at port %d, UDP and TCP, relaying at %s", r.Port(), a)
			if !m.private && (a.IsPrivate() || a.IsLoopback()) {
				m.talk(c, "  that is a private address: --turn-public says by which one others reach it")
			}
		}
	}
	m.talk(c, "people use it with:")
	fmt.Fprintf(c.App.Writer, "  --via %s\n", strings.TrimSuffix(printable(via.String()), ":443"))
}

// listenTCP is both families where bind is unspecified IPv6, and IPv4 alone
// where there is no other.
func listenTCP(ctx context.Context, bind netip.AddrPort) (net.Listener, error) {
	var c net.ListenConfig
	network := "tcp"
	if bind.Addr().Is4() {
		network = "tcp4"
	}
	l, err := c.Listen(ctx, network, bind.String())
	if err != nil && bind.Addr() == netip.IPv6Unspecified() {
		if l4, err4 := c.Listen(ctx, "tcp4", fmt.Sprintf("0.0.0.0:%d", bind.Port())); err4 == nil {
			return l4, nil
		}
	}
	return l, err
}

// A portError is a port that a server cannot have; flag chooses another.
type portError struct {
	err  *nat.BindError
	flag string
}

func (e *portError) Error() string { return e.err.Error() }
func (e *portError) Unwrap() error { return e.err }

// A natsError is a NATS that cannot be used.
type natsError struct{ err error }

func (e *natsError) Error() string { return "the nodes cannot share their mailboxes: " + e.err.Error() }
func (e *natsError) Unwrap() error { return e.err }

// A certificateError is a certificate that cannot be used.
type certificateError struct{ err error }

func (e *certificateError) Error() string { return "the certificate cannot be used: " + e.err.Error() }
func (e *certificateError) Unwrap() error { return e.err }

// hint is what to do about it.
func (e *certificateError) hint() string {
	switch {
	case errors.Is(e.err, os.ErrNotExist):
		return "--tls-cert and --tls-key are files in PEM; check their names"
	case errors.Is(e.err, os.ErrPermission):
		return "let the user that runs it read both files"
	}
	return "--tls-cert has the certificate first and those in between after it, --tls-key the key that belongs to it, both in PEM"
}
