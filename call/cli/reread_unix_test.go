//go:build unix

package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/call"
)

// A configured endpoint notes what the calls to come are to be like.
type configuredEndpoint struct {
	endpoint
	confs []call.Config
}

func (e *configuredEndpoint) Configure(c call.Config) error {
	e.confs = append(e.confs, c)
	return nil
}

// SIGHUP takes over what the calls to come can have, the command line wins as before, what
// takes a restart is named, and what is wrong changes nothing.
func TestListenReadsItsSettingsAgain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	t.Setenv("SECURECALL_CONFIG", file)
	t.Setenv("SECURECALL_HASH", "S256")
	const first = "duration = \"1m\"\n[listen]\nbind = \"127.0.0.1:0\"\naccept = \"all\"\nmax-calls = 2\n"
	put(t, file, first)
	secret, secretEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secretEnd.WriteString(strings.Repeat("s", 32)); err != nil {
		t.Fatal(err)
	}
	_ = secretEnd.Close()
	fd, err := syscall.Dup(int(secret.Fd())) // to give away
	if err != nil {
		t.Fatal(err)
	}
	_ = secret.Close()

	var said bytes.Buffer
	command := Listen()
	command.Before = configure
	command.Action = func(c *ucli.Context) error {
		again := newRereader(c)
		s, err := readListen(c)
		if err != nil {
			return err
		}
		e := &configuredEndpoint{}
		p := &phone{s: s, reader: again, hooks: newHooks(s), screen: &screen{results: io.Discard, talk: &said, errors: &said, accept: true}}
		p.crowd = newCrowd(p.screen)
		last := func() call.Config {
			t.Helper()
			if len(e.confs) == 0 {
				t.Fatal("nothing was taken over")
			}
			return e.confs[len(e.confs)-1]
		}
		reread := func(what, text string, taken bool, want ...string) {
			t.Helper()
			said.Reset()
			put(t, file, text)
			before := len(e.confs)
			p.reread(e, newQueue())
			if (len(e.confs) > before) != taken {
				t.Errorf("%s: taken over %d times", what, len(e.confs)-before)
			}
			for _, w := range want {
				if !strings.Contains(said.String(), w) {
					t.Errorf("%s: %q is not said:\n%s", what, w, &said)
				}
			}
			if len(want) == 1 && strings.Contains(said.String(), "restart") {
				t.Errorf("%s: said to take a restart:\n%s", what, &said)
			}
		}

		reread("nothing", first, true, "the settings were read again")
		if c := last(); !c.AcceptAll || c.MaxCalls != 2 || len(c.Auxiliary) != 32 || c.Algorithms.Hashes == nil {
			t.Errorf("nothing has changed, and the calls to come have %+v", c)
		}
		reread("for the calls to come", "duration = \"2m\"\ncipher = \"AES3\"\n[listen]\nbind = \"127.0.0.1:0\"\nmax-calls = 5\non-incoming = \"true\"\non-ended = \"true\"\n", true,
			"the settings were read again, for the calls to come")
		if c := last(); c.AcceptAll || c.MaxCalls != 5 || c.Duration.Minutes() != 2 || len(c.Algorithms.Ciphers) != 1 {
			t.Errorf("the calls to come have %+v", c)
		}
		if !p.screen.hooked || p.hooks.commands["ended"] == nil {
			t.Error("commands are not taken over")
		}
		reread("what takes a restart", "[listen]\nbind = \"127.0.0.1:7\"\nephemeral = true\nmax-calls = 3\naccept = \"all\"\n", true,
			"the settings were read again", "to change bind, ephemeral takes a restart")
		if c := last(); c.MaxCalls != 3 || p.s.bind.Port() != 0 || p.s.ephemeral {
			t.Errorf("the calls to come have %+v at %v", c, p.s.bind)
		}
		reread("shorter packets", "packet-time = \"10ms\"\n"+first, true, "read again", "to change packet-time takes a restart")
		if c := last(); c.PacketTime != 20*time.Millisecond {
			t.Errorf("the calls to come have packets of %v", c.PacketTime)
		}
		reread("one call instead of many", "[listen]\nbind = \"127.0.0.1:0\"\naccept = \"all\"\n", true, "read again", "to change max-calls takes a restart")
		reread("a mistyped setting", "[listen]\nacept = \"all\"\n", false, "the settings stay as they were: "+file+", line 2: listen.acept is no setting")
		reread("nobody to ask", "[listen]\nbind = \"127.0.0.1:0\"\nmax-calls = 2\n", false, "the settings stay as they were")
		reread("a program that is not there", "[listen]\naccept = \"all\"\non-ended = \"no-such-program\"\n", false, "the settings stay as they were: --on-ended")
		t.Setenv("SECURECALL_HASH", "none")
		reread("an environment that is wrong", first, false, "the settings stay as they were", "--hash comes from SECURECALL_HASH")
		if slices.Contains(p.s.hooks["ended"], "no-such-program") {
			t.Error("what is wrong was taken over")
		}
		return nil
	}
	app := &ucli.App{Commands: []*ucli.Command{command}, Writer: io.Discard, ErrWriter: &said}
	args := []string{"securecall", "listen", "--mic", "none", "--speaker", "none", "--secret-fd", strconv.Itoa(fd)}
	ctx, _ := withConfigured(t.Context())
	if err := app.RunContext(ctx, args); err != nil {
		t.Fatal(err)
	}
}
