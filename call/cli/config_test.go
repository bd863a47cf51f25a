package cli

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous/quota"
)

// showConfig is what config show prints, to stdout and to stderr.
func showConfig(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, talk bytes.Buffer
	commands := everyCommand()
	app := &ucli.App{Commands: commands, Writer: &out, ErrWriter: &talk, ExitErrHandler: func(*ucli.Context, error) {}}
	err = app.Run(flagsFirst(append([]string{"securecall", "config"}, args...), commands))
	return out.String(), talk.String(), err
}

func TestConfigShow(t *testing.T) {
	name := keep(t, "mic = \"none\"\n[dial]\nbind = \"192.0.2.7\"\ntimeout = \"90s\"\n")
	t.Setenv("SECURECALL_ACCEPT", "known")
	out, talk, err := showConfig(t, "show")
	if err != nil || talk != "" {
		t.Fatalf("%s (%v)", talk, err)
	}
	lines := strings.Split(out, "\n")
	if lines[0] != "file of settings: "+name {
		t.Errorf("it begins with %s", lines[0])
	}
	has := map[string]bool{}
	for _, line := range lines[1:] {
		has[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"mic none " + name + ":1",
		"speaker default default",
		"bind (listen) [::]:5004, both families default",
		"bind (dial) 192.0.2.7 " + name + ":3",
		"timeout 1m30s " + name + ":4",
		"accept known environment SECURECALL_ACCEPT",
		"packet-time 20ms default",
		"once false default",
		"max-calls 1 default",
		"via - default",
	} {
		if !has[want] {
			t.Errorf("there is no line %s in\n%s", want, out)
		}
	}
	// Each once, but for those that differ.
	if n := strings.Count(out, "\nmic "); n != 1 {
		t.Errorf("mic is there %d times", n)
	}
}

// Every setting of both commands has a line, and each line is what the contract of --json says.
func TestConfigShowJSON(t *testing.T) {
	name := keep(t, "[listen]\nmic = \"tone:440\"\n")
	t.Setenv("SECURECALL_Q", "1")
	out, _, err := showConfig(t, "show", "--json")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]jsonSetting{}
	for line := range strings.Lines(out) {
		var s jsonSetting
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got[s.Command+" "+s.Name] = s
	}
	settings := 0
	for _, c := range []*ucli.Command{Listen(), Dial()} {
		for _, f := range c.Flags {
			if key := c.Name + " " + f.Names()[0]; isSetting(f) {
				settings++
				if _, ok := got[key]; !ok {
					t.Errorf("there is no line for %s", key)
				}
			}
		}
	}
	if len(got) != settings {
		t.Errorf("%d lines for %d settings", len(got), settings)
	}
	for key, want := range map[string]jsonSetting{
		"listen mic": {1, "listen", "mic", "tone:440", "file", "", name, 2},
		"dial mic":   {1, "dial", "mic", "default", "default", "", "", 0},
		"dial q":     {1, "dial", "q", "true", "environment", "SECURECALL_Q", "", 0},
	} {
		if got[key] != want {
			t.Errorf("%s: %+v", key, got[key])
		}
	}
}

func TestConfigShowOfAMeetingPoint(t *testing.T) {
	name := keep(t, "[rendezvous]\nno-tls = true\nlimits.opens-per-network = \"5 then 2 per 1m\"\n")
	out, _, err := showConfig(t, "show", "rendezvous")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{
		"no-tls true " + name + ":2", "limits.opens-per-network 5 then 1 per 30s " + name + ":3",
		"limits.mailboxes 50000 default", "limits.turn.idle-time 5m0s default", "limits.octets 131072 then 16384 per 1s default",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
}

// What is shown of a limit can be written into a file.
func TestShownRatesCanBeRead(t *testing.T) {
	n := 0
	limitsOf("limits", reflect.ValueOf(defaultLimits()), func(name, value string) {
		if r, ok := quota.ParseRate(value); ok {
			n++
			if rateText(r) != value {
				t.Errorf("%s: %s is %s", name, value, rateText(r))
			}
		}
	})
	if n < 5 {
		t.Errorf("only %d of the limits are rates", n)
	}
}

func TestConfigSaysWhatIsNotThere(t *testing.T) {
	keep(t, "")
	missing := filepath.Join(t.TempDir(), "config.toml")
	t.Setenv("SECURECALL_CONFIG", "")
	t.Setenv("XDG_CONFIG_HOME", filepath.Dir(missing))
	t.Setenv("SECURECALL_BNID", "x")
	out, talk, err := showConfig(t, "show", "dial")
	if err != nil || !strings.Contains(strings.SplitN(out, "\n", 2)[0], " (not there)") {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(talk, "SECURECALL_BNID is in the environment, and is no setting") || !strings.Contains(talk, "did you mean SECURECALL_BIND?") {
		t.Errorf("it says %s", talk)
	}

	for _, test := range []struct{ args, what, hint string }{
		{"shwo", `config cannot "shwo"`, "did you mean show?"},
		{"show dail", `there is no command "dail" that has settings`, "did you mean dial?"},
		{"show help", `there is no command "help" that has settings`, "listen, dial, contacts"},
		{"show dial listen", "config show takes one command, and got 2", ""},
	} {
		_, _, err := showConfig(t, strings.Fields(test.args)...)
		if err == nil {
			t.Errorf("config %s is taken", test.args)
			continue
		}
		if d := diagnose(err); d.status != statusUsage || d.what != test.what || !strings.Contains(d.hint, test.hint) {
			t.Errorf("config %s gives %+v", test.args, d)
		}
	}
}

func TestConfigAloneIsItsHelp(t *testing.T) {
	keep(t, "nonsense")
	out, _, err := showConfig(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range everyCommand() {
		if c.Name == "config" && (!strings.Contains(out, c.Usage) || !strings.Contains(out, "securecall config show rendezvous")) {
			t.Errorf("it prints\n%s", out)
		}
	}
}
