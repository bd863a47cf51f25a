package cli

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	ucli "github.com/urfave/cli/v2"

	"securecall/nat/rendezvous/quota"
)

// Config is the command config.
func Config() *ucli.Command {
	return &ucli.Command{
		Name:      "config",
		Usage:     "every setting, its value, and where that came from",
		ArgsUsage: "show [COMMAND]",
		UsageText: `securecall config show
securecall config show rendezvous
SECURECALL_MIC=none securecall config show listen --json`,
		Description: `A flag wins over its variable in the environment, such as SECURECALL_BIND for --bind, and
that over the file of settings, $XDG_CONFIG_HOME/securecall/config.toml (~/.config if that
is not set), or the one that SECURECALL_CONFIG names. A line there is the name of a flag and its
value, at the top for listen and dial, in a table such as [listen] for one command:

  via = "meet.example"
  [listen]
  accept = "known"

docs/configuration.md has all of it. show is about listen and dial, or COMMAND.`,
		Flags:  []ucli.Flag{toggle("json", "one setting of one command a line")},
		Action: runConfig,
	}
}

func runConfig(c *ucli.Context) error {
	const help = "securecall help config shows what it takes"
	switch verb := c.Args().First(); {
	case verb == "":
		ucli.HelpPrinterCustom(c.App.Writer, commandHelp, c.Command, nil)
		return nil
	case verb != "show":
		return usagef(didYouMean("", verb, []string{"show"})+help, "config cannot %q", printable(verb))
	case c.Args().Len() > 2:
		return usagef(help, "config show takes one command, and got %d", c.Args().Len()-1)
	}
	commands := []string{"listen", "dial"}
	if only := c.Args().Get(1); only != "" {
		commands = []string{only}
	}
	var all []shown
	for _, name := range commands {
		command := c.App.Command(name)
		if command == nil || !takesSettings(name) {
			return usagef(didYouMean("", name, settingsCommands(c.App.Commands))+"they are "+strings.Join(settingsCommands(c.App.Commands), ", "),
				"there is no command %q that has settings", printable(name))
		}
		of, err := settingsOf(c.App, command)
		if err != nil {
			return err
		}
		all = append(all, of...)
	}
	strayVariables(c)
	if c.Bool("json") {
		for _, s := range all {
			if _, err := io.WriteString(c.App.Writer, jsonLine(s.json())); err != nil {
				return err
			}
		}
		return nil
	}
	return printSettings(c.App.Writer, all)
}

