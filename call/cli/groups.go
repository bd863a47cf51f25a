package cli

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// screenful is how many flags a person can take in without headings.
const screenful = 24

// flagGroups are the headings under which a long list of flags is shown, in that order, and
// the flags below each, first what is asked for most. Others come last, and --help after them.
var flagGroups = []struct{ title, flags string }{
	{"The call", "accept name timeout duration hangup-at-eof once max-calls on-incoming on-secured on-ended"},
	{"Sound", "mic speaker ring echo record record-untold echo-cancel noise-suppression auto-gain packet-time"},
	{"Network", "bind via relay-only map"},
	{"Trust", "require verify-via split-sas secret-file secret-fd state ephemeral"},
	{"Algorithms", "key-agreement cipher auth hash sas"},
	{"Screen and scripts", "json log q v plain no-color no-input"},
}

// grouped puts flags in the order of the groups, and tells each its heading, if they are too
// many to do without.
func grouped(flags []ucli.Flag) []ucli.Flag {
	if len(flags) <= screenful {
		return flags
	}
	type rank struct{ group, flag int }
	ranks := map[string]rank{}
	for i, g := range flagGroups {
		for j, name := range strings.Fields(g.flags) {
			ranks[name] = rank{i, j}
		}
	}
	of := func(f ucli.Flag) rank {
		if r, ok := ranks[f.Names()[0]]; ok {
			return r
		}
		return rank{len(flagGroups) - 1, len(ranks)}
	}
	flags = slices.Clone(flags)
	slices.SortStableFunc(flags, func(f, g ucli.Flag) int {
		a, b := of(f), of(g)
		return cmp.Or(a.group-b.group, a.flag-b.flag)
	})
	for _, f := range flags {
		if f == ucli.HelpFlag {
			continue // which belongs to all commands
		}
		// A field of each kind of flag, and no method of them.
		if title := reflect.ValueOf(f).Elem().FieldByName("Category"); title.IsValid() {
			title.SetString(flagGroups[of(f).group].title)
		}
	}
	return flags
}
