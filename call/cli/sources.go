package cli

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Where settings come from: the command line, then the environment, then the table of a
// command in the file of settings, then the top of that. Who is nearer to the person wins.
// What was not typed is put into the flags before the command runs, so that all that is
// known about flags holds for it as well; what is only known here is where it stands.

// An origin is the place of a setting that was not typed.
type origin struct {
	variable string // of the environment
	file     string
	line     int // 0: not known
}

func (o origin) String() string {
	switch {
	case o.variable != "":
		return o.variable
	case o.line == 0:
		return o.file
	}
	return fmt.Sprintf("%s, line %d", o.file, o.line)
}

// origins has the settings that were not typed, by their names.
type origins map[string]origin

// A given is a flag that stands in the environment or in a file.
type given struct {
	table string // of the file
	flag  string
	text  string // as on the command line
	at    origin
}

// configured is what a command has been given beside its command line.
type configured struct {
	from   origins
	limits limits // of rendezvous
	secret []byte // of --secret-fd, which can be read once
}

type configuredKey struct{}

// withConfigured is ctx with room for what a command will be given.
func withConfigured(ctx context.Context) (context.Context, *configured) {
	s := &configured{from: origins{}, limits: defaultLimits()}
	return context.WithValue(ctx, configuredKey{}, s), s
}

func configuredOf(c *ucli.Context) *configured {
	if s, ok := c.Context.Value(configuredKey{}).(*configured); ok {
		return s
	}
	_, s := withConfigured(c.Context)
	return s
}

// onCommandLine tells whether a flag stands on the command line itself: what somebody keeps in a
// file for other calls is no contradiction in this one.
func onCommandLine(c *ucli.Context, name string) bool {
	_, kept := configuredOf(c).from[name]
	return c.IsSet(name) && !kept
}

// takesSettings tells whether a command looks at settings. Others, such as help, work
// whatever is wrong with them.
func takesSettings(command string) bool {
	switch command {
	case "listen", "dial", "contacts", "ctl", "devices", "doctor", "rendezvous":
		return true
	}
	return false
}

// isSetting tells whether a flag can be kept. These cannot: they say what is to be done
// this once, name the file itself, or mean something only in the process that they are for.
func isSetting(f ucli.Flag) bool {
	switch f.Names()[0] {
	case "help", "config", "secret-fd", "test", "remove", "pid", "call":
		return false
	}
	return true
}

// atTop tells whether a setting at the top of the file is for a command. It is for calls,
// and for what other commands share with them: contacts are in the state of the calls. A
// meeting point has addresses of its own, and who wants events of calls as JSON may
// want to read the rest.
func atTop(command, flag string) bool {
	switch command {
	case "listen", "dial":
		return true
	case "rendezvous":
		return false
	}
	return flag != "json"
}

// configure is what runs before a command.
func configure(c *ucli.Context) error { return configuredOf(c).fill(c) }

// fill gives the flags of c that were not typed what stands elsewhere.
func (s *configured) fill(c *ucli.Context) error {
	env, err := environment(c.Command)
	if err != nil {
		return err
	}
	if err := s.apply(c, env); err != nil {
		return err
	}
	if c.Command.Name == "rendezvous" && c.IsSet("config") {
		return nil // that file stands for the usual one
	}
	f, err := readUserFile(c.App.Commands, &s.limits)
	if f == nil || err != nil {
		return err
	}
	var own, top []given
	for _, g := range f.found {
		switch {
		case g.table == c.Command.Name:
			own = append(own, g)
		case g.table == "" && atTop(c.Command.Name, g.flag):
			top = append(top, g)
		}
	}
	maps.Copy(s.from, f.places)
	if err := s.apply(c, own); err != nil {
		return err
	}
	return s.apply(c, top)
}

// givesWay has for a setting those beside which it has no place. It is left out where one
// of them comes from nearer: who types --echo has no use for the microphone that a file
// names. Nothing that guards a call is given up so: --require holds, and is a contradiction.
var givesWay = map[string][]string{
	"mic":         {"echo"},
	"speaker":     {"echo"},
	"echo":        {"mic", "speaker"},
	"state":       {"ephemeral"},
	"name":        {"ephemeral"},
	"ephemeral":   {"state"},
	"secret-file": {"secret-fd"},
	"map":         {"relay-only"},
	"no-tls":      {"tls-cert"},
	"tls-cert":    {"no-tls"},
	"tls-key":     {"no-tls"},
	"q":           {"v"},
	"v":           {"q"},
}

// apply sets those flags of c that are in batch, unless something nearer has been set that
// is the same or leaves no place for it. What a command does not have, it ignores.
func (s *configured) apply(c *ucli.Context, batch []given) error {
	nearer := map[string]bool{}
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		nearer[name] = c.IsSet(name) && c.Value(name) != false
	}
	for _, g := range batch {
		i := slices.IndexFunc(c.Command.Flags, func(f ucli.Flag) bool { return f.Names()[0] == g.flag })
		if i < 0 || c.IsSet(g.flag) || slices.ContainsFunc(givesWay[g.flag], func(other string) bool { return nearer[other] }) {
			continue
		}
		for _, name := range c.Command.Flags[i].Names() {
			if err := c.Set(name, g.text); err != nil {
				return usagef("securecall help "+c.Command.Name+" shows what each setting takes", "%s: %s %s", g.at, g.flag, takes(c.Command.Flags[i]))
			}
		}
		s.from[g.flag] = g.at
	}
	return nil
}

// variable is the name of a flag in the environment.
func variable(flag string) string {
	return "SECURECALL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment is what stands there of the flags of a command. An empty variable is none.
func environment(c *ucli.Command) (all []given, err error) {
	for _, flag := range c.Flags {
		name := flag.Names()[0]
		at := origin{variable: variable(name)}
		text := os.Getenv(at.variable)
		switch {
		case text == "":
		case name == "secret-fd": // to ignore it would be a call without the secret
			return nil, usagef("a descriptor is of one process; SECURECALL_SECRET_FILE names a file", "%s: --secret-fd can stand on the command line alone", at)
		case !isSetting(flag):
		case !parses(flag, text):
			return nil, usagef("securecall help "+c.Name+" shows what each setting takes", "%s %s", at, takes(flag))
		default:
			all = append(all, given{flag: name, text: text, at: at})
		}
	}
	return all, nil
}

// spoken finds what a message speaks of: flags, and limits.
var spoken = regexp.MustCompile(`(?:^|[\s(])(--?([a-z][a-z0-9-]*)|(limits(?:\.[a-z0-9-]+)+))`)

// explain adds to d where the settings come from of which it speaks: nobody has typed them,
// and they are to be found.
func (o origins) explain(d diagnosis) diagnosis {
	var where []string
	for _, m := range spoken.FindAllStringSubmatch(d.what+" "+d.hint, -1) {
		at, kept := o[m[2]+m[3]]
		if text := m[1] + " comes from " + printable(at.String()); kept && !slices.Contains(where, text) {
			where = append(where, text)
		}
	}
	if d.hint != "" {
		where = append(where, d.hint)
	}
	d.hint = strings.Join(where, "; ")
	return d
}

// direct leaves out what is kept for calls of other kinds: a host is called without a
// meeting point, and nobody calls who dials it.
func (s *settings) direct() {
	if _, kept := s.from["via"]; kept {
		s.via = nil
	}
	if _, kept := s.from["map"]; kept {
		s.mapPort = false
	}
}
