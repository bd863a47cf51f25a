package cli

import (
	"slices"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"

	"securecall/crypto/zrtp/wire"
)

func TestFlagsFirst(t *testing.T) {
	commands := []*ucli.Command{Dial(), Listen(), Devices()}
	for in, want := range map[string]string{
		"sc dial bob":                        "sc dial -- bob",
		"sc dial bob --mic x.wav --json":     "sc dial --mic x.wav --json -- bob",
		"sc dial --mic x.wav bob --json":     "sc dial --mic x.wav --json -- bob",
		"sc dial --mic - --speaker none bob": "sc dial --mic - --speaker none -- bob",
		"sc dial bob --mic=x.wav carol":      "sc dial --mic=x.wav -- bob carol",
		"sc dial bob -- --json":              "sc dial -- bob --json",
		"sc dial bob --mic":                  "sc dial --mic",
		"sc dial bob --unknown x":            "sc dial --unknown -- bob x",
		"sc listen -once --accept all":       "sc listen -once --accept all --",
		"sc dail bob --json":                 "sc dail bob --json",
		"sc":                                 "sc",
	} {
		if got := strings.Join(flagsFirst(strings.Fields(in), commands), " "); got != want {
			t.Errorf("%s\n gave %s\n want %s", in, got, want)
		}
	}
}

// What auto stands for: an echo needs two devices, a background and a soft voice one.
func TestWhatIsDoneToTheMicrophone(t *testing.T) {
	for in, want := range map[string][3]bool{
		"":                          {true, true, true},
		"--mic headset":             {true, true, true},
		"--speaker none":            {false, true, true},
		"--mic x.wav":               {false, false, false},
		"--mic tone:440":            {false, false, false},
		"--mic none --auto-gain on": {false, false, true},
		"--mic exec:x --echo-cancel on --noise-suppression on": {true, true, false},
		"--noise-suppression off --auto-gain off":              {true, false, false},
	} {
		var got [3]bool
		app := &ucli.App{Flags: callFlags(""), Action: func(c *ucli.Context) error {
			s, err := readSettings(c)
			if err == nil {
				conf := s.config(nil, false)
				got = [3]bool{conf.CancelEcho, conf.SuppressNoise, conf.AutoGain}
			}
			return err
		}}
		if err := app.Run(append([]string{"sc"}, strings.Fields(in)...)); err != nil || got != want {
			t.Errorf("%q: echo, noise, gain are %v, want %v (%v)", in, got, want, err)
		}
	}
}

func TestParseBind(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":          "192.0.2.7:5004",
		"192.0.2.7:1":        "192.0.2.7:1",
		"2001:db8::7":        "[2001:db8::7]:5004",
		"[2001:db8::7]":      "[2001:db8::7]:5004",
		"[2001:db8::7]:0":    "[2001:db8::7]:0",
		":7000":              "[::]:7000",
		"fe80::1%eth0":       "[fe80::1%eth0]:5004",
		"":                   "",
		"localhost":          "",
		"192.0.2.7:":         "",
		"192.0.2.7:70000":    "",
		":":                  "",
		"[192.0.2.7]:1":      "",
		"2001:db8::7::5":     "",
		"192.0.2.7:5004junk": "",
	} {
		got, err := parseBind(in, 5004)
		if want == "" {
			if err == nil {
				t.Errorf("parseBind(%q) = %v, want an error", in, got)
			}
			continue
		}
		if err != nil || got.String() != want {
			t.Errorf("parseBind(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

func TestAlgorithmLists(t *testing.T) {
	agreements := choices()[0]
	got, err := agreements.parse("DH2k, X255")
	if err != nil || !slices.Equal(got, []wire.Name{wire.DH2k, wire.X255}) {
		t.Errorf("got %v, %v: not the order that was asked for", got, err)
	}
	sas, err := choices()[4].parse("B32")
	if err != nil || !slices.Equal(sas, []wire.Name{wire.B32}) {
		t.Errorf("B32: %v, %v", sas, err)
	}
	for _, bad := range []string{"", "x255", "X255,", "X255,X255", "AES3", "Prsh", "X255;EC25"} {
		got, err := agreements.parse(bad)
		if err == nil {
			t.Errorf("%q gave %v, want an error", bad, got)
			continue
		}
		if d := diagnose(err); d.status != statusUsage || strings.Contains(d.what, "none of") && !strings.Contains(d.hint, "XM76, X255, EC25, EC38, DH3k, X448, EC52, DH2k") {
			t.Errorf("%q: %+v does not list what there is", bad, d)
		}
	}
}

func TestHumanNames(t *testing.T) {
	for name, want := range map[string]string{
		"X255": "X25519", "EC25": "P-256", "EC38": "P-384", "DH3k": "DH 3072", "DH2k": "DH 2048",
		"AES3": "AES-256", "AES1": "AES-128", "new\x1b!": "new!",
	} {
		if got := human(name); got != want {
			t.Errorf("human(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"listen", "dial", "demo", "devices", "version", "help"}
	for typed, want := range map[string]string{
		"dail": "dial", "lisen": "listen", "device": "devices", "verison": "version", "xyzzy": "", "d": "",
	} {
		if want != "" {
			want = "did you mean " + want + "? "
		}
		if got := didYouMean("", typed, names); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}
