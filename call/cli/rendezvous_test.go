package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous"
)

// The limits of a file hold, at the meeting point and at the relay.
func TestLimitsOfAFileHold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "meet.toml")
	err := os.WriteFile(file, []byte(`
bind = "127.0.0.1:0"
turn-bind = "127.0.0.1:0"
no-tls = true
[limits]
mailboxes-per-connection = 1
[limits.turn]
credential-time = "7m"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	app := &ucli.App{Commands: []*ucli.Command{Rendezvous()}, Writer: in, ErrWriter: io.Discard}
	done := make(chan error, 1)
	go func() {
		err := app.RunContext(ctx, []string{"securecall", "rendezvous", "--config", file})
		in.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	server, err := rendezvous.ParseAddress(strings.TrimPrefix(strings.TrimSpace(line), "--via "))
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *rendezvous.Client {
		c, err := rendezvous.Dial(ctx, server, rendezvous.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}

	waiting, joining := connect(), connect()
	box, err := waiting.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.Open(ctx); !errors.Is(err, rendezvous.ErrLimit) {
		t.Errorf("mailboxes-per-connection = 1, and the second: %v", err)
	}
	session, err := joining.Join(ctx, box.Number)
	if err != nil {
		t.Fatal(err)
	}
	if r := session.Relays; len(r) != 1 || r[0].Seconds != 7*60 {
		t.Errorf("credential-time = 7m, and the relays are %+v", r)
	}
}

// What NATS asks for stands in a file, and nowhere where others can see it; no message repeats it.
func TestNATSCredentialsStandInAFile(t *testing.T) {
	dir := t.TempDir()
	good, empty := filepath.Join(dir, "good"), filepath.Join(dir, "empty")
	put(t, good, "node:secret\n")
	put(t, empty, "\n")
	for _, c := range []struct {
		url, file string
		status    int
	}{
		{"nats://127.0.0.1:1", good, 0},
		{"nats://127.0.0.1:1", "", 0},
		{"", "", 0},
		{"nats://node:secret@127.0.0.1:1", "", statusUsage},
		{"nats://127.0.0.1:1,nats://secret@127.0.0.1:1", good, statusUsage},
		{"", good, statusUsage},
		{"nats://127.0.0.1:1", empty, statusUsage},
		{"nats://127.0.0.1:1", filepath.Join(dir, "none"), 31},
	} {
		b, err := readNATS(c.url, c.file)
		if c.status == 0 {
			if err != nil || (c.file == good) != (string(b) == "node:secret\n") {
				t.Errorf("%q, %q: %q, %v", c.url, c.file, b, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q, %q: taken", c.url, c.file)
			continue
		}
		if d := diagnose(err); d.status != c.status || d.hint == "" || strings.Contains(d.what+d.hint, "secret@") || strings.Contains(d.what, "node:") {
			t.Errorf("%q, %q: %+v", c.url, c.file, d)
		}
	}
}
