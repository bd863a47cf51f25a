// Package cli is the command line: one file a command, every message that a
// person reads in ui.go, the event lines of --json in json.go, the keys of the
// terminal in keys.go.
//
// It is the only package that prints. It does not know how a call works; it
// opens what the flags name, hands that to a call.Endpoint, and shows what the
// endpoint's events say.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Run carries out the command line args, args[0] being the program's name,
// and returns the exit status. Cancelling ctx hangs up and ends it.
func Run(ctx context.Context, args []string, commands ...*ucli.Command) int {
	app := &ucli.App{
		Name:                  "securecall",
		HelpName:              "securecall",
		Usage:                 "encrypted calls from a terminal",
		Commands:              commands,
		HideHelpCommand:       true,
		CustomAppHelpTemplate: appHelp,
		Writer:                os.Stdout,
		ErrWriter:             os.Stderr,
		OnUsageError:          explainUsage,
		ExitErrHandler:        func(*ucli.Context, error) {}, // the status is ours to choose
		Action:                noCommand,
	}
	for _, c := range commands {
		c.HideHelpCommand = true
		c.CustomHelpTemplate = commandHelp
		c.OnUsageError = explainUsage
	}
	err := app.RunContext(ctx, flagsFirst(args, commands))
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	d := diagnose(err)
	newConsole(os.Stderr).complain(d)
	return d.status
}

// exitStatus is the error of a command that has said itself what there is to
// say.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usageError is a command line that cannot be carried out.
type usageError struct{ what, hint string }

func (e *usageError) Error() string { return e.what }

func usagef(hint, format string, args ...any) error {
	return &usageError{what: fmt.Sprintf(format, args...), hint: hint}
}

// flagsFirst moves the flags that stand behind a command's arguments in front
// of them, since the flag package stops at the first argument that is none:
// securecall dial bob --mute would otherwise call two peers.
func flagsFirst(args []string, commands []*ucli.Command) []string {
	if len(args) < 2 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *ucli.Command) bool { return c.HasName(args[1]) })
	if i < 0 {
		return args
	}
	flags, rest := slices.Clone(args[:2]), []string{"--"}
	for a := args[2:]; len(a) > 0; a = a[1:] {
		switch {
		case a[0] == "--":
			return append(append(flags, rest...), a[1:]...)
		case len(a[0]) < 2 || a[0][0] != '-':
			rest = append(rest, a[0])
		default:
			flags = append(flags, a[0])
			if takesValue(commands[i], a[0]) && len(a) > 1 {
				a = a[1:]
				flags = append(flags, a[0])
			}
		}
	}
	return append(flags, rest...)
}

// takesValue tells whether the next argument belongs to arg, a flag of c.
func takesValue(c *ucli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range c.Flags {
		if slices.Contains(f.Names(), name) {
			v, ok := f.(ucli.DocGenerationFlag)
			return ok && v.TakesValue()
		}
	}
	return false
}

// noCommand is what runs when the first argument names no command.
func noCommand(c *ucli.Context) error {
	if !c.Args().Present() {
		c.App.Writer = os.Stderr
		_ = ucli.ShowAppHelp(c)
		return exitStatus(statusUsage)
	}
	return unknownCommand(c, c.Args().First())
}

func unknownCommand(c *ucli.Context, name string) error {
	hint := "securecall help lists the commands"
	if s := ucli.SuggestCommand(c.App.Commands, name); s != "" && !slices.Contains([]string{"h"}, s) {
		hint = fmt.Sprintf("did you mean %q? %s", s, hint)
	}
	return usagef(hint, "there is no command %q", name)
}

// explainUsage turns what the flag package says into our words. Its errors
// have no types, only texts.
func explainUsage(c *ucli.Context, err error, _ bool) error {
	flags, help := c.App.Flags, "securecall help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != c.App.Name {
		flags, help = c.Command.Flags, "securecall help "+c.Command.Name
	}
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return usagef(help+" shows what each flag takes", "%s", err)
	}
	name = strings.TrimLeft(name, "-")
	hint := help + " lists the flags"
	if len(flags) > 1 { // --help alone is no suggestion
		if s := ucli.SuggestFlag(flags, name, false); s != "" {
			hint = fmt.Sprintf("did you mean %s? %s", s, hint)
		}
	} else {
		hint = "flags come after the command; " + hint
	}
	dashes := "--"
	if len(name) == 1 {
		dashes = "-"
	}
	return usagef(hint, "there is no flag %s%s", dashes, name)
}
