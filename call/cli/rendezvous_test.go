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
