package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"securecall/crypto/zidcache"
	"securecall/nat/rendezvous"
)

func everyCommand() []*ucli.Command {
	return []*ucli.Command{
		Listen(), Dial(), Demo(), Contacts(), Ctl(), Devices(), Doctor(), Rendezvous(), Config(), Version(), Help(),
	}
}

// keep makes text the file of settings, and takes away what whoever runs the tests keeps in
// the environment.
func keep(t *testing.T, text string) (name string) {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "SECURECALL_") {
			t.Setenv(name, "")
		}
	}
	name = filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECURECALL_CONFIG", name)
	return name
}

// configuredBy is what a command has been given once all that counts has been read.
func configuredBy(t *testing.T, command string, args ...string) (*ucli.Context, *configured, error) {
	t.Helper()
	app := &ucli.App{Commands: everyCommand()}
	i := slices.IndexFunc(app.Commands, func(c *ucli.Command) bool { return c.Name == command })
	c := commandLine(t, app.Commands[i], args...)
	c.App = app
	ctx, s := withConfigured(c.Context)
	c.Context = ctx
	return c, s, configure(c)
}

// The contract: "Every flag can stand in config.toml under its own name", and in the environment.
// Whoever adds one finds out here if it cannot, and makes sure that it can.
func TestEveryFlagCanBeKept(t *testing.T) {
	for _, command := range []*ucli.Command{Listen(), Dial()} {
		for _, f := range command.Flags {
			name := f.Names()[0]
			if name == "secret-fd" { // a descriptor is of one process
				continue
			}
			var text, inFile string
			switch f.(type) {
			case *ucli.BoolFlag:
				text, inFile = "true", "true"
			case *ucli.IntFlag:
				text, inFile = "7", "7"
			case *ucli.DurationFlag:
				text, inFile = "1m30s", `"90s"`
			case *ucli.StringFlag:
				text, inFile = "/x", `"/x"`
			default:
				t.Errorf("--%s is a %T, which no file can hold: see settingsFile.text", name, f)
				continue
			}
			for where, file := range map[string]string{
				"top":   name + " = " + inFile,
				"table": "\n[" + command.Name + "]\n" + name + " = " + inFile,
			} {
				file := keep(t, file)
				c, s, err := configuredBy(t, command.Name)
				line := map[string]int{"top": 1, "table": 3}[where]
				if err != nil || !c.IsSet(name) || fmt.Sprint(c.Value(name)) != text || s.from[name] != (origin{file: file, line: line}) {
					t.Errorf("%s: %s at the %s of the file: %v, from %v (%v)", command.Name, name, where, c.Value(name), s.from[name], err)
				}
			}
			keep(t, "")
			t.Setenv(variable(name), text)
			c, s, err := configuredBy(t, command.Name)
			if err != nil || !c.IsSet(name) || fmt.Sprint(c.Value(name)) != text || s.from[name] != (origin{variable: variable(name)}) {
				t.Errorf("%s: %s in the environment: %v, from %v (%v)", command.Name, name, c.Value(name), s.from[name], err)
			}
			t.Setenv(variable(name), "")
		}
	}
}

// The contract: "Flag over environment over file."
func TestWhoIsNearerWins(t *testing.T) {
	keep(t, `
mic = "top"
speaker = "top"
bind = "top"
via = "top"
[listen]
speaker = "table"
bind = "table"
via = "table"
[dial]
mic = "of another command"
`)
	t.Setenv("SECURECALL_BIND", "environment")
	t.Setenv("SECURECALL_VIA", "environment")
	t.Setenv("SECURECALL_STATE", "") // empty is none
	c, s, err := configuredBy(t, "listen", "--via", "typed")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"mic": "top", "speaker": "table", "bind": "environment", "via": "typed", "state": ""} {
		if got := c.String(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if !onCommandLine(c, "via") || onCommandLine(c, "bind") || onCommandLine(c, "mic") || onCommandLine(c, "state") {
		t.Error("typed are others than --via")
	}
	if len(s.from) != 3 || s.from["speaker"].line != 7 {
		t.Errorf("they come from %v", s.from)
	}
}

// What is kept for calls is for those who share it, and not for a meeting point.
func TestTheTopIsForCallsAndWhatSharesTheirs(t *testing.T) {
	keep(t, `
bind = "192.0.2.7"
state = "/calls"
json = true
v = true
timeout = "1m"
accept = "all"
`)
	for command, want := range map[string]string{
		"listen":     "accept bind json state v",
		"dial":       "bind json state timeout v",
		"contacts":   "state",
		"ctl":        "state",
		"devices":    "",
		"doctor":     "bind state",
		"rendezvous": "",
	} {
		_, s, err := configuredBy(t, command)
		var got []string
		for name := range s.from {
			got = append(got, name)
		}
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s has %v, want %s (%v)", command, got, want, err)
		}
	}
}

