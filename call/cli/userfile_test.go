package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// badUserSettings are files, what is said about them, and the advice.
var badUserSettings = []struct{ text, what, hint string }{
	{"bnid = \":5004\"", "line 1: bnid is no setting", "did you mean bind? securecall help listen and securecall help dial show which there are"},
	{"[listen]\nacept = \"all\"", "line 2: listen.acept is no setting", "did you mean listen.accept? securecall help listen shows"},
	{"[listen]\n\ntimeout = \"9s\"", "line 3: listen.timeout is no setting", "did you mean dial.timeout?"},
	{"turn-bind = \"none\"", "line 1: turn-bind is no setting", "did you mean rendezvous.turn-bind?"},
	{"[limits]\nmailboxes = 3", "line 1: limits is no setting", "did you mean rendezvous.limits?"},
	{"[rendezvous.limits]\nmailboxs = 3", "line 2: rendezvous.limits.mailboxs is no setting", "did you mean rendezvous.limits.mailboxes?"},
	{"[rendezvous.limits]\nmailboxes = 0", "line 2: rendezvous.limits.mailboxes takes a whole number above zero", ""},
	{"[lisen]\naccept = \"all\"", "line 1: lisen is no setting", "did you mean listen?"},
	{"[demo]", "line 1: demo is no setting", ""},
	{"[config]\njson = true", "line 1: config is no setting", ""},
	{"secret-fd = 3", "line 1: secret-fd is no setting", "on the command line alone"},
	{"[dial]\nsecret-fd = 3", "line 2: dial.secret-fd is no setting", "on the command line alone"},
	{"[rendezvous]\nconfig = \"other.toml\"", "line 2: rendezvous.config is no setting", "on the command line alone"},
	{"[contacts]\nremove = true", "line 2: contacts.remove is no setting", "on the command line alone"},
	{"[ctl]\npid = 3", "line 2: ctl.pid is no setting", "on the command line alone"},
	{"[ctl]\ncall = 3", "line 2: ctl.call is no setting", "on the command line alone"},
	{"[devices]\ntest = true", "line 2: devices.test is no setting", "on the command line alone"},
	{"mute = true", "line 1: mute is no setting", "securecall help listen and securecall help dial show which there are"},

	{"bind = 5004", "line 1: bind takes a string", "show what each setting takes"},
	{"bind = [\"a\"]", "line 1: bind takes a string", ""},
	{"once = \"true\"", "line 1: once takes true or false", ""},
	{"once = 1", "line 1: once takes true or false", ""},
	{"duration = 90", "line 1: duration takes a time such as \"90s\"", ""},
	{"duration = \"90\"", "line 1: duration takes a time such as \"90s\"", ""},
	{"duration = 1979-05-27", "line 1: duration takes a time such as \"90s\"", ""},
	{"max-calls = \"1\"", "line 1: max-calls takes a whole number", ""},
	{"max-calls = 1.0", "line 1: max-calls takes a whole number", ""},
	{"cipher = 3", "line 1: cipher takes a string, or a list of strings", ""},
	{"cipher = [\"AES3\", 3]", "line 1: cipher takes a string, or a list of strings", ""},
	{"listen = true", "line 1: listen is a table", ""},
	{"[[listen]]\nonce = true", "line 1: listen is a table", ""},
	{"mic.name = \"headset\"", "mic takes a string", ""},

	{"mic = \"a\"\n\nmic = \"b\"", "line 3: mic stands there twice", "leave one of them out"},
	{"[dial]\n[listen]\n[dial]", "line 3: dial stands there twice", ""},
	{"[dial]\nmic = \"a\"\nmic = \"b\"", "line 3: dial.mic stands there twice", ""},
	{"mic = \"a\"\nbind :5004", "line 2: that is no TOML", "a line each"},
	{"mic = headset", "line 1: that is no TOML", ""},
	{"mic = \"exec:\n", "line 1: that is no TOML", ""},
}

func TestBadUserSettings(t *testing.T) {
	for _, bad := range badUserSettings {
		name := keep(t, bad.text)
		for _, command := range []string{"dial", "contacts"} {
			_, _, err := configuredBy(t, command)
			if err == nil {
				t.Errorf("%q is taken by %s", bad.text, command)
				continue
			}
			d := diagnose(err)
			if d.status != statusUsage || !strings.HasPrefix(d.what, name) || !strings.Contains(d.what, bad.what) || !strings.Contains(d.hint, bad.hint) {
				t.Errorf("%q gives %d: %s\n%s", bad.text, d.status, d.what, d.hint)
			}
		}
	}
}

