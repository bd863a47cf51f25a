package cli

import (
	"slices"
	"strings"
	"testing"

	ucli "github.com/urfave/cli/v2"
)

// spotsText is one place a line: where, words, and what else.
func spotsText(all []spot) map[string]string {
	text := map[string]string{}
	for _, p := range all {
		var words []string
		for _, w := range p.words {
			words = append(words, w.word)
		}
		for _, v := range p.variables() {
			words = append(words, v[0]+"="+v[1])
		}
		text[p.at] = strings.Join(words, " ")
	}
	return text
}

// A command needs to say only once what it takes: in its help.
func TestSpotsOfACommand(t *testing.T) {
	app := &ucli.App{
		Flags: []ucli.Flag{ucli.HelpFlag},
		Commands: []*ucli.Command{
			{
				Name:      "do",
				ArgsUsage: "list | show WHO | rename WHO NAME | check --now WHO | mute [on|off] | say TEXT... | import [FILE]",
				Flags: []ucli.Flag{
					toggle("q", "quiet"),
					&ucli.StringFlag{Name: "require", Usage: "`LEVEL`"},
					&ucli.StringFlag{Name: "cipher", Usage: "`LIST` of ciphers"},
					&ucli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "the `F`"},
					&ucli.StringFlag{Name: "cert", Usage: "`THING`", TakesFile: true},
					&ucli.StringFlag{Name: "mic", Usage: "`SRC`"},
					&ucli.StringFlag{Name: "new", Usage: "of which nothing is known"},
					&ucli.StringFlag{Name: "secret", Usage: "`N`", Hidden: true},
				},
			},
			{Name: "call", ArgsUsage: "PEER"},
			{Name: "shell", ArgsUsage: "bash|zsh"},
			{Name: "under", Hidden: true},
		},
	}
	want := map[string]string{
		"":             "do call shell",
		" -":           "--help -h",
		"do -":         "-q --require --cipher --key -k --cert --mic --new",
		"do --require": "none continuity verified code",
		"do --cipher":  "AES3 AES1 list=yes",
		"do --key":     "files=files",
		"do -k":        "files=files",
		"do --cert":    "files=files",
		"do --mic":     "none ask=microphones files=files",
		"do --new":     "",
		"do":           "list show rename check mute say import",
		"do show":      "ask=peers",
		"do rename":    "ask=peers",
		"do rename *":  "",
		"do check":     "ask=peers",
		"do mute":      "on off",
		"do say":       "",
		"do import":    "files=files",
		"call -":       "",
		"call":         "ask=contacts",
		"shell -":      "",
		"shell":        "bash zsh",
	}
	got := spotsText(spots(app))
	for at := range want {
		if got[at] != want[at] {
			t.Errorf("at %q: %q, want %q", at, got[at], want[at])
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			t.Errorf("at %q there is nothing, and it is %q", at, got[at])
		}
	}
}

// What is completed is what the flag says of itself, and is taken.
func TestFlagWordsAreTaken(t *testing.T) {
	checked := 0
	for _, f := range Listen().Flags {
		words, _ := flagWords(f.Names()[0])
		for _, w := range words {
			checked++
			if _, about, _ := strings.Cut(f.String(), "\t"); !strings.Contains(about, w) {
				t.Errorf("--%s does not speak of %s: %s", f.Names()[0], w, about)
			}
			app := &ucli.App{
				Flags:  Listen().Flags,
				Action: func(c *ucli.Context) error { _, err := readListen(c); return err },
			}
			if err := app.Run([]string{"sc", "--" + f.Names()[0], w}); err != nil {
				t.Errorf("--%s %s: %v", f.Names()[0], w, err)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d words", checked)
	}
}

// Names that mean something else where they are typed are not offered: they can come from a
// file that somebody sent, or from the maker of a device.
func TestNamesThatAreNoArguments(t *testing.T) {
	for name, want := range map[string][2]bool{
		"bob":             {true, true},
		"Bob Smith":       {true, true},
		"$(reboot)":       {true, true}, // which the scripts quote
		"":                {false, false},
		"-q":              {false, false},
		"--verify-via=sh": {false, false},
		"host:evil":       {false, true},
		"contact:x":       {false, true},
		"code:1-a":        {false, true},
		"exec:reboot":     {true, false},
		"-":               {false, false},
		"none":            {true, false},
		"x.wav":           {true, false},
		"a\nb":            {false, false},
		"a\x1b[2J":        {false, false},
		"\u202egnp.exe":   {false, false},
	} {
		if got := [2]bool{isContactArgument(name), isDeviceArgument(name)}; got != want {
			t.Errorf("%q: contact, device: %v, want %v", name, got, want)
		}
	}
}

func TestQuotes(t *testing.T) {
	if got := quotePOSIX(`it's $x`); got != `'it'\''s $x'` {
		t.Error(got)
	}
	if got := quoteFish(`it's \x`); got != `'it\'s \\x'` {
		t.Error(got)
	}
}

// The flags of listen and dial, each under its heading, and none lost.
func TestGroups(t *testing.T) {
	for _, c := range []*ucli.Command{Listen(), Dial()} {
		all := grouped(append(c.Flags, ucli.HelpFlag))
		if len(all) != len(c.Flags)+1 {
			t.Errorf("%s: %d flags of %d", c.Name, len(all), len(c.Flags)+1)
		}
		var titles []string
		for _, f := range all[:len(all)-1] {
			title := f.(ucli.CategorizableFlag).GetCategory()
			if len(titles) == 0 || titles[len(titles)-1] != title {
				titles = append(titles, title)
			}
		}
		var want []string
		for _, g := range flagGroups {
			want = append(want, g.title)
		}
		if !slices.Equal(titles, want) {
			t.Errorf("%s: headings %q, want %q", c.Name, titles, want)
		}
		if all[len(all)-1] != ucli.HelpFlag {
			t.Errorf("%s: the last is %v", c.Name, all[len(all)-1].Names())
		}
	}
	if few := grouped(Devices().Flags); few[0].(ucli.CategorizableFlag).GetCategory() != "" {
		t.Error("a few flags have headings")
	}
}