func TestLimitsInTheUsersFile(t *testing.T) {
	file := keep(t, `
[rendezvous]
bind = ":8080"
tls-cert = "meet.pem"
[rendezvous.limits]
mailboxes = 7
turn.idle-time = "1m"
`)
	c, s, err := configuredBy(t, "rendezvous")
	if err != nil {
		t.Fatal(err)
	}
	want := defaultLimits()
	want.Mailboxes, want.Turn.IdleTime = 7, 60e9
	if s.limits != want || s.from["limits.mailboxes"] != (origin{file: file, line: 6}) {
		t.Errorf("the limits are %+v, from %v", s.limits, s.from)
	}
	if c.String("bind") != ":8080" || c.String("tls-cert") != filepath.Join(filepath.Dir(file), "meet.pem") {
		t.Errorf("bind is %s, tls-cert %s", c.String("bind"), c.String("tls-cert"))
	}

	// --config names a file to read in place of this one.
	if c, s, err := configuredBy(t, "rendezvous", "--config", "meet.toml"); err != nil || c.IsSet("bind") || s.limits != defaultLimits() {
		t.Errorf("beside --config: %v (%v)", s.from, err)
	}
}

// What leaves no place for another thing wins over it if it is nearer, and contradicts it if not.
func TestWhatIsKeptGivesWay(t *testing.T) {
	for _, test := range []struct{ file, args, set, left string }{
		{`mic = "headset"`, "--echo", "", "mic"},
		{`mic = "headset"`, "--echo=false", "mic", ""},
		{"echo = true", "--mic headset", "", "echo"},
		{"mic = \"headset\"\n[listen]\necho = true", "", "echo", "mic"},
		{"echo = true\nmic = \"headset\"", "", "echo mic", ""},
		{`state = "/x"`, "--ephemeral", "", "state"},
		{"ephemeral = true", "--state /x", "", "ephemeral"},
		{"q = true", "-v", "", "q"},
		{`secret-file = "/x"`, "--secret-fd 3", "", "secret-file"},
		{"map = true", "--relay-only", "", "map"},
		// Nothing that guards somebody is given up without a word.
		{"relay-only = true", "--map", "relay-only", ""},
		{`require = "verified"`, "--ephemeral", "require", ""},
	} {
		keep(t, test.file)
		c, s, err := configuredBy(t, "listen", strings.Fields(test.args)...)
		if err != nil {
			t.Errorf("%q, %s: %v", test.file, test.args, err)
		}
		for _, name := range strings.Fields(test.set) {
			if _, kept := s.from[name]; !kept || !c.IsSet(name) {
				t.Errorf("%q, %s: %s is left out", test.file, test.args, name)
			}
		}
		for _, name := range strings.Fields(test.left) {
			if c.IsSet(name) {
				t.Errorf("%q, %s: %s is set", test.file, test.args, name)
			}
		}
	}
}