// Lists, and names of files, are as a person would type them from where the file is.
func TestUserSettingsAreAsTyped(t *testing.T) {
	name := keep(t, `
cipher = ["AES3", "AES1"]
hash = "S256,S384"
mic = "greeting.wav"
speaker = "headset"
state = "state"
secret-file = "~/secret"
record = "calls/"
verify-via = 'ssh bob "securecall ctl sas"'
`)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	c, _, err := configuredBy(t, "dial")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(name)
	for name, want := range map[string]string{
		"cipher": "AES3,AES1", "hash": "S256,S384", "mic": filepath.Join(dir, "greeting.wav"), "speaker": "headset",
		"state": filepath.Join(dir, "state"), "record": filepath.Join(dir, "calls") + string(filepath.Separator), "secret-file": filepath.Join(home, "secret"), "verify-via": `ssh bob "securecall ctl sas"`,
	} {
		if got := c.String(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestWhereTheUsersFileIs(t *testing.T) {
	keep(t, "")
	t.Setenv("SECURECALL_CONFIG", "")
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "xdg"))
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the system has its own folder")
	}
	for _, test := range []struct{ home, xdg, want string }{
		{dir, filepath.Join(dir, "xdg"), filepath.Join(dir, "xdg", "securecall", "config.toml")},
		{dir, "", filepath.Join(dir, ".config", "securecall", "config.toml")},
		{dir, "not/absolute", filepath.Join(dir, ".config", "securecall", "config.toml")},
		{"", "", ""},
		{"", filepath.Join(dir, "xdg"), filepath.Join(dir, "xdg", "securecall", "config.toml")},
		{os.DevNull, "", os.DevNull + "/.config/securecall/config.toml"},
	} {
		t.Setenv("HOME", test.home)
		t.Setenv("XDG_CONFIG_HOME", test.xdg)
		if got, named := userFile(); got != test.want || named {
			t.Errorf("HOME=%s XDG_CONFIG_HOME=%s: %s, want %s", test.home, test.xdg, got, test.want)
		}
		// There is none, and nobody has said that there is.
		if _, s, err := configuredBy(t, "dial"); err != nil || len(s.from) > 0 {
			t.Errorf("HOME=%s XDG_CONFIG_HOME=%s: %v (%v)", test.home, test.xdg, s.from, err)
		}
	}
}

func TestUsersFileThatCannotBeRead(t *testing.T) {
	name := keep(t, "")
	if _, s, err := configuredBy(t, "dial"); err != nil || len(s.from) > 0 {
		t.Errorf("an empty file: %v (%v)", s.from, err)
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("# nothing\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, "too large to be settings")
	t.Setenv("SECURECALL_CONFIG", filepath.Dir(name))
	mustRefuse(t, "is a folder")
	t.Setenv("SECURECALL_CONFIG", name+"x")
	mustRefuse(t, name+"x")
	t.Setenv("SECURECALL_CONFIG", os.DevNull)
	if _, s, err := configuredBy(t, "dial"); err != nil || len(s.from) > 0 {
		t.Errorf("%s: %v (%v)", os.DevNull, s.from, err)
	}
}

// mustRefuse expects that the file of settings cannot be used, and an advice.
func mustRefuse(t *testing.T, what string) {
	t.Helper()
	_, _, err := configuredBy(t, "dial")
	if err == nil {
		t.Errorf("%q is not said: it is taken", what)
		return
	}
	if d := diagnose(err); d.status != 31 || !strings.Contains(d.what, what) || d.hint == "" {
		t.Errorf("%q is not said, but %+v", what, d)
	}
}

// The file can name commands to run, and so must be its owner's alone to write.
func TestWhoElseCanWriteTheUsersFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	name := keep(t, `mic = "exec:true"`)
	for mode, trusted := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o444: true, 0o620: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if trusted {
			if _, _, err := configuredBy(t, "dial"); err != nil {
				t.Errorf("%04o: %v", mode, err)
			}
			continue
		}
		mustRefuse(t, "can be written by others")
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chmod(name, 0o600), os.Chown(name, 4242, 4242)); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, "belong to another user")
	}
}

// A table has the name of a command, and the top those of flags: none is both.
func TestNoFlagIsNamedAsACommand(t *testing.T) {
	for _, c := range everyCommand() {
		for _, f := range append(Listen().Flags, Dial().Flags...) {
			if takesSettings(c.Name) && f.Names()[0] == c.Name {
				t.Errorf("%s is a command and a flag", c.Name)
			}
		}
	}
}

// Whatever the file holds, there is no panic, and what is refused is a usage error.
func FuzzUserSettings(f *testing.F) {
	for _, bad := range badUserSettings {
		f.Add(bad.text)
	}
	f.Add("via = \"meet.example\"\n[listen]\naccept = \"known\"\nduration = \"90s\"\n[rendezvous.limits.turn]\nidle-time = \"1m\"\n")
	commands := everyCommand()
	f.Fuzz(func(t *testing.T, text string) {
		l := defaultLimits()
		file := &settingsFile{name: "config.toml"}
		err := file.read(text, file.ofUser(commands, &l))
		var usage *usageError
		switch {
		case err != nil && !errors.As(err, &usage):
			t.Errorf("%T: %v", err, err)
		case err == nil:
			for _, g := range file.found {
				known := false
				for _, c := range commands {
					for _, flag := range c.Flags {
						known = known || flag.Names()[0] == g.flag && (g.table == c.Name || g.table == "") && parses(flag, g.text)
					}
				}
				if !known {
					t.Errorf("%+v is no flag that takes this", g)
				}
			}
		}
	})
}

// A folder that was closed for the sake of a secret in it closes the settings too, to a service
// with a user of its own: it says what to do about that, and not how to do without.
func TestSettingsInAClosedFolder(t *testing.T) {
	const name = "/etc/securecall/config.toml"
	d := diagnose(unreadable(name, &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}))
	if d.status != 31 || !strings.Contains(d.what, name+": permission denied") || !strings.Contains(d.hint, "chmod a+rx /etc/securecall,") {
		t.Errorf("%+v", d)
	}
	if d = diagnose(unreadable(name, os.ErrInvalid)); !strings.Contains(d.hint, "SECURECALL_CONFIG") {
		t.Errorf("%+v", d)
	}
}
