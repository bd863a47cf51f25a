package cli

import (
	"testing"

	ucli "github.com/urfave/cli/v2"
)

// Each flag of each command is recognized with a letter too many, too few or in the wrong
// place.
func TestMistypedFlags(t *testing.T) {
	for _, c := range []*ucli.Command{Listen(), Dial(), Contacts(), Ctl(), Devices(), Doctor(), Rendezvous()} {
		var names []string
		for _, f := range c.Flags {
			names = append(names, f.Names()...)
		}
		for _, n := range names {
			if len(n) < 4 {
				continue // --map and --mic are like one another
			}
			for _, typed := range []string{n + "s", n[:len(n)-1], n[1:2] + n[:1] + n[2:]} {
				if got := nearest(typed, names); got != n && typed != got {
					t.Errorf("%s: --%s is taken for --%s, not --%s", c.Name, typed, got, n)
				}
			}
		}
	}
}

// The beginning of a name is enough, if it is that of one alone.
func TestBeginningOfAName(t *testing.T) {
	names := []string{"contacts", "completion", "demo", "devices", "doctor", "noise-suppression"}
	for typed, want := range map[string]string{
		"dev": "devices", "doc": "doctor", "noise": "noise-suppression", "cont": "contacts", "co": "", "d": "",
	} {
		if got := nearest(typed, names); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}