func TestBadVariables(t *testing.T) {
	for name, test := range map[string]struct{ text, what, hint string }{
		"SECURECALL_DURATION":   {"90", `SECURECALL_DURATION takes a time such as "90s"`, "securecall help listen"},
		"SECURECALL_MAX_CALLS":  {"1.5", "SECURECALL_MAX_CALLS takes a whole number", ""},
		"SECURECALL_ONCE":       {"yes", "SECURECALL_ONCE takes true or false", ""},
		"SECURECALL_SECRET_FD":  {"3", "SECURECALL_SECRET_FD: --secret-fd can stand on the command line alone", "SECURECALL_SECRET_FILE"},
		"SECURECALL_Q":          {"-", "SECURECALL_Q takes true or false", ""},
		"SECURECALL_NO_COLOR":   {" ", "SECURECALL_NO_COLOR takes true or false", ""},
		"SECURECALL_RELAY_ONLY": {"2", "SECURECALL_RELAY_ONLY takes true or false", ""},
	} {
		keep(t, "")
		t.Setenv(name, test.text)
		_, _, err := configuredBy(t, "listen")
		if err == nil {
			t.Errorf("%s=%s is taken", name, test.text)
			continue
		}
		if d := diagnose(err); d.status != statusUsage || !strings.HasPrefix(d.what, test.what) || !strings.Contains(d.hint, test.hint) {
			t.Errorf("%s=%s gives %+v", name, test.text, d)
		}
		t.Setenv(name, "")
	}
	// What is no setting can have any meaning.
	keep(t, "")
	t.Setenv("SECURECALL_TEST", "yes")
	t.Setenv("SECURECALL_BNID", "x")
	t.Setenv("SECURECALL_TIMEOUT", "of another command")
	if _, s, err := configuredBy(t, "devices"); err != nil || len(s.from) > 0 {
		t.Errorf("it has taken %v (%v)", s.from, err)
	}
}

func TestWhereItComesFromIsSaid(t *testing.T) {
	o := origins{
		"bind": {file: "f.toml", line: 3}, "q": {variable: "SECURECALL_Q"}, "limits.mailbox-time": {file: "f.toml", line: 9},
	}
	for _, test := range []struct{ what, hint, want string }{
		{`--bind "x" is no local address`, "e.g. --bind 192.0.2.7", "--bind comes from f.toml, line 3; e.g. --bind 192.0.2.7"},
		{"-q and -v contradict each other", "leave one of them out", "-q comes from SECURECALL_Q; leave one of them out"},
		{"limits.mailbox-time is more than that", "", "limits.mailbox-time comes from f.toml, line 9"},
		{"the port is taken", "--bind ADDR:PORT chooses another", "--bind comes from f.toml, line 3; --bind ADDR:PORT chooses another"},
		{"--binding and x--bind and bind", "-", "-"},
		{"--mic is empty", "h", "h"},
	} {
		if got := o.explain(diagnosis{what: test.what, hint: test.hint}); got.hint != test.want || got.what != test.what {
			t.Errorf("%s\n gives %+v", test.what, got)
		}
	}
	if d := origins(nil).explain(diagnosis{"--bind", "h", 2}); d != (diagnosis{"--bind", "h", 2}) {
		t.Errorf("without settings it is %+v", d)
	}
}

// A meeting point that is kept is for those who need one.
func TestAContactWithAnAddressNeedsNoKeptMeetingPoint(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cache, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := cache.Update(zidcache.ZID{1}, func(r *zidcache.Record) error {
		r.Answered, r.Name, r.Address = true, "bob", "192.0.2.7:5004"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	with := func(from origins) *settings {
		s := &settings{via: &rendezvous.Address{Host: "meet.example"}, from: from}
		s.cache = cache
		return s
	}
	kept := with(origins{"via": {file: "config.toml", line: 1}})
	if who, err := kept.find("bob"); err != nil || who.host != "192.0.2.7:5004" || kept.via != nil {
		t.Errorf("kept: %+v, via %v (%v)", who, kept.via, err)
	}
	if who, err := with(nil).find("bob"); err == nil {
		t.Errorf("typed: %+v", who)
	}
	if none, _, err := readVia(commandLine(t, Listen(), "--via", "none")); none != nil || err != nil {
		t.Errorf("--via none: %v (%v)", none, err)
	}
	kept = with(origins{"via": {file: "config.toml", line: 1}})
	if who, err := kept.find("48-harbor-violin-echo"); err != nil || who.code == nil || kept.via == nil {
		t.Errorf("a code: %+v, via %v (%v)", who, kept.via, err)
	}
}
