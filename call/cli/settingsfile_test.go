package cli

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous/quota"
)

// commandLine is what a command is given.
func commandLine(t *testing.T, command *ucli.Command, args ...string) *ucli.Context {
	t.Helper()
	set := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	for _, f := range command.Flags {
		if err := f.Apply(set); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	c := ucli.NewContext(nil, set, nil)
	c.Command = command
	return c
}

// meetingText is what rendezvous --config makes of a file of that text.
func meetingText(name, text string, l *limits) (*settingsFile, error) {
	f := &settingsFile{name: name}
	return f, f.read(text, f.ofCommand(Rendezvous(), map[string]any{"limits": l}))
}

func TestSettingNames(t *testing.T) {
	for field, want := range map[string]string{
		"Names": "names", "MailboxesPerConnection": "mailboxes-per-connection",
		"TCPConnectionsPerNetwork": "tcp-connections-per-network", "UseTCP": "use-tcp",
	} {
		if got := settingName(field); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

// badSettings are files, what is said about them, and the advice.
var badSettings = []struct{ text, what, hint string }{
	{"\nbind = 443", "meet.toml, line 2: bind takes a string", "securecall help rendezvous"},
	{`bind = ["a", "b"]`, "line 1: bind takes a string", ""},
	{"[bind]\nx = 1", "line 1: bind takes a string", ""},
	{"# TLS\n\nno-tls = \"yes\"", "line 3: no-tls takes true or false", ""},
	{"turn-public = 7", "line 1: turn-public takes a string, or a list of strings", ""},
	{`turn = ["relay.example", 3478]`, "line 1: turn takes a string, or a list of strings", ""},
	{"tls-cert = 2026-01-02", "line 1: tls-cert takes a string", ""},

	{`bnid = "x"`, "line 1: bnid is no setting", "did you mean bind?"},
	{"\n\nlimts.mailboxes = 3", "meet.toml", "did you mean limits?"},
	{"[limits]\nmailboxs = 3", "line 2: limits.mailboxs is no setting", "did you mean limits.mailboxes?"},
	{"[limits]\nmailboxes = 3\nallocations = 3", "line 3: limits.allocations is no setting", "did you mean limits.turn.allocations?"},
	{"[limits.turn]\nlongest-tmie = \"1h\"", "line 2: limits.turn.longest-tmie is no setting", "did you mean limits.turn.longest-time?"},
	{"mailboxes = 3", "line 1: mailboxes is no setting", "did you mean limits.mailboxes?"},
	{"idle-time = \"1h\"", "line 1: idle-time is no setting", "did you mean limits.idle-time?"},
	{"[limits]\n\nbind = \"x\"", "line 3: limits.bind is no setting", "did you mean bind?"},
	{"[limits.turn.more]\n", "line 1: limits.turn.more is no setting", ""},
	{"xyzzy = 1", "line 1: xyzzy is no setting", "securecall help rendezvous shows which there are"},
	{"Bind = \"x\"", "line 1: Bind is no setting", "did you mean bind?"},
	{"q = 1", "line 1: q takes true or false", ""},
	{"config = \"other.toml\"", "line 1: config is no setting", "on the command line alone"},
	{"help = true", "line 1: help is no setting", ""},

	{"limits = 3", "line 1: limits is a table", ""},
	{"[[limits]]\nmailboxes = 3", "line 1: limits is a table", ""},
	{"[limits]\nturn = \"none\"", "line 2: limits.turn is a table", ""},
	{"[limits]\nmailboxes = \"3\"", "line 2: limits.mailboxes takes a whole number above zero", ""},
	{"[limits]\nmailboxes = 0", "line 2: limits.mailboxes takes a whole number above zero", ""},
	{"limits = {mailboxes = -1}", "line 1: limits.mailboxes takes a whole number above zero", ""},
	{"[limits]\nmailboxes = 1.5", "line 2: limits.mailboxes takes a whole number above zero", ""},
	{"[limits.turn]\noctets-per-credential = \"2 GiB\"", "line 2: limits.turn.octets-per-credential takes a whole number", ""},
	{"[limits.turn]\noctets-per-credential = 0", "line 2: limits.turn.octets-per-credential takes a whole number", ""},
	{"[limits]\nmailbox-time = 60", "line 2: limits.mailbox-time takes a time above zero", ""},
	{"[limits]\nmailbox-time = \"60\"", "line 2: limits.mailbox-time takes a time above zero", ""},
	{"[limits]\nmailbox-time = \"0s\"", "line 2: limits.mailbox-time takes a time above zero", ""},
	{"[limits]\nmailbox-time = \"721h\"", "line 2: limits.mailbox-time takes a time above zero and up to \"720h\"", ""},
	{"[limits]\nopens-per-network = 30", "line 2: limits.opens-per-network takes a rate such as", ""},
	{"[limits]\nopens-per-network = {burst = 30}", "line 2: limits.opens-per-network takes a rate such as", ""},
	{"[limits]\nopens-per-network = \"30 a minute\"", "line 2: limits.opens-per-network takes a rate such as", ""},

	{"bind = \"a\"\nbind = \"b\"", "meet.toml, line 2: bind stands there twice", "leave one of them out"},
	{"turn = [\"a\"]\n\nturn = [\"b\"]", "meet.toml, line 3: turn stands there twice", ""},
	{"[limits]\n[limits]", "meet.toml, line 2: limits stands there twice", ""},
	{"limits.names = 3\n[limits]\nnames = 3", "meet.toml, line 3: limits.names stands there twice", ""},
	{"bind = \"a\"\n[bind.x]", "meet.toml, line 2: bind stands there twice", ""},
	{"no-tls = true\nbind =", "meet.toml, line 2: that is no TOML", "a line each"},
	{"no-tls = yes", "meet.toml, line 1: that is no TOML", "a line each"},
	{"bind = \"\xff\"", "meet.toml, line 1: that is no TOML", "a line each"},
}

func TestBadSettings(t *testing.T) {
	for _, bad := range badSettings {
		l := defaultLimits()
		_, err := meetingText("etc/meet.toml", bad.text, &l)
		if err == nil {
			t.Errorf("%q is taken", bad.text)
			continue
		}
		if d := diagnose(err); d.status != statusUsage || !strings.HasPrefix(d.what, "etc/meet.toml") || !strings.Contains(d.what, bad.what) || !strings.Contains(d.hint, bad.hint) {
			t.Errorf("%q gives %d: %s\n%s", bad.text, d.status, d.what, d.hint)
		}
	}
}

// A secret that somebody has put in the file is not repeated.
func TestSettingsSayNoValue(t *testing.T) {
	for _, text := range []string{`turn-secret = "hunter2hunter2"`, "static-auth-secret=hunter2hunter2", "turn-secret = 123456789012345678901hunter2", `no-tls = "hunter2hunter2"`, "[limits]\nmailbox-time = \"hunter2hunter2\""} {
		l := defaultLimits()
		if _, err := meetingText("meet.toml", text, &l); err == nil || strings.Contains(err.Error()+diagnose(err).hint, "hunter2") {
			t.Errorf("%q gives %v", text, err)
		}
	}
}

func TestSettingsFile(t *testing.T) {
	dir := t.TempDir()
	file, absolute := filepath.Join(dir, "meet.toml"), filepath.Join(dir, "else", "meet.key")
	err := os.WriteFile(file, []byte(`
bind = "192.0.2.7"
turn-bind = "none"
turn-public = ["203.0.113.1", "2001:db8::1"]
turn = "relay1.example,relay2.example"
tls-cert = "tls/meet.pem"
tls-key = '`+absolute+`'
no-tls = true
[limits]
mailboxes-per-connection = 1
opens-per-network = "5 then 2 per 1m"
turn.octets-per-credential = 1_000_000
turn.idle-time = "1m30s"
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, l, want := commandLine(t, Rendezvous(), "--bind", ":8080", "--no-tls=false"), defaultLimits(), defaultLimits()
	if err := readSettingsFile(c, file, map[string]any{"limits": &l}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"bind": ":8080", "turn-bind": "none", "turn-public": "203.0.113.1,2001:db8::1", "turn": "relay1.example,relay2.example",
		"tls-cert": filepath.Join(dir, "tls", "meet.pem"), "tls-key": absolute, "nats": "",
	} {
		if got := c.String(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if c.Bool("no-tls") {
		t.Error("--no-tls=false on the command line does not win")
	}
	want.MailboxesPerConnection = 1
	want.OpensPerNetwork = quota.Rate{Burst: 5, Every: 30 * time.Second}
	want.Turn.OctetsPerCredential = 1_000_000
	want.Turn.IdleTime = 90 * time.Second
	if l != want {
		t.Errorf("limits: %+v\nwant %+v", l, want)
	}

	// What is wrong in the file is wrong where the command line wins, too.
	if _, err := meetingText("meet.toml", "bind = 7", &l); err == nil {
		t.Error("bind = 7 is taken")
	}
	err = readSettingsFile(c, filepath.Join(dir, "none.toml"), nil)
	if d := diagnose(err); d.status != 31 || !strings.Contains(d.what, "none.toml") {
		t.Errorf("a file that is not there: %+v", d)
	}
}

const example = "../../scripts/rendezvous/rendezvous.toml"

// readExample is the example with every line that is left out in it.
func readExample(t testing.TB) string {
	b, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^#([a-z-]+ = )`).ReplaceAllString(string(b), "$1")
}

// scripts/rendezvous/rendezvous.toml can be read as it is, names every setting, and has
// the defaults of the limits right.
func TestExampleSettings(t *testing.T) {
	c, l := commandLine(t, Rendezvous()), defaultLimits()
	if err := readSettingsFile(c, example, map[string]any{"limits": &l}); err != nil {
		t.Fatal(err)
	}
	if l != defaultLimits() {
		t.Errorf("its limits: %+v", l)
	}
	if cert := c.String("tls-cert"); cert != filepath.Join(filepath.Dir(example), "meet.pem") {
		t.Errorf("its certificate: %s", cert)
	}

	l = limits{} // so that one that is not there shows
	f, err := meetingText("meet.toml", readExample(t), &l)
	if err != nil {
		t.Fatal(err)
	}
	if l != defaultLimits() {
		t.Errorf("the limits that it shows: %+v\nwant %+v", l, defaultLimits())
	}
	for _, name := range f.known {
		if !f.meta.IsDefined(strings.Split(name, ".")...) {
			t.Errorf("it does not have %s", name)
		}
	}
}

// Whatever a file holds, there is no panic, what is refused is a usage error, and what is
// taken lets somebody in and has an end.
func FuzzSettings(f *testing.F) {
	f.Add(readExample(f))
	for _, bad := range badSettings {
		f.Add(bad.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := defaultLimits()
		_, err := meetingText("meet.toml", text, &l)
		var usage *usageError
		switch {
		case err != nil && !errors.As(err, &usage):
			t.Errorf("%T: %v", err, err)
		case err == nil:
			sane(t, reflect.ValueOf(l))
		}
	})
}

func sane(t *testing.T, v reflect.Value) {
	if r, ok := v.Interface().(quota.Rate); ok {
		var b quota.Bucket
		if now := time.Now(); r.Burst < 1 || r.Every < 1 || !b.Take(now, r, r.Burst) || b.Take(now, r, 1) {
			t.Errorf("a rate of %+v", r)
		}
		return
	}
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.Struct:
			sane(t, field)
		default:
			if field.Int() < 1 {
				t.Errorf("%s is %d", v.Type().Field(i).Name, field.Int())
			}
		}
	}
}
