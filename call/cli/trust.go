package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"securecall/audio/device"
	"securecall/call"
	"securecall/crypto/zidcache"
)

// Whom to trust: the flags about what is remembered and what is compared.

// trust is what those flags say.
type trust struct {
	state     string // of --state, if it was given
	ephemeral bool
	cache     *zidcache.Cache // nil: ephemeral
	auxiliary []byte
	require   call.Requirement
	verifyVia []string // the command and its arguments
	splitSAS  bool
	known     bool // --accept known
	expect    *call.Contact
	contact   string // --name
	address   string // to remember
}

func trustFlags() []ucli.Flag {
	return []ucli.Flag{
		&ucli.StringFlag{Name: "require", Usage: "`LEVEL` is none, continuity (a known peer with the expected keys), verified or code (by a call code); a call below it ends", DefaultText: "none"},
		&ucli.StringFlag{Name: "verify-via", Usage: "compare the SAS with the first line that `CMD` prints, e.g. 'ssh bob securecall ctl sas'"},
		toggle("split-sas", "show only the half of the SAS that you read out; the other one is typed"),
		&ucli.StringFlag{Name: "secret-file", Usage: "a secret that both sides have, the content of `F`: random, and at least 16 bytes", TakesFile: true},
		&ucli.IntFlag{Name: "secret-fd", Usage: "the same from file descriptor `N`", DefaultText: "none"},
		stateFlag(),
		toggle("ephemeral", "remember nothing, and be nobody that is remembered"),
	}
}

// shortSecret is what could be found out by trying: its hash goes over the
// wire for all to see (RFC 6189, Section 4.3.1).
const (
	shortSecret = 16
	longSecret  = 4096
)

// readTrust reads those flags, but for the state.
func readTrust(c *ucli.Context) (t trust, err error) {
	t.ephemeral, t.splitSAS = c.Bool("ephemeral"), c.Bool("split-sas")
	if c.IsSet("state") {
		if t.state, err = stateDir(c); err != nil {
			return t, err
		}
		if t.ephemeral {
			return t, usagef("leave one of them out", "--ephemeral keeps nothing: there is no place for --state")
		}
	}
	switch r := c.String("require"); r {
	case "", "none":
	case "continuity":
		t.require = call.RequireContinuity
	case "verified":
		t.require = call.RequireVerified
	case "code":
		t.require = call.RequireCode
	default:
		return t, usagef("it takes none, continuity, verified or code", "--require %q is not known", r)
	}
	if (t.require == call.RequireContinuity || t.require == call.RequireVerified) && t.ephemeral {
		return t, usagef("leave one of them out", "--ephemeral knows nobody: --require %s could never hold", c.String("require"))
	}
	if c.IsSet("verify-via") {
		if t.verifyVia, err = device.SplitWords(c.String("verify-via")); err != nil {
			return t, usagef("e.g. --verify-via 'ssh bob securecall ctl sas'", "--verify-via: %v", err)
		}
	}
	t.auxiliary, err = readSecret(c)
	return t, err
}

// checkVia finds out, before anybody calls, whether its program is there.
func (t *trust) checkVia() error {
	if t.verifyVia == nil {
		return nil
	}
	return findProgram("verify-via", t.verifyVia)
}

func readSecret(c *ucli.Context) ([]byte, error) {
	var r io.ReadCloser
	var flag string
	switch {
	case c.IsSet("secret-file") && c.IsSet("secret-fd"):
		return nil, usagef("leave one of them out", "--secret-file and --secret-fd: there is one secret")
	case c.IsSet("secret-file"):
		f, err := os.Open(c.String("secret-file"))
		if err != nil {
			return nil, &secretError{fmt.Errorf("--secret-file: %w", err)}
		}
		r, flag = f, "--secret-file"
	case c.IsSet("secret-fd") && configuredOf(c).secret != nil: // the settings are read again
		return configuredOf(c).secret, nil
	case c.IsSet("secret-fd"):
		r, flag = os.NewFile(uintptr(c.Int("secret-fd")), "secret-fd"), "--secret-fd"
		if c.Int("secret-fd") < 0 {
			return nil, usagef("e.g. securecall dial --secret-fd 3 bob.example 3< secret", "--secret-fd %d is no file descriptor", c.Int("secret-fd"))
		}
	default:
		return nil, nil
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, longSecret+2))
	if err != nil {
		return nil, &secretError{fmt.Errorf("%s: %w", flag, err)}
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) < shortSecret:
		return nil, usagef("make one that nobody can find by trying: head -c 32 /dev/urandom | base64 > secret",
			"%s: a secret of %d bytes; it must have %d", flag, len(b), shortSecret)
	case len(b) > longSecret:
		return nil, usagef("32 random bytes are enough", "%s: a secret of more than %d bytes", flag, longSecret)
	}
	if flag == "--secret-fd" {
		configuredOf(c).secret = b
	}
	return b, nil
}

// secretError is a secret that cannot be read.
type secretError struct{ err error }

func (e *secretError) Error() string { return e.err.Error() }
func (e *secretError) Unwrap() error { return e.err }

// openState opens what is remembered. A damaged file is told as an event.
func (s *settings) openState(c *ucli.Context, q *queue) error {
	if s.ephemeral {
		return nil
	}
	dir, err := stateDir(c)
	if err != nil {
		return err
	}
	s.cache, err = zidcache.Open(dir, func(aside string, why error) {
		d := stateDamaged(aside, why)
		q.put(0, call.Fault{Err: errors.New(d.what), Hint: d.hint})
	})
	if err != nil {
		return &stateError{err}
	}
	return nil
}

// stateError is a state that cannot be used.
type stateError struct{ err error }

func (e *stateError) Error() string { return e.err.Error() }
func (e *stateError) Unwrap() error { return e.err }

// named settles who is called by --name.
func (s *settings) named(name string) error {
	if name == "" {
		return nil
	}
	if s.ephemeral {
		return usagef("leave one of them out", "--ephemeral remembers nobody: there is no place for --name")
	}
	if err := checkName(name); err != nil {
		return usagef("a name is text that can be seen, at most 64 characters", "--name %q: %v", name, err)
	}
	r, known, err := s.cache.Named(name)
	r.Wipe()
	switch {
	case err != nil:
		return &stateError{err}
	case known:
		s.expect = &call.Contact{ZID: r.ZID, Name: name} // another ZID is not the one that has this name
	default:
		s.contact = name
	}
	return nil
}
