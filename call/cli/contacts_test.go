package cli

import (
	"bytes"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/crypto/zidcache"
)

var (
	bobZID  = zidcache.ZID{0xc0, 0xff, 0xee, 1}
	ruthZID = zidcache.ZID{0xc0, 0xff, 0xee, 2}
	tomZID  = zidcache.ZID{0x57, 0x0a, 0x9e}
)

// acquainted is the state of somebody who has verified bob, was called by ruth,
// and did not answer tom.
func acquainted(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	cache, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, r := range []zidcache.Record{
		{
			ZID: bobZID, RS1: bytes.Repeat([]byte{0xab}, 32), Verified: noon, How: "typed", Name: "bob",
			Address: "192.0.2.7:5004", First: noon, Last: noon.Add(time.Hour), Answered: true,
		},
		{ZID: ruthZID, RS1: bytes.Repeat([]byte{0xab}, 32), Expires: noon, Address: "192.0.2.8:5004", First: noon, Last: noon, Answered: true},
		{ZID: tomZID, First: noon, Last: noon},
	} {
		if err := cache.Update(r.ZID, func(here *zidcache.Record) error { *here = r; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run carries out securecall contacts in dir.
func runContacts(dir string, args ...string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	commands := []*ucli.Command{Contacts()}
	app := &ucli.App{
		Commands: commands, Writer: &out, ErrWriter: &errs, OnUsageError: explainUsage,
		ExitErrHandler: func(*ucli.Context, error) {},
	}
	all := append([]string{"securecall", "contacts", "--state", dir}, args...)
	err := app.Run(flagsFirst(all, commands))
	var said exitStatus
	switch {
	case errors.As(err, &said):
		status = int(said)
	case err != nil:
		d := diagnose(err)
		complain(&errs, d)
		status = d.status
	}
	return out.String(), errs.String(), status
}

func TestContacts(t *testing.T) {
	dir := acquainted(t)
	for _, step := range []struct {
		args   string
		status int
		stdout string // all of it
		stderr string // a part of it
	}{
		{"list", 0, "c0ffee010000000000000000\tbob\t192.0.2.7:5004\t2026-03-04T12:00:00Z\t2026-03-04T13:00:00Z\t2026-03-04T12:00:00Z\ttyped\n" +
			"c0ffee020000000000000000\t-\t192.0.2.8:5004\t2026-03-04T12:00:00Z\t2026-03-04T12:00:00Z\t-\t-\n", ""},
		{
			"list --json", 0,
			`{"v":1,"zid":"c0ffee010000000000000000","name":"bob","address":"192.0.2.7:5004","first":"2026-03-04T12:00:00Z","last":"2026-03-04T13:00:00Z","verified":true,"verified_at":"2026-03-04T12:00:00Z","how":"typed"}` + "\n" +
				`{"v":1,"zid":"c0ffee020000000000000000","name":"","address":"192.0.2.8:5004","first":"2026-03-04T12:00:00Z","last":"2026-03-04T12:00:00Z","verified":false,"verified_at":"","how":""}` + "\n", "",
		},
		{"show bob", 0, "zid\tc0ffee010000000000000000\nname\tbob\naddress\t192.0.2.7:5004\nfirst call\t2026-03-04T12:00:00Z\nlast call\t2026-03-04T13:00:00Z\n" +
			"verified\t2026-03-04T12:00:00Z, typed\nsecrets\tkept, to recognize the next call\n", ""},
		{
			"show C0FFEE02 --json", 0,
			`{"v":1,"zid":"c0ffee020000000000000000","name":"","address":"192.0.2.8:5004","first":"2026-03-04T12:00:00Z","last":"2026-03-04T12:00:00Z","verified":false,"verified_at":"","how":"","secrets":true,"expires":"2026-03-04T12:00:00Z"}` + "\n", "",
		},
		{"show c0ffe", 2, "", `there is no contact "c0ffe"`},
		{"show c0ffee", 2, "", "2 ZIDs begin with c0ffee"},
		{"show Bob", 2, "", "there is no contact"},
		{"show 570a9e", 2, "", "there is no contact"}, // a stranger
		{"rename c0ffee02 bob", 2, "", `"bob" is the name of the contact with ZID c0ffee01`},
		{"rename c0ffee02 \u202eeve", 2, "", "cannot be seen"},
		{"rename c0ffee02 2001:db8::1", 2, "", "looks like an address"},
		{"rename c0ffee02 192.0.2.7:5004", 2, "", "looks like an address"},
		{"rename c0ffee02 c0ffee", 0, "", "c0ffee020000000000000000 is now c0ffee"},
		{"show c0ffee", 0, "zid\tc0ffee020000000000000000\nname\tc0ffee\naddress\t192.0.2.8:5004\nfirst call\t2026-03-04T12:00:00Z\nlast call\t2026-03-04T12:00:00Z\n" +
			"verified\tno\nsecrets\tkept, to recognize the next call; until 2026-03-04T12:00:00Z\n", ""},
		{"rename c0ffee ruth", 0, "", "is now ruth"},
		{"verify ruth", 2, "", "only a call can verify ruth (c0ffee020000000000000000)"},
		{"verify bob", 2, "", "contacts verify --remove"},
		{"verify nobody", 2, "", "there is no contact"},
		{"verify bob --remove", 0, "", "bob (c0ffee010000000000000000) is not verified any more"},
		{"export", 0, exportHead + "c0ffee010000000000000000\tbob\t192.0.2.7:5004\nc0ffee020000000000000000\truth\t192.0.2.8:5004\n", ""},
		{"forget ruth", 0, "", "ruth (c0ffee020000000000000000) is forgotten"},
		{"forget ruth", 2, "", "there is no contact"},
		{"forget 570a9e", 2, "", "there is no contact"},
		{"forget 570a9e000000000000000000", 0, "", "570a9e000000000000000000 is forgotten"},
		{"forget 570a9e000000000000000000", 2, "", "there is no contact"},
		{"list", 0, "c0ffee010000000000000000\tbob\t192.0.2.7:5004\t2026-03-04T12:00:00Z\t2026-03-04T13:00:00Z\t-\t-\n", ""},
		{"", 2, "", "list, show, rename, verify, forget, export or import"},
		{"lst", 2, "", "did you mean list?"},
		{"show", 2, "", "contacts show takes one argument, and got 0"},
		{"rename bob bill ben", 2, "", "contacts rename takes 2 arguments, and got 3"},
		{"forget bob --remove", 2, "", "contacts forget has no --remove"},
		{"export --json", 2, "", "contacts export has no --json"},
		{"import missing.txt", 31, "", "nothing was imported: open missing.txt"},
	} {
		stdout, stderr, status := runContacts(dir, strings.Fields(step.args)...)
		if stdout != step.stdout || status != step.status || !strings.Contains(stderr, step.stderr) || step.stderr == "" && stderr != "" {
			t.Errorf("contacts %s: status %d, stdout:\n%s\nstderr:\n%s", step.args, status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "abab") {
			t.Errorf("contacts %s: a secret", step.args)
		}
	}
	// What took the verification away left the secret: the next call is
	// recognized, and has to be verified again.
	cache, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, _, err := cache.Lookup(bobZID); err != nil || len(r.RS1) != 32 || !r.Verified.IsZero() {
		t.Errorf("%v, %v: rs1 of %d bytes, verified %v", r, err, len(r.RS1), r.Verified)
	}
}

func TestImportChangesNoName(t *testing.T) {
	dir := acquainted(t)
	cache, err := zidcache.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readContacts(strings.NewReader(exportHead + "\n" +
		"c0ffee010000000000000000\trobert\t198.51.100.1:5004\n" + // has a name here
		"57000000000000000000aaaa\tbob\n" + // whose name is somebody else's
		zidText(cache.ZID()) + "\tme\n" +
		"c0ffee020000000000000000\truth\t198.51.100.1:5004\n" + // known, without a name
		"570a9e000000000000000000\ttom\n" + // was a stranger
		"5700000000000000000000bb\tnew\t[2001:db8::1]:5004\n"))
	if err != nil || len(all) != 6 {
		t.Fatal(len(all), err)
	}
	for i, want := range []string{"here its name is bob", "here that is the name of c0ffee010000000000000000", "it is this installation", "", "", ""} {
		if skipped, err := importContact(cache.Update, cache.ZID(), all[i]); skipped != want || err != nil {
			t.Errorf("%v: skipped: %s, %v", all[i], skipped, err)
		}
	}
	list, err := cache.List()
	var got []string
	for _, r := range list {
		got = append(got, r.Name+" "+r.Address)
		if !r.Verified.IsZero() && r.Name != "bob" {
			t.Errorf("%v is verified", r)
		}
	}
	if want := []string{"bob 192.0.2.7:5004", "new [2001:db8::1]:5004", "ruth 192.0.2.8:5004", "tom "}; !slices.Equal(got, want) || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestImportRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, line := range []string{
		"bob", "c0ffee01\tbob", "c0ffee010000000000000000", "c0ffee010000000000000000\t", "c0ffee010000000000000000\ta\x1b[2J",
		"c0ffee010000000000000000\tbob\ta b:1", "c0ffee010000000000000000\tbob\thost:1\tsecret", strings.Repeat("#", 1<<17),
		"g0ffee010000000000000000\tbob",
	} {
		if list, err := readContacts(strings.NewReader("# fine\n" + line + "\n")); err == nil {
			t.Errorf("%.40q: %v", line, list)
		}
	}
}

// FuzzParseContact: what parses is exported as it came, and can be kept.
func FuzzParseContact(f *testing.F) {
	f.Add("c0ffee010000000000000000\tbob\t192.0.2.7:5004")
	f.Add("C0FFEE010000000000000000\tZoë B.")
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseContact(line)
		if err != nil {
			return
		}
		again, err := parseContact(zidText(r.ZID) + "\t" + r.Name + "\t" + r.Address)
		if err != nil || again.ZID != r.ZID || again.Name != r.Name || again.Address != r.Address {
			t.Errorf("%q: %v, then %v, %v", line, r, again, err)
		}
		if printable(r.Name+r.Address) != r.Name+r.Address {
			t.Errorf("%q moves the cursor", line)
		}
	})
}

func TestStateDir(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	usual := filepath.Join(home, ".local", "state", "securecall")
	given := filepath.Join(home, "given", "securecall")
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Setenv("AppData", home)
		usual = filepath.Join(home, "securecall")
		if runtime.GOOS == "darwin" {
			usual = filepath.Join(home, "Library", "Application Support", "securecall")
		}
		given = usual
	}
	for _, c := range []struct {
		xdg  string
		args []string
		want string
	}{
		{"", nil, usual},
		{"relative", nil, usual},
		{filepath.Join(home, "given"), nil, given},
		{filepath.Join(home, "given"), []string{"--state", "mine"}, "mine"},
		{"", []string{"--state", ""}, ""},
	} {
		t.Setenv("XDG_STATE_HOME", c.xdg)
		var got string
		var err error
		app := &ucli.App{Flags: []ucli.Flag{stateFlag()}, Action: func(ctx *ucli.Context) error {
			got, err = stateDir(ctx)
			return nil
		}}
		if runErr := app.Run(append([]string{"x"}, c.args...)); runErr != nil {
			t.Fatal(runErr)
		}
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func TestContactsInColumns(t *testing.T) {
	want := "ZID                       name  address  first call  last call  verified  how\n" +
		"c0ffee010000000000000000  bob   -        -           -          -         -\n" +
		"570a9e000000000000000000  thea  a:10     -           -          -         -\n"
	if got := contactsText([]zidcache.Record{{ZID: bobZID, Name: "bob"}, {ZID: tomZID, Name: "thea", Address: "a:10"}}, true); got != want {
		t.Errorf("got:\n%s", got)
	}
}
