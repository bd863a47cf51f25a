package cli

import (
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
securecall help COMMAND shows its flags. Results go to stdout, talk to stderr.
The exit status says how a call ended:

  0   it took place and ended normally    20  --require does not hold
  1   a fault of ours                     21  keys changed, and nobody to decide
  2   usage                               22  the words (SAS) are not the same
  10  it rang, nobody answered            23  key agreement refused or failed
  11  busy                                30  sound device: none, lost or refused
  12  declined                            31  port or file: not permitted or possible
  13  nothing came back, no such name     130 interrupted before a call took place
  14  lost in mid-call
  15  something answers, but not with ZRTP
  16  call code wrong, used or expired    17  meeting point or relay: unreachable, refused, not trusted
`
	commandHelp = `securecall {{.Name}}: {{.Usage}}

Examples:
  {{wrap .UsageText 2}}

Usage: securecall {{.Name}}{{if slice .Flags 1}} [flags]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}
{{if .Description}}
{{.Description}}
{{end}}
Flags:
{{range .VisibleFlags}}  {{.}}
{{end}}`
)
