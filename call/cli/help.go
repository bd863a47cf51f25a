package cli

import (
	"fmt"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Help is the command help.
func Help() *ucli.Command {
	return &ucli.Command{
		Name:      "help",
		Usage:     "how to use securecall, or one of its commands",
		ArgsUsage: "[COMMAND]",
		UsageText: `securecall help
securecall help dial`,
		Action: func(c *ucli.Context) error {
			name := c.Args().First()
			if name == "" {
				return ucli.ShowAppHelp(c)
			}
			command := c.App.Command(name)
			if command == nil {
				return unknownCommand(c, name)
			}
			ucli.HelpPrinterCustom(c.App.Writer, commandHelp, command, nil)
			return nil
		},
	}
}

// The help texts begin with what people type.
const (
	appHelp = `securecall: encrypted calls from a terminal (ZRTP, RFC 6189)

  securecall demo                 a whole call on this machine: begin here
  securecall listen               wait for a call; prints what the other side types
  securecall dial bob.example     call somebody

Commands:
{{range .VisibleCommands}}  {{.Name}}{{"\t"}}{{.Usage}}
{{end}}
securecall help COMMAND shows its flags, securecall man all of it. Results go to stdout,
talk to stderr. The exit status says how a call ended:

`
	commandHelp = `securecall {{.Name}}: {{.Usage}}

Examples:
  {{wrap .UsageText 2}}

Usage: securecall {{.Name}}{{if slice .Flags 1}} [flags]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}
{{$group := ""}}{{range .VisibleFlags}}{{$title := or .GetCategory $group "Flags"}}{{if ne $title $group}}{{if $group}}
{{end}}{{$group = $title}}{{$title}}:
{{end}}  {{.}}
{{end}}`
)

// statuses are what the exit status says.
var statuses = []struct {
	code    int
	meaning string
}{
	{0, "it took place and ended normally"},
	{1, "a fault of ours"},
	{2, "usage"},
	{10, "it rang, nobody answered"},
	{11, "busy"},
	{12, "declined"},
	{13, "nothing came back, no such name"},
	{14, "lost in mid-call"},
	{15, "something answers, but not with ZRTP"},
	{16, "call code wrong, used or expired"},
	{17, "meeting point or relay: unreachable, refused, not trusted"},
	{20, "--require does not hold"},
	{21, "keys changed, and nobody to decide"},
	{22, "the words (SAS) are not the same"},
	{23, "key agreement refused or failed"},
	{30, "sound device: none, lost or refused"},
	{31, "port or file: not permitted or possible"},
	{130, "interrupted before a call took place"},
}

// statusHelp is the same in two columns.
func statusHelp() string {
	var b strings.Builder
	half := len(statuses) / 2
	for i, left := range statuses[:half] {
		right := statuses[half+i]
		fmt.Fprintf(&b, "  %-4d%-38s%-4d%s\n", left.code, left.meaning, right.code, right.meaning)
	}
	return b.String()
}