func settingsCommands(commands []*ucli.Command) (names []string) {
	for _, c := range commands {
		if takesSettings(c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// A shown is one setting of one command.
type shown struct {
	command, name string
	value         string // as it would be typed, or what stands for it; "": none
	at            origin // zero: the default
}

// settingsOf is what a command would run with, if no flag were typed.
func settingsOf(app *ucli.App, command *ucli.Command) (all []shown, err error) {
	set := flag.NewFlagSet(command.Name, flag.ContinueOnError)
	for _, f := range command.Flags {
		if err := f.Apply(set); err != nil {
			return nil, err
		}
	}
	c := ucli.NewContext(app, set, nil)
	c.Command = command
	_, s := withConfigured(c.Context)
	if err := s.fill(c); err != nil {
		return nil, err
	}
	for _, f := range command.Flags {
		if !isSetting(f) {
			continue
		}
		one := shown{command: command.Name, name: f.Names()[0], value: byDefault(f)}
		if at, kept := s.from[one.name]; kept {
			one.value, one.at = fmt.Sprint(c.Value(one.name)), at
		}
		all = append(all, one)
	}
	if command.Name == "rendezvous" {
		limitsOf("limits", reflect.ValueOf(s.limits), func(name, value string) {
			all = append(all, shown{command.Name, name, value, s.from[name]})
		})
	}
	return all, nil
}

// byDefault is what a flag is without being set, in the words of its help.
func byDefault(f ucli.Flag) string {
	switch f.Names()[0] {
	case "mic", "speaker":
		return orDefault("")
	}
	if d, ok := f.(ucli.DocGenerationFlag); ok {
		return strings.Trim(d.GetDefaultText(), `"`)
	}
	return ""
}

// limitsOf goes through all limits, in the words of a file.
func limitsOf(path string, v reflect.Value, each func(name, value string)) {
	for name, field := range settingFields(v) {
		name = within(path, name)
		switch value := field.Interface().(type) {
		case quota.Rate:
			each(name, rateText(value))
		case time.Duration:
			each(name, value.String())
		case int, int64:
			each(name, fmt.Sprint(value))
		default:
			limitsOf(name, field, each)
		}
	}
}

// rateText is a rate as quota.ParseRate reads it.
func rateText(r quota.Rate) string {
	if n := time.Second/(r.Every+1) + 1; time.Second/n == r.Every {
		return fmt.Sprintf("%d then %d per 1s", r.Burst, n)
	}
	return fmt.Sprintf("%d then 1 per %s", r.Burst, r.Every)
}

// printSettings has for a person the file, then a line a setting. What is the same in two
// commands stands there once.
func printSettings(w io.Writer, all []shown) error {
	if _, err := fmt.Fprintln(w, fileText()); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name string, s shown) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, cmp.Or(printable(withoutPassword(s.value)), "-"), printable(s.source()))
	}
	for i, s := range all {
		j := slices.IndexFunc(all, func(o shown) bool { return o.name == s.name && o.command != s.command })
		switch {
		case j < 0 || j > i && all[j].value == s.value && all[j].at == s.at:
			row(s.name, s)
		case j > i:
			row(s.name+" ("+s.command+")", s)
			row(s.name+" ("+all[j].command+")", all[j])
		}
	}
	return t.Flush()
}

// fileText names the file of settings, and says whether there is one.
func fileText() string {
	name, _ := userFile()
	if name == "" {
		return "file of settings: none, since there is no home folder"
	}
	text := "file of settings: " + printable(name)
	if _, err := os.Stat(name); err != nil {
		text += " (not there)"
	}
	return text
}

func (s shown) source() string {
	switch {
	case s.at.variable != "":
		return "environment " + s.at.variable
	case s.at.line > 0:
		return fmt.Sprintf("%s:%d", s.at.file, s.at.line)
	}
	return cmp.Or(s.at.file, "default")
}

// withoutPassword hides what a URL, or one of several, says to get in: a screen is seen by others.
func withoutPassword(value string) string {
	urls := strings.Split(value, ",")
	for i, text := range urls {
		switch u, err := url.Parse(text); {
		case err == nil && u.User != nil:
			urls[i] = u.Redacted()
		case err != nil && strings.Contains(text, "://") && strings.Contains(text, "@"):
			urls[i] = "(not shown)"
		}
	}
	return strings.Join(urls, ",")
}

// A jsonSetting is one line of config show --json.
type jsonSetting struct {
	V        int    `json:"v"`
	Command  string `json:"command"`
	Name     string `json:"name"`
	Value    string `json:"value"`
	Source   string `json:"source"`             // environment, file, default
	Variable string `json:"variable,omitempty"` // of the environment
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

func (s shown) json() jsonSetting {
	source := "default"
	switch {
	case s.at.variable != "":
		source = "environment"
	case s.at.file != "":
		source = "file"
	}
	return jsonSetting{jsonVersion, s.command, s.name, printable(withoutPassword(s.value)), source, s.at.variable, printable(s.at.file), s.at.line}
}

// strayVariables tells of what somebody has put into the environment for us, and nothing
// reads. It is no error: any program may leave something there.
func strayVariables(c *ucli.Context) {
	known := []string{"SECURECALL_CONFIG"}
	for _, command := range c.App.Commands {
		for _, f := range command.Flags {
			if takesSettings(command.Name) && isSetting(f) {
				known = append(known, variable(f.Names()[0]))
			}
		}
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "SECURECALL_") && !slices.Contains(known, name) {
			complain(c.App.ErrWriter, diagnosis{
				what: printable(name) + " is in the environment, and is no setting",
				hint: didYouMean("", name, known) + "nothing reads it",
			})
		}
	}
}
